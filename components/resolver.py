"""Resolver: selects artifacts from the history of the pipeline instead of making some."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from components.rollbacks import withdrawals_of
from pipeline.artifacts import Artifact, Model, ModelBlessing, type_names
from pipeline.artifacts import artifact_type as type_named
from pipeline.channel import Channel
from pipeline.component import Component, Output
from pipeline.driver import Driver
from pipeline.errors import DefinitionError, did_you_mean
from pipeline.records import EventKind
from pipeline.resolution import ArtifactGroups, History
from pipeline.storage import damage


def latest_artifact(history: History, wanted: str, pipeline: str | None) -> tuple[ArtifactGroups, str]:
    """Selects the newest usable artifact of a type."""
    artifact, passed = _first_usable(history.artifacts(wanted, pipeline=pipeline))
    if artifact is None:
        return {}, f"'{pipeline or history.pipeline}' has no {wanted} yet{passed}"
    return {"artifact": (artifact,)}, f"{wanted} {artifact.id} is the latest of '{pipeline or history.pipeline}'{passed}"


def latest_blessed_model(history: History, wanted: str, pipeline: str | None) -> tuple[ArtifactGroups, str]:
    """Selects the model that was blessed last, also where that blessing was a cache hit, with its blessing.

    A model that was rolled back is passed over, until a rollback makes it the served one again.
    """
    withdrawn = withdrawals_of(history, pipeline)
    found = history.artifacts("ModelBlessing", pipeline=pipeline)
    blessed = {artifact.id or 0: artifact for artifact in found if artifact.properties.get("blessed") == 1}
    last_execution = dict.fromkeys(blessed, 0)
    for event in history.store.events_of_artifacts(blessed):
        if event.kind is EventKind.OUTPUT:  # that a Resolver selected one is no blessing
            last_execution[event.artifact] = max(last_execution[event.artifact], event.execution)
    passed = ""
    for number in sorted(blessed, key=last_execution.__getitem__, reverse=True):
        blessing = blessed[number]
        model, why_not = _first_usable(history.store.artifacts([int(blessing.properties.get("current_model_id", 0))]))
        rolled_back = None if model is None else withdrawn.reason(model)
        if model is not None and rolled_back is not None:
            passed += f"; model {model.id} was passed over: it was rolled back ({rolled_back})"
        elif model is not None:
            return {"model": (model,), "blessing": (blessing,)}, f"model {model.id} was blessed last (blessing {number}){passed}"
        passed += why_not
    return {}, f"no model of '{pipeline or history.pipeline}' has been blessed yet{passed}"


STRATEGIES = {"latest_artifact": latest_artifact, "latest_blessed_model": latest_blessed_model}


def _first_usable(artifacts: Iterable[Artifact]) -> tuple[Artifact | None, str]:
    """Returns the first artifact whose files are there, and a word on those that were passed over."""
    passed: list[str] = []
    for artifact in artifacts:
        problem = damage(artifact) if artifact.state.value == "LIVE" else "it was removed"
        if problem is None:
            return artifact, "".join(f"; {text}" for text in passed)
        passed.append(f"{artifact.type_name} {artifact.id} was passed over: {problem}")
    return None, "".join(f"; {text}" for text in passed)


class ResolverDriver(Driver):
    """Asks the node's strategy."""

    def resolve(self, node: Component, history: History) -> tuple[ArtifactGroups, str]:
        parameters = node.parameters
        return STRATEGIES[parameters["strategy"]](history, parameters["artifact_type"], parameters["pipeline"])


class Resolver(Component):
    """Selects artifacts that earlier runs have made.

    What it selects is recorded as INTERNAL_OUTPUT. It may select nothing; then an optional input that it feeds is empty, and a
    node that needs it is skipped with that reason.

    Outputs:
        model: The model that was blessed last, of `latest_blessed_model`.
        blessing: Its blessing.
        artifact: The newest artifact of the type, of `latest_artifact`. Artifacts whose files are gone or damaged are passed over.

    Args:
        strategy: `latest_blessed_model` or `latest_artifact`. Default: `latest_blessed_model`.
        artifact_type: For `latest_artifact`: the name of the type.
        pipeline: Name of the pipeline whose history is searched. Default: None, the node's own.

    Raises:
        DefinitionError: If there is no such strategy or artifact type, or a type is missing or not asked for.

    Example:

        champion = Resolver("latest_blessed_model")      # champion.model, champion.blessing
        schema = Resolver("latest_artifact", artifact_type="Schema").artifact
    """

    isolated = False
    driver = ResolverDriver

    def __init__(
        self, strategy: str = "latest_blessed_model", *, artifact_type: str = "", pipeline: str | None = None, **options: Any
    ) -> None:
        super().__init__(strategy=strategy, artifact_type=artifact_type, pipeline=pipeline, **options)
        if strategy == "latest_artifact":
            self.outputs["artifact"] = Channel(self, "artifact", type_named(artifact_type))

    def validate(self) -> None:
        strategy, wanted = self.parameters["strategy"], self.parameters["artifact_type"]
        if strategy not in STRATEGIES:
            raise DefinitionError(f"Node '{self.id}': there is no strategy '{strategy}'.{did_you_mean(strategy, STRATEGIES)}")
        if (strategy == "latest_artifact") != bool(wanted):
            raise DefinitionError(
                f"Node '{self.id}': latest_artifact needs artifact_type='...', and only it takes one. Received: {strategy!r}, {wanted!r}"
            )
        if wanted and wanted not in type_names():
            raise DefinitionError(f"Node '{self.id}': there is no artifact type '{wanted}'.{did_you_mean(wanted, type_names())}")

    def execute(
        self,
        context: Any,
        model: Output[Model] | None,
        blessing: Output[ModelBlessing] | None,
        artifact: Output[Artifact] | None,
        *,
        strategy: str = "latest_blessed_model",
        artifact_type: str = "",
        pipeline: str | None = None,
    ) -> None:
        """Does nothing: the driver resolves."""
