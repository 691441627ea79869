"""Resolver: selects artifacts from the history of the pipeline instead of making some."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.strategies import STRATEGIES, Query, Selection, Strategy
from pipeline.artifacts import Artifact, Model, ModelBlessing, type_names
from pipeline.artifacts import artifact_type as type_named
from pipeline.channel import Channel
from pipeline.component import Component, Output
from pipeline.driver import Decision, Driver, RunInfo
from pipeline.errors import DefinitionError, UserCodeError, did_you_mean
from pipeline.resolution import ArtifactGroups, History, Resolution
from pipeline.storage import Storage
from pipeline.usercode import load_function

if TYPE_CHECKING:
    from pipeline.metadata import MetadataStore

_NEEDS = {"span_range": "span", "rolling_window": "window"}


class ResolverDriver(Driver):
    """Asks the node's strategy."""

    def __init__(self) -> None:
        self._folders: tuple[Path, ...] = ()

    def decide(self, node: Component, run: RunInfo, resolution: Resolution, store: MetadataStore, storage: Storage) -> Decision:
        """Decides as all drivers do; a strategy of the user's is looked for where the run's user code lies."""
        self._folders = run.folders
        return super().decide(node, run, resolution, store, storage)

    def resolve(self, node: Component, history: History) -> tuple[ArtifactGroups, str]:
        """Returns the selection, and why."""
        selection = self._strategy(node)(history, query_of(node))
        if not isinstance(selection, Selection):
            raise UserCodeError(
                f"Node '{node.id}': {node.parameters['strategy']} must return a components.strategies.Selection. Received: {selection!r}"
            )
        return selection.by_output, selection.reason

    def _strategy(self, node: Component) -> Strategy:
        name = node.parameters["strategy"]
        return STRATEGIES[name] if name in STRATEGIES else load_function(name, self._folders)


def query_of(node: Component) -> Query:
    """Returns what a Resolver is asked for."""
    values = node.parameters
    span = None if values["span"] is None else str(values["span"])
    return Query(
        values["artifact_type"], values["pipeline"], values["node"], values["where"] or {}, span, values["window"], values["config"] or {}
    )


class Resolver(Component):
    """Selects artifacts that earlier runs have made.

    What it selects is recorded as INTERNAL_OUTPUT. It may select nothing; then an optional input that it feeds is empty, and a
    node that needs it is skipped with that reason. Artifacts whose files are gone or damaged are passed over.

    Outputs:
        model: The model that was blessed last, of `latest_blessed_model`.
        blessing: Its blessing.
        artifact: What every other strategy selects; several artifacts, oldest span first, of `span_range` and `rolling_window`.

    Args:
        strategy: `latest_blessed_model`; `latest_artifact`; `span_range`, an artifact for each span of `span`; `rolling_window`, one
            for each of the last `window` spans; or `module:function` of your own, see `docs/spans.md`. Default: `latest_blessed_model`.
        artifact_type: The name of the type, for all strategies but `latest_blessed_model`.
        pipeline: Name of the pipeline whose history is searched. Default: None, the node's own.
        node: Id of the node that made the artifact, such as `CsvExampleGen` where Transform makes Examples too. Default: None, any.
        where: Properties that the artifact must have, `{"split_names": '["train"]'}`. Default: none.
        span: For `span_range`: `"3..7"`, `"3.."`, `"..7"`, or one number.
        window: For `rolling_window`: how many spans.
        config: Handed to a strategy of your own. Default: none.

    Raises:
        DefinitionError: If there is no such strategy or artifact type, or a parameter is missing or not asked for.

    Example:

        champion = Resolver("latest_blessed_model")      # champion.model, champion.blessing
        schema = Resolver("latest_artifact", artifact_type="Schema", id="schema").artifact
        month = Resolver("rolling_window", artifact_type="Examples", node="CsvExampleGen", window=30, id="month").artifact
    """

    isolated = False
    driver = ResolverDriver

    def __init__(self, strategy: str = "latest_blessed_model", **options: Any) -> None:
        super().__init__(strategy=strategy, **options)
        if strategy != "latest_blessed_model":
            self.outputs["artifact"] = Channel(self, "artifact", type_named(self.parameters["artifact_type"]))

    def makes_several(self, output: str) -> bool:
        """Whether its strategy selects an artifact for each span."""
        return output == "artifact" and self.parameters["strategy"] in _NEEDS

    def validate(self) -> None:
        """Checks that the parameters are those of the strategy."""
        values = self.parameters
        strategy, wanted = values["strategy"], values["artifact_type"]
        if strategy not in STRATEGIES and ":" not in strategy:
            raise DefinitionError(
                f"Node '{self.id}': there is no strategy '{strategy}'.{did_you_mean(strategy, STRATEGIES)}",
                hint="One of your own is written 'module:function'.",
            )
        if (strategy == "latest_blessed_model") == bool(wanted):
            raise DefinitionError(
                f"Node '{self.id}': each strategy but latest_blessed_model needs artifact_type='...', and that one takes none. "
                f"Received: {strategy!r}, {wanted!r}"
            )
        if wanted and wanted not in type_names():
            raise DefinitionError(f"Node '{self.id}': there is no artifact type '{wanted}'.{did_you_mean(wanted, type_names())}")
        for owner, name in _NEEDS.items():
            if strategy in STRATEGIES and (strategy == owner) != (values[name] is not None):
                raise DefinitionError(f"Node '{self.id}': {owner} needs {name}=..., and only it takes one. Received: {strategy!r}")
        if strategy == "latest_blessed_model" and (values["node"] or values["where"]):
            raise DefinitionError(f"Node '{self.id}': latest_blessed_model takes neither node nor where.")
        if values["window"] is not None and values["window"] < 1:
            raise DefinitionError(f"Node '{self.id}': window must be 1 or more. Received: {values['window']}")
        if strategy == "span_range":
            _ = query_of(self).ends

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
        node: str | None = None,
        where: dict[str, int | float | str] | None = None,
        span: int | str | None = None,
        window: int | None = None,
        config: dict[str, Any] | None = None,
    ) -> None:
        """Does nothing: the driver resolves."""
