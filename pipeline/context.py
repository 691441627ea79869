"""What an executor gives to `Component.execute`: places to write, the project, Beam, progress and verdicts."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.artifacts import Property
from pipeline.component import resolve_path
from pipeline.usercode import load_function

if TYPE_CHECKING:
    import apache_beam


_LOG_EVERY = 5.0


@dataclass(frozen=True)
class Progress:
    """How far an executor is; a later one replaces an earlier one.

    Attributes:
        message: What is being done, in a few words.
        rows: Records handled so far, where that is known.
        fields: Further values to show, for example `{"step": 300, "loss": 0.41}`.
    """

    message: str = ""
    rows: int | None = None
    fields: Mapping[str, Property] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [self.message] if self.message else []
        parts += [f"{self.rows:,} rows"] if self.rows is not None else []
        parts += [f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in self.fields.items()]
        return ", ".join(parts)


@dataclass(frozen=True)
class Verdict:
    """What a node decided, with its reasons in words.

    Attributes:
        kind: `valid`, `blocked`, `blessed`, `not blessed`, `pushed`, `not pushed`, or a component's own word.
        reasons: One sentence each; never empty.
        blocks: Whether no further node of the run may start.
    """

    kind: str
    reasons: tuple[str, ...]
    blocks: bool = False


@dataclass(frozen=True)
class RowCount:
    """The balance of records that a node read, wrote and dropped, checked by the publisher.

    Attributes:
        read: Records read.
        written: Records written, by split.
        dropped: Records left out on purpose, by reason.
    """

    read: int
    written: Mapping[str, int]
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: RowCount) -> RowCount:
        written, dropped = (
            {**mine, **{name: mine.get(name, 0) + count for name, count in more.items()}}
            for mine, more in ((self.written, other.written), (self.dropped, other.dropped))
        )
        return RowCount(self.read + other.read, written, dropped)

    @property
    def missing(self) -> int:
        """Records that were read and neither written nor dropped on purpose."""
        return self.read - sum(self.written.values()) - sum(self.dropped.values())


def _ignore(progress: Progress) -> None:
    """The sink of progress where nobody looks."""


@dataclass
class Context:
    """The surroundings of one execution.

    Attributes:
        pipeline: Name of the pipeline.
        run: Id of the run.
        node: Id of the node.
        execution: Number of the execution in the metadata store.
        project: Folder that relative paths of parameters are relative to.
        code: Folder of the definition; user modules are looked for here, then in `project`.
        temp: A folder that is removed when the execution ends.
        state: A folder that survives a retry, and a crash followed by `cauce resume`, of the same work; for checkpoints.
        beam_args: Arguments of Beam, those of the pipeline and then those of the node.
        report: Called with each progress.
        verdict: What the node decided, if it decides.
        rows: The balance of records, if the node moves records.
        notes: Properties to record on the execution.
    """

    pipeline: str
    run: str
    node: str
    execution: int
    project: Path
    code: Path
    temp: Path
    state: Path
    beam_args: tuple[str, ...] = ()
    report: Callable[[Progress], None] = _ignore
    verdict: Verdict | None = None
    rows: RowCount | None = None
    notes: dict[str, Property] = field(default_factory=dict)
    _logged: tuple[str, float] = ("", 0.0)

    @property
    def log(self) -> logging.Logger:
        """A logger whose lines go to the execution's log file."""
        return logging.getLogger(f"cauce.{self.node}")

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders of user code: that of the definition, then that of the project."""
        return (self.code,) if self.code == self.project else (self.code, self.project)

    def path(self, path: str | Path) -> Path:
        """Returns a path given in a parameter; a relative one is relative to the project."""
        return resolve_path(self.project, path)

    def load(self, reference: str, default: str | None = None) -> Callable[..., Any]:
        """Returns the user's function for `module:function`; `default` is used where only the module is named.

        Raises:
            DefinitionError: If the module or function does not exist.
            UserCodeError: If the module raises while it is imported.
        """
        return load_function(reference, self.folders, default=default)

    def progress(self, message: str = "", *, rows: int | None = None, **fields: Property) -> None:
        """Shows how far the work is, and logs it: each new message, and the same one every few seconds."""
        progress = Progress(message, rows, fields)
        self.report(progress)
        now = time.monotonic()
        if message != self._logged[0] or now - self._logged[1] >= _LOG_EVERY:
            self._logged = (message, now)
            self.log.info("%s", progress)

    def decide(self, kind: str, reasons: Sequence[str], *, blocks: bool = False) -> None:
        """Records the node's verdict; `blocks=True` stops the run once the outputs are published (exit code 3)."""
        reasons = [reasons] if isinstance(reasons, str) else reasons
        self.verdict = Verdict(str(kind), tuple(map(str, reasons)), bool(blocks))

    def count_rows(self, read: int, written: Mapping[str, int], dropped: Mapping[str, int] | None = None) -> None:
        """Records the balance of records; the publisher refuses outputs where it does not add up."""
        counts = ({str(name): int(count) for name, count in given.items()} for given in (written, dropped or {}))
        self.rows = RowCount(int(read), *counts)

    def measure(self, metrics: Mapping[str, float | None]) -> None:
        """Records measures of the result, by which runs are searched, sorted and compared; those that are not finite are left out."""
        known = {str(name): float(value) for name, value in metrics.items() if value is not None and math.isfinite(value)}
        self.notes["measures"] = json.dumps({**json.loads(str(self.notes.get("measures", "{}"))), **known}, sort_keys=True)

    def note(self, **properties: Property) -> None:
        """Records properties on the execution."""
        self.notes.update(properties)

    @contextmanager
    def beam(self) -> Iterator[apache_beam.Pipeline]:
        """Opens a Beam pipeline with this node's `beam_args`; it has run when the block ends without an error.

        Without `--runner`, and for `DirectRunner`, it is Beam's in-memory runner.
        """
        from pipeline.beam import beam_pipeline

        with beam_pipeline(self.beam_args, temp=self.temp) as pipeline:
            yield pipeline
