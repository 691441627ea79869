"""Why a model was blessed, pushed, withdrawn, is served, or is not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.artifacts import Artifact, ArtifactState
from pipeline.extensions import serving
from pipeline.lineage.explanation import Explanation, Step, step_of, unstopped
from pipeline.lineage.graph import Direction, producers, walk
from pipeline.lineage.serving import served_now
from pipeline.metadata import MetadataStore
from pipeline.records import EventKind, Execution, ExecutionState, RunState

_JUDGED = ("blessed", "not blessed")
_PUSHED = ("pushed", "not pushed")
_USES = ("model", "withdrawn")
_WITHDRAWN = "withdrawn"
_ROLES = {
    "blessed": "judged it",
    "not blessed": "judged it",
    "pushed": "pushed it",
    "not pushed": "refused it",
    "rolled back": "made it the served one again",
    "pinned": "keeps it the served one",
    "unpinned": "ended that",
}


def model_of(store: MetadataStore, artifact: Artifact) -> Artifact | None:
    """Returns the model that an artifact is, or that it judges or is a copy of; None for all other artifacts."""
    if artifact.type_name == "Model":
        return artifact
    if artifact.type_name not in ("PushedModel", "ModelBlessing", "ModelEvaluation"):
        return None
    origin = producers(store, [artifact.id or 0]).get(artifact.id or 0)
    inputs = store.inputs_of(origin.execution).get("model", ()) if origin is not None else ()
    return next((used for used in inputs if used.type_name == "Model"), None)


def origin_of(store: MetadataStore, artifact: Artifact) -> Execution | None:
    """Returns the execution that made an artifact; None if it is not known."""
    event = producers(store, [artifact.id or 0]).get(artifact.id or 0)
    return next(iter(store.executions([event.execution])), None) if event is not None else None


@dataclass(frozen=True)
class _Use:
    """An execution that decided about a model, as one that used it or withdrew it, and what came of it."""

    execution: Execution
    key: str
    made: tuple[Artifact, ...]

    @property
    def verdict(self) -> str:
        return _WITHDRAWN if self.key == _WITHDRAWN else self.execution.verdict

    @property
    def told(self) -> str:
        return f"{self.execution.node}: {self.verdict}: {unstopped(self.execution.verdict_reasons)}"

    @property
    def step(self) -> Step:
        withdrew = "took it back" if self.key == _WITHDRAWN else ""
        other = "failed over it" if self.execution.error else f"decided: {self.verdict}"
        return step_of(self.execution, withdrew or _ROLES.get(self.verdict, other), [artifact.id or 0 for artifact in self.made])


def explain_model(store: MetadataStore, model: Artifact, asked: Artifact) -> Explanation:
    """Explains what became of a model: what it was trained because of, how it was judged, whether it was pushed and is served."""
    origin, uses = origin_of(store, model), _uses(store, model)
    last = {use.verdict: use for use in uses}
    served = served_now(store, walk(store, [model.id or 0], Direction.DOWN)).get(model.id or 0, ())
    answer = [f"It is served now at {', '.join(served)}."] if served else _instead(store, uses)
    answer += [use.told for verdicts in (_PUSHED, _JUDGED) if (use := _newest(uses, verdicts)) is not None]
    answer += [] if uses else [_unjudged(store, model, origin)]
    answer += [f"{origin.node} made it in run {origin.run}: {unstopped(origin.reasons)}"] if origin is not None else []
    made = [step_of(origin, "made it", [model.id or 0])] if origin is not None else []
    return Explanation(
        f"{asked.type_name} {asked.id}" + (f" (of Model {model.id})" if asked is not model else ""),
        _question(last, _newest(uses, _PUSHED), served),
        tuple(filter(None, answer)),
        (*made, *(use.step for use in uses)),
        _next(model, _newest(uses, _JUDGED), served),
    )


def _newest(uses: Sequence[_Use], verdicts: Sequence[str]) -> _Use | None:
    return next((use for use in reversed(uses) if use.verdict in verdicts), None)


def _question(last: Mapping[str, _Use], pushed: _Use | None, served: Sequence[str]) -> str:
    if served:
        return "Why is this model served?"
    if _WITHDRAWN in last:
        return "Why was this model withdrawn?"
    if "pushed" in last:
        return "Why was this model pushed, and is not served any more?"
    if pushed is None and not last.keys() & set(_JUDGED):
        return "Why was this model neither judged nor pushed?"
    return "Why was this model not blessed?" if "blessed" not in last else "Why was this model not pushed?"


def _instead(store: MetadataStore, uses: Sequence[_Use]) -> list[str]:
    """Says what is served where a model was, and why it was taken back."""
    told = [
        f"It was withdrawn by a rollback: {unstopped(use.execution.verdict_reasons)}"
        for use in [_newest(uses, [_WITHDRAWN])]
        if use is not None
    ]
    pushed = [str(artifact.properties.get("pushed_destination", "")) for use in uses for artifact in use.made]
    for folder in dict.fromkeys(Path(version).parent for version in pushed if version):
        served = serving().served_version(folder)
        record = served.record if served is not None else None
        if served is None:
            told.append(f"It is not served now: {folder} has no version any more.")
        elif record is None:
            told.append(f"It is not served now: {served.path} is, which something else than a Pusher put there.")
        else:
            again = f"version {record.restored} again: {record.reason}" if record.restored else f"Model {record.model_id}"
            told.append(f"It is not served now: {served.path} is ({again.removesuffix('.')}), since {record.pushed.replace('T', ' ')}.")
    return told


def _next(model: Artifact, judged: _Use | None, served: Sequence[str]) -> str:
    blessings = [artifact for artifact in judged.made if artifact.type_name == "ModelBlessing"] if judged is not None else []
    if blessings and blessings[0].state is ArtifactState.LIVE and not served:
        return f"cauce artifacts show {blessings[0].id}"
    return f"cauce lineage {model.id}"


def _unjudged(store: MetadataStore, model: Artifact, origin: Execution | None) -> str:
    """Says why nothing has judged a model: how its run ended."""
    run = next((run for run in store.runs() if origin is not None and run.id == origin.run), None)
    if run is None or run.state is RunState.DONE:
        return "Nothing has judged or pushed it."
    return f"Nothing has judged or pushed it: its run is {run.state.value}{f' ({run.reason})' if run.reason else ''}."


def _uses(store: MetadataStore, model: Artifact) -> list[_Use]:
    """Returns what decided about a model, oldest first; what only repeats an earlier decision is left out."""
    keys = {event.execution: event.key for event in store.events_of_artifacts([model.id or 0], EventKind.INPUT)}
    found = store.executions(execution for execution, key in keys.items() if key in _USES)
    known = [use for use in found if use.state is not ExecutionState.CACHED and (use.verdict or use.error)]
    made = _made(store, known)
    return [_Use(use, keys[use.id], tuple(made[use.id])) for use in sorted(known, key=lambda use: use.id)]


def _made(store: MetadataStore, executions: Iterable[Execution]) -> Mapping[int, list[Artifact]]:
    events = [event for event in store.events_of_executions(execution.id for execution in executions) if event.kind.is_output]
    artifacts = {artifact.id: artifact for artifact in store.artifacts(event.artifact for event in events)}
    found: dict[int, list[Artifact]] = defaultdict(list)
    for event in events:
        found[event.execution].append(artifacts[event.artifact])
    return found
