"""The executor: runs one component inside one error boundary, here or in a process of its own."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import resource
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from pipeline.artifacts import Artifact, Property
from pipeline.component import Component
from pipeline.context import Context, Progress, RowCount, Verdict
from pipeline.errors import CauceError, ExecutionError, StorageError, UserCodeError
from pipeline.usercode import OURS, add_to_path


@dataclass(frozen=True)
class Call:
    """One call of `execute`, for one portion of the work.

    Attributes:
        name: Name of the portion.
        outputs: As those of a job.
        parameters: Those that differ from the job's.
    """

    name: str
    outputs: Mapping[str, Artifact | list[Artifact]]
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """One execution, as it travels to the process that does it.

    Attributes:
        component: The class; it is sent by reference.
        inputs: Artifacts by name; a list where the component takes many.
        outputs: Artifacts by name, whose `path` is a staging folder; a list has those too that were made before, with their `id`.
        parameters: Resolved parameters.
        context: The surroundings.
        calls: The calls of `execute`, where it is called for each portion of the work; empty for one call.
    """

    component: type[Component]
    inputs: Mapping[str, Artifact | list[Artifact] | None]
    outputs: Mapping[str, Artifact | list[Artifact]]
    parameters: Mapping[str, Any]
    context: Context
    calls: tuple[Call, ...] = ()

    @property
    def made(self) -> tuple[Artifact, ...]:
        """The artifacts that it makes."""
        groups = [group for call in self.calls or (Call("", self.outputs, {}),) for group in call.outputs.values()]
        artifacts = (artifact for group in groups for artifact in (group if isinstance(group, list) else [group]))
        return tuple(artifact for artifact in artifacts if artifact.id is None)


@dataclass(frozen=True)
class Result:
    """What an executor left besides files.

    Attributes:
        properties: Properties of the outputs, by the name of their staging folder.
        verdict: What the node decided.
        rows: The balance of records.
        notes: Properties for the execution.
        error: What went wrong; None if nothing did.
        peak_memory: The most bytes that the process held; 0 where it had none of its own.
    """

    properties: Mapping[str, Mapping[str, Property]] = field(default_factory=dict)
    verdict: Verdict | None = None
    rows: RowCount | None = None
    notes: Mapping[str, Property] = field(default_factory=dict)
    error: CauceError | None = None
    peak_memory: int = 0


def prepare_folders(job: Job) -> None:
    """Makes the staging folders of a job anew, and its state folder where there is none."""
    for artifact in job.made:
        shutil.rmtree(artifact.path, ignore_errors=True)
        artifact.path.mkdir(parents=True)
    shutil.rmtree(job.context.temp, ignore_errors=True)
    job.context.temp.mkdir(parents=True)
    job.context.state.mkdir(parents=True, exist_ok=True)


def execute(job: Job, report: Callable[[Progress], None]) -> Result:
    """Runs a job and returns its result; an error is part of the result, its traceback goes to the log."""
    context = job.context
    add_to_path(context.folders)
    try:
        prepare_folders(job)
        for call in job.calls or (Call("", job.outputs, {}),):
            _call(job, call, report)
        properties = {made.path.name: _plain(made.properties, f"output '{made.path.name}'", context) for made in job.made}
        return Result(properties, context.verdict, context.rows, _plain(context.notes, "its notes", context))
    except (Exception, SystemExit) as raised:  # noqa: BLE001 - the error boundary around all components
        context.log.error("%s", "".join(traceback.format_exception(raised)))
        return Result(error=as_cauce_error(raised, context.node, context.folders, context.temp))
    finally:
        shutil.rmtree(context.temp, ignore_errors=True)


def _call(job: Job, call: Call, report: Callable[[Progress], None]) -> None:
    """Calls `execute` once; the balances of records of several calls are added up."""
    context, before = job.context, job.context.rows

    def named(progress: Progress) -> None:
        report(replace(progress, message=f"{call.name}: {progress.message}"))

    context.report = named if call.name else report
    values: dict[str, Any] = {**job.inputs, **call.outputs, **job.parameters, **call.parameters}
    object.__new__(job.component).execute(context, **values)
    if before is not None and context.rows is not None:
        context.rows = before + context.rows


def _plain(properties: Mapping[str, Any], owner: str, context: Context) -> dict[str, Property]:
    """Returns properties as the store takes them: NumPy's numbers as Python's."""
    plain: dict[str, Property] = {}
    for name, value in properties.items():
        item = value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value
        if isinstance(item, int) and abs(item) < 2**53:
            plain[name] = int(item)
        elif isinstance(item, float | str):
            plain[name] = float(item) if isinstance(item, float) else str(item)
        else:
            raise ExecutionError(
                f"Node '{context.node}': property '{name}' of {owner} must be an integer below 2**53, a float or a text. "
                f"Received: {value!r} of type {type(value).__name__}."
            )
    return plain


def peak_memory() -> int:
    """Returns the most bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def as_cauce_error(error: BaseException, node: str, folders: tuple[Path, ...], place: Path) -> CauceError:
    """Returns the error to show: it names node and, where the user's code raised, file, line and function.

    Args:
        error: What was raised.
        node: Id of the node.
        folders: Where user code lies.
        place: What to name where the disk is full and the error does not say which file it was.
    """
    where = _user_frame(error.__traceback__, folders)
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, CauceError):
        # A class of the user's may be unknown to the process of the run: its nearest class of ours travels instead.
        known = next(kind for kind in type(error).__mro__ if kind.__module__ == CauceError.__module__)
        converted: CauceError = error if known is type(error) else known(error.message, hint=error.hint)
    elif getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in text:
        converted = StorageError(
            f"Node '{node}': the disk is full ({getattr(error, 'filename', None) or place}).",
            hint="Make room (cauce gc shows what can go), then: cauce resume",
        )
    elif where:
        converted = UserCodeError(f"Node '{node}': {where} raised {text}")
    else:
        converted = ExecutionError(f"Node '{node}' failed: {text}")
    converted.__cause__ = error if converted is not error else error.__cause__
    return converted


def _user_frame(trace: TracebackType | None, folders: tuple[Path, ...]) -> str:
    """Returns `features.py:31 preprocessing_fn` for the innermost frame of user code; empty if none of it was running."""
    found = ""
    while trace is not None:
        code = trace.tb_frame.f_code
        file = Path(code.co_filename)
        package = str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0]
        for folder in folders:
            if file.is_relative_to(folder) and "site-packages" not in file.parts and package not in OURS:
                found = f"{file.relative_to(folder)}:{trace.tb_lineno} {code.co_name}"
                break
        trace = trace.tb_next
    return found


class _LogFile(logging.FileHandler):
    """A log that cannot be written, for example on a full disk, does not talk about that on the terminal."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name in logging
        return


def _log_file(path: Path) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _LogFile(path, mode="a", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return handler


@contextlib.contextmanager
def logging_to(logger: logging.Logger, path: Path) -> Iterator[None]:
    """Sends the lines of a logger to a file, and nowhere else, as long as the block lasts."""
    handler = _log_file(path)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def log_process_to(path: Path) -> None:
    """Sends all log lines of this process to a file, and all that it prints, also in native code."""
    handler = _log_file(path)
    sys.stdout.flush()
    sys.stderr.flush()
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    logging.getLogger().handlers.clear()
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger("absl").setLevel(logging.WARNING)  # TensorFlow Transform tells the shape of each feature, each time
    logging.getLogger().addHandler(handler)
