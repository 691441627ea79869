"""Pipelines in a notebook: run one node at a time, look at what it made, change it, run it again.

    from pipeline.interactive import InteractiveContext

    context = InteractiveContext("taxi")
    examples = CsvExampleGen(input="data/taxi/span-{SPAN}/*.csv", splits={"train": 2, "eval": 1})
    context.run(examples)
    context.show(examples)

Each call of `run` is a run of its own of the pipeline, recorded as any other: the cache, `cauce runs` and `cauce lineage` know it.
The libraries are imported once, by the first node that needs them, and stay for the next ones.
"""

from __future__ import annotations

import io
import sys
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from pipeline.artifacts import Artifact
from pipeline.channel import Channel
from pipeline.cli.show import contents, problem_of, read_summary
from pipeline.component import Component
from pipeline.config import Settings, load_settings
from pipeline.definition import Pipeline
from pipeline.display import preformatted, titled
from pipeline.errors import DataError, UsageError
from pipeline.lineage.ledger import Ledger
from pipeline.loading import Definition
from pipeline.metadata import MetadataStore
from pipeline.outcome import Outcome
from pipeline.reporter import Reporter
from pipeline.resolution import Resolution
from pipeline.runner import RunOptions, run_pipeline
from pipeline.storage import Storage
from pipeline.workers import Workers

NOTEBOOK = "notebook"
"""What stands for the file of the definition where there is none."""

_WIDTH = 180


@dataclass(frozen=True)
class Shown:
    """What is inside artifacts, as text and, in a notebook, as HTML."""

    title: str
    text: str

    def __str__(self) -> str:
        return f"{self.title}\n{self.text}"

    def _repr_html_(self) -> str:
        return titled(self.title, preformatted(self.text))


class InteractiveContext:
    """Runs the nodes of a pipeline one at a time.

    Args:
        name: Name of the pipeline. What runs of this name have made, also those of `cauce run`, is there for the nodes of the context.
        project: Folder that relative paths of parameters are relative to, and where user modules lie. Default: the working folder.
        root: Root folder of artifacts and metadata. Default: as for the command line, `cauce_root` in the project.
        metadata: URL of the metadata store. Default: that of the root.
        beam_args: Arguments of Beam for all nodes.

    Raises:
        UsageError: If a setting is wrong.
    """

    def __init__(
        self,
        name: str,
        *,
        project: str | Path | None = None,
        root: str | Path | None = None,
        metadata: str | None = None,
        beam_args: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.project = Path(project or Path.cwd()).resolve()
        if not self.project.is_dir():
            raise UsageError(f"There is no folder {self.project}. Expected the project's folder.")
        self._settings: Settings = load_settings(self.project, {"root": None if root is None else str(root), "metadata": metadata})
        self._beam_args = beam_args
        self._log = tempfile.TemporaryDirectory(prefix="cauce-")
        self._workers = Workers(Path(self._log.name) / "worker.server.log")
        self._known = _times(self.project)
        weakref.finalize(self, self._workers.close)

    def __enter__(self) -> InteractiveContext:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the processes that hold the libraries; a later `run` starts them again."""
        self._workers.close()

    @property
    def ledger(self) -> Ledger:
        """All that the store tells of this and other runs: `context.ledger.why("Trainer")`, `context.ledger.up("latest:Model")`."""
        return Ledger(MetadataStore(self._settings.metadata_url), Storage(self._settings.root_path))

    def pipeline(self, *nodes: Component) -> Pipeline:
        """Returns the pipeline that ends in these nodes, to look at."""
        return Pipeline(self.name, nodes, beam_args=self._beam_args)

    def run(self, node: Component, *, cache: bool = True) -> Outcome:
        """Runs one node, and records that as a run of the pipeline; user modules that were changed are loaded anew.

        The outputs of the nodes before it are those that they made last; they are not run.

        Args:
            node: The node.
            cache: Whether an earlier result may be reused.

        Raises:
            CauceError: If it fails, or a node before it has not been run.
        """
        self._forget_changed()
        pipeline = self.pipeline(node)
        options = RunOptions(self._settings.root_path, self._settings.metadata_url, only=(node.id,), cache=cache)
        definition = Definition(pipeline, self.project / NOTEBOOK, self.project)
        result = run_pipeline(definition, options, Reporter(), workers=self._workers)
        outcome = result[node.id]
        if outcome.error is not None:
            raise outcome.error
        return outcome

    def artifacts(self, made: Component | Channel) -> list[Artifact]:
        """Returns what a node, or one of its outputs, made last.

        Raises:
            UsageError: If it has made nothing yet.
        """
        node = made.node if isinstance(made, Channel) else made
        groups = Resolution(MetadataStore(self._settings.metadata_url), self.name, "", frozenset()).outputs_of(node.id)
        if isinstance(groups, str):
            raise UsageError(f"'{node.id}' has made nothing yet.", hint=f"Run it first: context.run({node.id})")
        names = [made.name] if isinstance(made, Channel) else list(groups)
        return [artifact for name in names for artifact in groups.get(name, ())]

    def show(self, made: Component | Channel | Artifact) -> Shown:
        """Returns what is inside an artifact, or inside all that a node made last: statistics, schema, anomalies, metrics, ..."""
        artifacts = [made] if isinstance(made, Artifact) else self.artifacts(made)
        title = ", ".join(f"{artifact.type_name} {artifact.id}" for artifact in artifacts) or "nothing"
        return Shown(title, "\n".join(_text(artifact) for artifact in artifacts))

    def _forget_changed(self) -> None:
        """Makes the next import load user modules whose files were changed; the processes of executors load them anew anyway."""
        now = _times(self.project)
        changed = {file for file, time in now.items() if self._known.get(file) != time}
        for name, module in list(sys.modules.items()):
            if getattr(module, "__file__", None) in changed:
                del sys.modules[name]
        self._known = now


def _times(folder: Path) -> dict[str, int]:
    return {str(file): file.stat().st_mtime_ns for file in folder.glob("*.py")} | {
        str(file): file.stat().st_mtime_ns for file in folder.glob("*/*.py")
    }


def _text(artifact: Artifact) -> str:
    problem = problem_of(artifact)
    parts: list[RenderableType] = [Text(f"{artifact.type_name} {artifact.id} of {artifact.producer}: {artifact.path}")]
    parts += [Text(problem)] if problem else []
    if artifact.path.exists():
        try:
            parts += contents(artifact, read_summary(artifact))
        except DataError as error:
            parts.append(Text(str(error)))
    return _rendered(parts)


def _rendered(parts: list[Any]) -> str:
    screen = Console(file=io.StringIO(), width=_WIDTH, highlight=False, markup=False, emoji=False, record=True, color_system=None)
    for part in parts:
        screen.print(part)
    return screen.export_text()
