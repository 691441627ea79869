"""Garbage: what no kept run, blessed or pushed model needs, and what lies about in the root folder that nothing refers to.

To plan reads only. To remove takes files first and marks the artifact DELETED second; both may be repeated, so that a removal that
was killed is finished by the next one. Records stay: lineage goes on to name what was removed.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.artifacts import Artifact, ArtifactState
from pipeline.errors import UsageError
from pipeline.hashing import extent
from pipeline.lineage import producers
from pipeline.metadata import MetadataStore
from pipeline.portions import KEY_PROPERTY
from pipeline.records import EventKind, Run, RunState
from pipeline.storage import Storage

KEPT_RUNS = 5
"""Runs of each pipeline that are kept, unless it is told otherwise."""

UNNEEDED = "no kept run, blessed or pushed model needs it"
_BATCH = 100
_PAYLOAD_DEPTH = 4
_DAY = 24 * 3600.0


@dataclass(frozen=True)
class Judged:
    """An artifact, and why it is kept or may go."""

    artifact: Artifact
    reason: str


@dataclass(frozen=True)
class Leftover:
    """A file or folder that may go."""

    path: Path
    size: int
    reason: str


@dataclass(frozen=True)
class Garbage:
    """What may go and what is kept, oldest first.

    Attributes:
        remove: Artifacts that nothing needs.
        keep: LIVE artifacts that something needs, each with the first reason found.
        leftovers: Files and folders that no record refers to, or whose run is over and not kept.
    """

    remove: tuple[Judged, ...]
    keep: tuple[Judged, ...]
    leftovers: tuple[Leftover, ...]

    @property
    def size(self) -> int:
        """Bytes that removing frees."""
        return sum(judged.artifact.size for judged in self.remove) + sum(leftover.size for leftover in self.leftovers)


def find_garbage(store: MetadataStore, storage: Storage, *, keep: int = KEPT_RUNS, older_than: float | None = None) -> Garbage:
    """Returns what may go.

    Kept are, with all that they were made from and together with: what the runs of each pipeline used or made since the `keep`-th
    last one that was done, the runs that go on, blessed models and pushed models. Only files below the root folder are judged.

    Args:
        store: The metadata store.
        storage: The root folder.
        keep: How many runs of each pipeline that were done to keep, with the failed ones since.
        older_than: Days since a run's end; younger runs are kept too.
    """
    runs = store.runs()
    kept_runs = _kept_runs(runs, keep, older_than)
    artifacts = store.all_artifacts()
    reasons = _reasons(store, artifacts, kept_runs)
    needed_runs = {*kept_runs, *_origins(store, reasons)}
    live = [artifact for artifact in artifacts if artifact.state is ArtifactState.LIVE and _is_ours(artifact.path, storage)]
    return Garbage(
        tuple(Judged(artifact, UNNEEDED) for artifact in live if artifact.id not in reasons),
        tuple(Judged(artifact, reasons[artifact.id]) for artifact in live if artifact.id in reasons),
        tuple(_leftovers(storage, {run.id: run for run in runs}, needed_runs, artifacts)),
    )


def remove_garbage(garbage: Garbage, store: MetadataStore, storage: Storage) -> None:
    """Removes what was found, artifact by artifact, and then the leftovers.

    Raises:
        UsageError: If a run goes on: it may be about to reuse what would go. What was removed before that stays removed.
    """
    for start in range(0, len(garbage.remove), _BATCH):
        _check_quiet(store)
        batch = [judged.artifact for judged in garbage.remove[start : start + _BATCH]]
        for artifact in batch:
            storage.remove(artifact.path)
        store.update_artifacts([replace(artifact, state=ArtifactState.DELETED) for artifact in batch])
    _check_quiet(store)
    for leftover in garbage.leftovers:
        storage.remove(leftover.path)
    storage.empty_trash()


def _check_quiet(store: MetadataStore) -> None:
    running = next((run for run in store.runs() if run.state is RunState.RUNNING), None)
    if running is not None:
        raise UsageError(
            f"Run {running.id} of '{running.pipeline}' goes on, and may be about to reuse what would go.",
            hint=f"Wait for its end: cauce runs show {running.id}",
        )


def _kept_runs(runs: Sequence[Run], keep: int, older_than: float | None) -> dict[str, str]:
    """Returns the ids of the kept runs, each with why."""
    young = (time.time() - older_than * _DAY) * 1000 if older_than is not None else None
    by_pipeline: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_pipeline[run.pipeline].append(run)
    kept: dict[str, str] = {}
    for pipeline, own in by_pipeline.items():
        done = [place for place, run in enumerate(own) if run.state is RunState.DONE]
        first = (done[-keep:] or [0])[0] if keep else len(own)
        for place, run in enumerate(own):
            if run.state is RunState.RUNNING:
                kept[run.id] = f"run {run.id} goes on"
            elif place >= first:
                kept[run.id] = f"run {run.id} is one of the last of '{pipeline}'"
            elif young is not None and run.ended > young:
                kept[run.id] = f"run {run.id} is younger than {older_than:g} days"
    return kept


def _reasons(store: MetadataStore, artifacts: Sequence[Artifact], kept_runs: Mapping[str, str]) -> dict[int, str]:
    """Returns the numbers of all artifacts that something needs, each with why."""
    names = {artifact.id or 0: f"{artifact.type_name} {artifact.id}" for artifact in artifacts}
    reasons: dict[int, str] = {}
    for artifact in artifacts:
        if artifact.state is ArtifactState.LIVE and artifact.type_name == "PushedModel":
            reasons[artifact.id or 0] = "a pushed model"
        if artifact.state is ArtifactState.LIVE and artifact.type_name == "ModelBlessing" and artifact.properties.get("blessed") == 1:
            reasons[artifact.id or 0] = "a blessing"
            reasons.setdefault(int(artifact.properties.get("current_model_id", 0)), "a blessed model")
    for run, why in reversed(list(kept_runs.items())):
        for event in store.events_of_executions(execution.id for execution in store.executions_of_run(run)):
            reasons.setdefault(event.artifact, why)
    portions = {artifact.id for artifact in artifacts if KEY_PROPERTY in artifact.properties}
    waiting = list(reasons)
    while waiting:
        origins = producers(store, waiting).values()
        made = {event.execution: event.artifact for event in origins}
        whole = {event.execution for event in origins if event.artifact not in portions}
        waiting = []
        for event in store.events_of_executions(made):
            if event.artifact in reasons:
                continue
            if event.kind is EventKind.INPUT:
                reasons[event.artifact] = f"{names[made[event.execution]]} was made from it"
                waiting.append(event.artifact)
            elif event.kind is EventKind.OUTPUT and event.execution in whole:
                # The cache can reuse an execution only while all of its outputs are there; a portion it can reuse alone.
                reasons[event.artifact] = f"it was made together with {names[made[event.execution]]}"
    return reasons


def _origins(store: MetadataStore, artifacts: Iterable[int]) -> set[str]:
    """Returns the ids of the runs in which artifacts were made."""
    executions = {event.execution for event in producers(store, artifacts).values()}
    return {execution.run for execution in store.executions(executions)}


def _leftovers(storage: Storage, runs: Mapping[str, Run], needed: set[str], artifacts: Sequence[Artifact]) -> Iterator[Leftover]:
    """Yields what lies below the root and nothing refers to; what belongs to no run of this store may be another store's."""
    recorded = {artifact.uri: artifact.state for artifact in artifacts}
    over = {id: run for id, run in runs.items() if run.state is not RunState.RUNNING}
    for payload in sorted(storage.root.glob("artifacts/*/*/*/*")):
        if recorded.get(str(payload)) is ArtifactState.DELETED:
            yield _leftover(payload, "its artifact was removed")
        elif str(payload) not in recorded and payload.name.rpartition(".")[0] in over:
            yield _leftover(payload, "no artifact was recorded for it")
    for staging in sorted(storage.root.glob("staging/*")):
        if staging.name.startswith(".trash-") or staging.name.rpartition(".")[0] in over:
            yield _leftover(staging, "its execution is over")
    for state in sorted(storage.root.glob("state/*")):
        if state.name in over and (over[state.name].state is RunState.DONE or state.name not in needed):
            yield _leftover(state, "its run is over")
    for folder in (*sorted(storage.root.glob("logs/*")), *sorted(storage.root.glob("locks/*.lock"))):
        if folder.name.removesuffix(".lock") in over and folder.name.removesuffix(".lock") not in needed:
            yield _leftover(folder, "its run is not kept")


def _leftover(path: Path, reason: str) -> Leftover:
    return Leftover(path, extent(path)[0], reason)


def _is_ours(path: Path, storage: Storage) -> bool:
    """Returns whether a path is that of a payload below the root, and nothing above or beside one."""
    folder = storage.root / "artifacts"
    return path.is_relative_to(folder) and len(path.relative_to(folder).parts) == _PAYLOAD_DEPTH and ".." not in path.parts
