"""Which models are served, where, and which were before: what stands in the folders that models were pushed to, and what is known of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.artifacts import Artifact
from pipeline.errors import DataError
from pipeline.extensions import serving
from pipeline.lineage.graph import Lineage
from pipeline.metadata import MetadataStore
from pipeline.records import EventKind


@dataclass(frozen=True)
class Judgement:
    """What evaluations said of a model: the last verdict, and the metrics on all rows that it was given for."""

    blessed: bool | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelVersion:
    """A version in a folder that models are served from.

    Attributes:
        destination: The folder.
        number: The version.
        path: Its own folder.
        served: Whether it is what the folder serves now: its highest version.
        model: Number of its Model artifact; None if this store does not know it.
        pipeline: The pipeline that pushed it; empty if something else put it there.
        run: The run that pushed it.
        pushed: When, UTC, as ISO 8601; empty if that is not known.
        size: Bytes of the model; None if that is not known.
        judgement: What evaluations said of the model.
        blessing_reasons: Why it was blessed, as it was told when it was pushed.
        restored: The version that it makes the served one again; None for a new model.
        reason: Why that was done.
        problem: What is wrong with its files; None if nothing is.
    """

    destination: Path
    number: int
    path: Path
    served: bool
    model: int | None = None
    pipeline: str = ""
    run: str = ""
    pushed: str = ""
    size: int | None = None
    judgement: Judgement = Judgement()
    blessing_reasons: tuple[str, ...] = ()
    restored: int | None = None
    reason: str = ""
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Returns what `cauce models list --json` prints of it."""
        return {
            "id": str(self.path),
            "type": "PushedModel",
            "name": f"{self.destination.name}/{self.number}",
            "uri": str(self.path),
            "state": "served" if self.served else "available",
            "created": self.pushed or None,
            "destination": str(self.destination),
            "version": self.number,
            "model": self.model,
            "pipeline": self.pipeline or None,
            "run": self.run or None,
            "size_bytes": self.size,
            "blessed": self.judgement.blessed,
            "blessing_reasons": list(self.blessing_reasons),
            "metrics": self.judgement.metrics,
            "restored": self.restored,
            "reason": self.reason,
            "problem": self.problem,
        }


def model_versions(store: MetadataStore, destinations: Iterable[Path] | None = None) -> list[ModelVersion]:
    """Returns the versions in folders, or in all folders that models were pushed to, oldest first, folder by folder."""
    folders = destinations_of(store) if destinations is None else list(destinations)
    found = [(folder, versions) for folder in folders if (versions := serving().versions(folder))]
    judged = judgements(store, [v.record.model_id for _, versions in found for v in versions if v.record and v.record.model_id])
    return [_version(folder, version, version is versions[-1], judged) for folder, versions in found for version in versions]


def destinations_of(store: MetadataStore) -> list[Path]:
    """Returns the folders that models were pushed to, in the order of the first push."""
    return _destinations(store.all_artifacts("PushedModel"))


def served_now(store: MetadataStore, lineage: Lineage) -> dict[int, tuple[str, ...]]:
    """Returns the artifacts of a lineage that are served now, each with the folders of the served versions.

    A model is served where the highest version of a folder is a copy of it, also after a rollback; a PushedModel, where it is what was
    pushed there.
    """
    found: dict[int, list[str]] = defaultdict(list)
    known = lineage.artifacts.values()
    pushed = [artifact for artifact in known if artifact.type_name == "PushedModel"]
    for folder in destinations_of(store) if any(artifact.type_name == "Model" for artifact in known) else _destinations(pushed):
        versions = serving().versions(folder)
        served = versions[-1] if versions else None
        if served is None:
            continue
        record = served.record
        model = lineage.artifacts.get(record.model_id or 0) if record is not None else None
        if model is not None and record is not None and model.name == record.model:
            found[model.id or 0].append(str(served.path))
        for artifact in pushed:
            if artifact.properties.get("pushed_destination") == str(served.path):
                found[artifact.id or 0].append(str(served.path))
    return {id: tuple(paths) for id, paths in found.items()}


def judgements(store: MetadataStore, models: Sequence[int]) -> dict[int, Judgement]:
    """Returns what was found out about models, by number."""
    judged = {event.execution: event.artifact for event in store.events_of_artifacts(models, EventKind.INPUT) if event.key == "model"}
    events = [event for event in store.events_of_executions(judged) if event.kind.is_output]
    artifacts = {artifact.id or 0: artifact for artifact in store.artifacts(event.artifact for event in events)}
    made: dict[int, dict[int, list[Artifact]]] = defaultdict(lambda: defaultdict(list))
    for event in events:
        if event.artifact in artifacts:
            made[judged[event.execution]][event.execution].append(artifacts[event.artifact])
    return {model: _judgement([outputs[execution] for execution in sorted(outputs)]) for model, outputs in made.items()}


def metrics_of(evaluation: Artifact) -> dict[str, float | None]:
    """Returns the metrics on all rows of a ModelEvaluation; empty if its summary is not there any more, or damaged."""
    try:
        return dict(evaluation.measures())
    except (DataError, AttributeError, TypeError, ValueError):
        return {}


def _destinations(pushed: Iterable[Artifact]) -> list[Path]:
    versions = [artifact.properties["pushed_destination"] for artifact in pushed if "pushed_destination" in artifact.properties]
    return list(dict.fromkeys(Path(str(version)).parent for version in versions))


def _judgement(evaluated: Sequence[Sequence[Artifact]]) -> Judgement:
    """Returns the last verdict with its own metrics: a ChampionCheck that came later, on other data, has given none."""
    with_verdict = [outputs for outputs in evaluated if any(one.type_name == "ModelBlessing" for one in outputs)]
    last = (with_verdict or evaluated)[-1]
    blessing = next((one for one in last if one.type_name == "ModelBlessing"), None)
    evaluation = next((one for one in last if one.type_name == "ModelEvaluation"), None)
    return Judgement(
        None if blessing is None else bool(blessing.properties.get("blessed")),
        {} if evaluation is None else metrics_of(evaluation),
    )


def _version(folder: Path, version: Any, served: bool, judged: dict[int, Judgement]) -> ModelVersion:
    record = version.record
    if record is None:
        return ModelVersion(folder, version.number, version.path, served, problem=version.problem)
    return ModelVersion(
        folder,
        version.number,
        version.path,
        served,
        record.model_id,
        record.pipeline,
        record.run,
        record.pushed,
        record.size,
        judged.get(record.model_id, Judgement()),
        tuple(record.reasons),
        record.restored,
        record.reason,
        version.problem,
    )
