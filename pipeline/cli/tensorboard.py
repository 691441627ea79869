"""`cauce tensorboard`: opens the logs of trainings."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from pipeline.artifacts import ArtifactState
from pipeline.cli.common import find_run, open_store, print_json, store_options
from pipeline.errors import ExecutionError, UsageError
from pipeline.metadata import MetadataStore
from pipeline.records import Run

MODEL_RUN, LOG_FOLDER = "ModelRun", "logs"


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--port", type=click.IntRange(0, 65535), default=6006, show_default=True, help="Port to listen on; 0 for any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all of this machine.")
@store_options
@click.option("--json", "as_json", is_flag=True, help="Print where the logs are as JSON, and open nothing (its schema is in schemas/).")
def tensorboard(runs: tuple[str, ...], port: int, host: str, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Open the TensorBoard logs of one or more runs, side by side; without a name, of the latest run that has trained a model.

    \b
    Examples:
      cauce tensorboard
      cauce tensorboard latest 20260713-101500 --port 6007
    """
    if not as_json and not _installed():
        raise UsageError("TensorBoard is not installed here.", hint="pip install tensorboard")
    store = open_store(root, metadata).store
    logs = _logs_of(store, [find_run(store, text) for text in runs]) if runs else _latest_logs(store)
    if as_json:
        print_json([{"run": name.partition("/")[0], "node": name.partition("/")[2], "path": str(path)} for name, path in logs.items()])
        return
    with tempfile.TemporaryDirectory(prefix="cauce-tensorboard-") as folder:
        for name, path in logs.items():
            link = Path(folder, name)
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(path, target_is_directory=True)
        click.echo(f"{', '.join(logs)}; stop with Ctrl-C", err=True)
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", folder, "--port", str(port), "--host", host]
        status = subprocess.run(command, check=False).returncode
    if status > 0:
        raise ExecutionError(f"TensorBoard ended with status {status}.", hint="Is the port in use? Choose another one: --port 0")


def _installed() -> bool:
    try:
        return importlib.util.find_spec("tensorboard") is not None
    except ValueError:  # something of that name is loaded that is no package
        return False


def _latest_logs(store: MetadataStore) -> dict[str, Path]:
    """Returns the logs of the latest run that has some."""
    for run in reversed(store.runs()):
        found = _logs_of_run(store, run)
        if found:
            return found
    raise UsageError("No run has trained a model yet.", hint="See what there is: cauce runs list")


def _logs_of(store: MetadataStore, runs: Sequence[Run]) -> dict[str, Path]:
    """Returns the folders of the logs of some runs by name, `RUN/NODE`.

    Raises:
        UsageError: If a run has none.
    """
    logs: dict[str, Path] = {}
    for run in runs:
        found = _logs_of_run(store, run)
        if not found:
            raise UsageError(f"Run {run.id} has no TensorBoard logs: it trained no model, or cauce gc has removed them.")
        logs |= found
    return logs


def _logs_of_run(store: MetadataStore, run: Run) -> dict[str, Path]:
    executions = {execution.id: execution.node for execution in store.executions_of_run(run.id)}
    events = {event.artifact: event for event in store.events_of_executions(executions) if event.kind.is_output}
    made = [artifact for artifact in store.artifacts(events) if artifact.type_name == MODEL_RUN and artifact.state is ArtifactState.LIVE]
    return {
        f"{run.id}/{executions[events[artifact.id or 0].execution]}": artifact.path / LOG_FOLDER
        for artifact in made
        if (artifact.path / LOG_FOLDER).is_dir()
    }
