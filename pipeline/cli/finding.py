"""Finds artifacts by what a person types: a number, `latest:TYPE`, the path of a file, or a run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pipeline.artifacts import Artifact, ArtifactState, type_names
from pipeline.cli.common import find_run
from pipeline.errors import UsageError, did_you_mean
from pipeline.lineage import producers
from pipeline.metadata import MetadataStore
from pipeline.records import EventKind, Run

LATEST = "latest:"
SERVED_FILE = Path("assets.extra", "cauce.json")
OTHER_STORE = "Is it another store? See which this is: cauce config"
_PAGES = (100, 2_000, None)


def find_artifact(store: MetadataStore, text: str) -> Artifact:
    """Returns the artifact that a number, `latest:TYPE`, or the path of a file in it or in a served model names.

    Raises:
        UsageError: If there is none.
    """
    if text.isdecimal():
        found = store.artifacts([int(text)])
        if found:
            return found[0]
    if text.startswith(LATEST):
        return _latest(store, text.removeprefix(LATEST))
    path = Path(text)
    if path.exists() or len(path.parts) > 1:
        return _at(store, path.resolve())
    raise UsageError(
        f"There is no artifact '{text}'. Expected a number, latest:TYPE, or the path of a file in an artifact or a served model.",
        hint="See them: cauce artifacts list",
    )


def find_roots(store: MetadataStore, text: str) -> list[Artifact]:
    """Returns the artifact that a text names, or, where it names a run, the artifacts that the run ended in.

    Raises:
        UsageError: If there is neither.
    """
    path = Path(text)
    if not (text.startswith(LATEST) or path.exists() or len(path.parts) > 1 or (text.isdecimal() and store.artifacts([int(text)]))):
        run = next((run for run in store.runs() if run.id.startswith(text)), None)
        if run is not None or text in ("latest", "-"):
            return _ends_of(store, find_run(store, text))
    return [find_artifact(store, text)]


def run_of(store: MetadataStore, artifact: Artifact) -> str:
    """Returns the id of the run that made an artifact; empty if it is not known."""
    return runs_of(store, [artifact]).get(artifact.id or 0, "")


def runs_of(store: MetadataStore, artifacts: Iterable[Artifact]) -> dict[int, str]:
    """Returns the id of the run that made each artifact, by the artifact's number."""
    origins = producers(store, [artifact.id or 0 for artifact in artifacts])
    executions = {execution.id: execution.run for execution in store.executions(event.execution for event in origins.values())}
    return {id: executions.get(event.execution, "") for id, event in origins.items()}


def check_type(store: MetadataStore, name: str) -> None:
    """Checks that there may be artifacts of a type.

    Raises:
        UsageError: If neither the store nor the engine knows it.
    """
    known = {*store.artifact_types(), *type_names()}
    if name not in known:
        raise UsageError(f"There is no artifact type '{name}'.{did_you_mean(name, known)}")


def _latest(store: MetadataStore, wanted: str) -> Artifact:
    check_type(store, wanted)
    for limit in _PAGES:
        page = store.all_artifacts(limit=limit)
        found = [artifact for artifact in page if artifact.type_name == wanted and artifact.state is ArtifactState.LIVE]
        if found:
            return found[-1]
        if limit is not None and len(page) < limit:
            break
    raise UsageError(f"There is no {wanted} yet.", hint="See what there is: cauce artifacts list")


def _at(store: MetadataStore, path: Path) -> Artifact:
    """Returns the artifact whose payload a path belongs to."""
    for folder in (path, *path.parents):
        served = folder / SERVED_FILE
        if served.is_file():
            return _served(store, served)
        found = store.artifacts_at(str(folder))
        if found:
            return found[-1]
    versions = sorted((folder.parents[1] for folder in path.glob(f"*/{SERVED_FILE}")), key=lambda folder: folder.name.rjust(20))
    hint = f"Name a version, for example {versions[-1]}." if versions else OTHER_STORE
    raise UsageError(f"{path} belongs to no artifact of this metadata store.", hint=hint)


def _served(store: MetadataStore, file: Path) -> Artifact:
    """Returns the artifact of a served model: what was pushed there, or the model that it is a copy of."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        id, name = int(record["model_id"]), str(record["model"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} does not say which model it holds: {type(error).__name__}: {error}") from error
    model = next((artifact for artifact in store.artifacts([id]) if artifact.name == name), None)
    if model is None:
        raise UsageError(f"{file} names the model '{name}' ({id}), which this metadata store does not know.", hint=OTHER_STORE)
    version = str(file.parent.parent)
    uses = [event.execution for event in store.events_of_artifacts([id]) if not event.kind.is_output]
    made = store.artifacts(event.artifact for event in store.events_of_executions(uses) if event.kind.is_output)
    pushed = [artifact for artifact in made if artifact.properties.get("pushed_destination") == version]
    return pushed[-1] if pushed else model


def _ends_of(store: MetadataStore, run: Run) -> list[Artifact]:
    """Returns the outputs of a run that no other node of it has made something of."""
    executions = [execution for execution in store.executions_of_run(run.id) if execution.state.succeeded]
    events = store.events_of_executions(execution.id for execution in executions)
    used = {event.artifact for event in events if not event.kind.is_output}
    ends = store.artifacts(event.artifact for event in events if event.kind is EventKind.OUTPUT and event.artifact not in used)
    if not ends:
        raise UsageError(f"Run {run.id} has made no artifacts.", hint=f"See why: cauce runs show {run.id}")
    return ends
