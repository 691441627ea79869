"""The driver: decides what becomes of a node, and says why. It changes nothing; the launcher acts on its decision."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.artifacts import Artifact, Property
from pipeline.cache import CacheKey, KeyPart, compute_key, explain
from pipeline.component import Component, spec_of
from pipeline.records import Execution, ExecutionState
from pipeline.resolution import ArtifactGroups, History, Missing, Pending, Resolution
from pipeline.storage import Storage, damage

if TYPE_CHECKING:
    from pipeline.metadata import MetadataStore

__all__ = ["NEVER_RUN", "Action", "Decision", "Driver", "KeyPart", "Prepared", "RunInfo", "driver_of"]


NEVER_RUN = "it has not run before"


class Action(enum.Enum):
    """What becomes of a node."""

    RUN = "run"
    CACHED = "cached"
    SKIP = "skipped"
    SELECT = "selected"
    DONE = "done"
    WAIT = "waits"


@dataclass(frozen=True)
class RunInfo:
    """What all nodes of one run share.

    Attributes:
        pipeline: Name of the pipeline.
        run: Id of the run.
        project: Folder that relative paths are relative to.
        definition: File of the definition; None for a pipeline that was built in a notebook or a test.
        folders: Where user code lies.
        selected: Ids of the nodes that run.
        beam_args: Arguments of Beam for all nodes.
        cache: Whether earlier results may be reused.
        rerun: Ids of the nodes whose earlier results may not be reused.
        environment: Digest by which the root folder keeps the versions of all packages; empty in a plan.
    """

    pipeline: str
    run: str
    project: Path
    definition: Path | None
    folders: tuple[Path, ...]
    selected: frozenset[str]
    beam_args: tuple[str, ...] = ()
    cache: bool = True
    rerun: frozenset[str] = frozenset()
    environment: str = ""


@dataclass(frozen=True)
class Prepared:
    """What a component's own driver adds to a decision.

    Attributes:
        parameters: The parameters for `execute`, resolved (for example a pattern replaced by its files).
        parts: Further parts of the cache key.
        left_out: Names of parameters that are no part of the key, because a part in `parts` says it better.
        notes: Properties to record on the execution.
    """

    parameters: Mapping[str, Any]
    parts: tuple[KeyPart, ...] = ()
    left_out: frozenset[str] = frozenset()
    notes: Mapping[str, Property] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """What becomes of a node, and why.

    Attributes:
        action: Whether it runs, or what happens instead.
        reasons: One sentence each; never empty.
        inputs: The artifacts of its inputs by name.
        parameters: The parameters for `execute`.
        key: The cache key, where one was computed.
        outputs: For CACHED and SELECT: the artifacts that stand for its outputs.
        origin: For CACHED and DONE: the execution whose result it is.
        notes: Properties to record on the execution.
    """

    action: Action
    reasons: tuple[str, ...]
    inputs: ArtifactGroups = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    key: CacheKey | None = None
    outputs: ArtifactGroups = field(default_factory=dict)
    origin: Execution | None = None
    notes: Mapping[str, Property] = field(default_factory=dict)


class Driver:
    """Base of all drivers. A component's own driver overrides one or more of the four hooks."""

    def select_inputs(self, node: Component, inputs: ArtifactGroups, history: History) -> ArtifactGroups:
        """Returns the inputs to use, from those that the channels gave."""
        return inputs

    def prepare(self, node: Component, inputs: Mapping[str, tuple[Artifact, ...]], project: Path) -> Prepared:
        """Resolves the parameters before the cache is asked; reads only what is cheap to read, and changes nothing."""
        return Prepared(dict(node.parameters))

    def check_cached(self, node: Component, outputs: Mapping[str, tuple[Artifact, ...]], project: Path) -> str | None:
        """Returns why cached outputs may not be reused although key and files are right; None if they may."""
        return None

    def resolve(self, node: Component, history: History) -> tuple[ArtifactGroups, str] | None:
        """For components that select artifacts instead of making some: the selection by output, and why; None for all others."""
        return None

    def decide(self, node: Component, run: RunInfo, resolution: Resolution, store: MetadataStore, storage: Storage) -> Decision:
        """Returns what becomes of the node.

        1. A condition that does not hold, or a needed input that is empty, skips it.
        2. A component that selects from history is resolved.
        3. Parameters are resolved and the key is computed.
        4. The same work done earlier in this run (before a crash) is done; done in another run, it is a cache hit.

        Raises:
            CauceError: If an input has a wrong type, or a parameter or an input file is wrong.
        """
        unmet = _unmet_condition(node, resolution)
        if unmet is not None:
            return unmet
        inputs, missing = _inputs(node, resolution)
        if isinstance(missing, Pending):
            return Decision(Action.WAIT, (f"runs if the output of {missing.channel.node.id} is different",))
        if missing is not None:
            return Decision(Action.SKIP, (missing.reason,))
        earlier = resolution.done(node.id)
        selection = self.resolve(node, resolution.history)
        if selection is not None:
            if earlier is not None:
                return _done(earlier, store)
            return Decision(Action.SELECT, (selection[1],), inputs, dict(node.parameters), outputs=selection[0])
        inputs = self.select_inputs(node, inputs, resolution.history)
        prepared = self.prepare(node, inputs, run.project)
        keyed = {name: value for name, value in prepared.parameters.items() if name not in prepared.left_out}
        key = compute_key(node, inputs, keyed, extra=prepared.parts, folders=run.folders)
        if earlier is not None and earlier.key == key.digest and self._refusal(node, earlier, run, resolution.history) is None:
            return _done(earlier, store)
        origin, reasons = self._look_up(node, key, run, resolution.history, storage)
        action, outputs = (Action.RUN, {}) if origin is None else (Action.CACHED, store.outputs_of(origin.id))
        return Decision(action, reasons, inputs, prepared.parameters, key, outputs, origin, prepared.notes)

    def _look_up(
        self, node: Component, key: CacheKey, run: RunInfo, history: History, storage: Storage
    ) -> tuple[Execution | None, tuple[str, ...]]:
        """Returns the execution to reuse, or None; and why."""
        if not run.cache:
            return None, ("the cache is off for this run (--no-cache)",)
        if node.id in run.rerun:
            return None, ("asked for with --rerun",)
        if not (node.options.cache and type(node).cacheable):
            return None, ("its cache is off (cache=False)",)
        refusals = []
        for execution in reversed(history.store.executions_by_key(key.digest)):
            refusal = self._refusal(node, execution, run, history) if execution.state.succeeded else None
            if execution.state.succeeded and refusal is None:
                return execution, (f"nothing changed since {_when(execution)}",)
            refusals += [refusal] if refusal else []
        if refusals:
            return None, (refusals[0],)
        return None, self._why_new(node, key, run, history, storage)

    def _refusal(self, node: Component, execution: Execution, run: RunInfo, history: History) -> str | None:
        """Returns why an execution with the right key cannot be reused; None if it can."""
        outputs = history.store.outputs_of(execution.id)
        for name, declared in spec_of(type(node)).outputs.items():
            if not outputs.get(name) and not declared.optional:
                return f"its cached output '{name}' is not in the store"
            for artifact in outputs.get(name, ()):
                if artifact.state.value != "LIVE":
                    return f"its cached output '{name}' was removed ({artifact.state.value})"
                problem = damage(artifact)
                if problem:
                    return f"its cached output '{name}' is damaged: {problem}"
        return self.check_cached(node, outputs, run.project)

    def _why_new(self, node: Component, key: CacheKey, run: RunInfo, history: History, storage: Storage) -> tuple[str, ...]:
        known = (execution for execution in history.executions(node.id) if execution.properties.get("cache_parts"))
        last = next(known, None)
        if last is None:
            tried = history.store.executions_of_node(history.pipeline, node.id, limit=1)
            failed = any(execution.state is ExecutionState.FAILED for execution in tried)
            return ("it has not succeeded yet" if failed else NEVER_RUN,)
        before = CacheKey.from_json(str(last.properties["cache_parts"]))
        return explain(key, before, run.folders, storage.kept_code) or ("its earlier result is gone",)


def driver_of(node: Component) -> Driver:
    """Returns the driver of a node: its component's own, or the common one."""
    kind = type(node).driver or Driver
    driver: Driver = kind()
    return driver


def _when(execution: Execution) -> str:
    return f"run {execution.run}" if execution.run else f"execution {execution.id}"


def _done(earlier: Execution, store: MetadataStore) -> Decision:
    return Decision(Action.DONE, ("done by this run before it was resumed",), origin=earlier, outputs=store.outputs_of(earlier.id))


def _unmet_condition(node: Component, resolution: Resolution) -> Decision | None:
    for condition in node.conditions:
        found = resolution.of_channel(condition.channel)
        if isinstance(found, Pending):
            return Decision(Action.WAIT, (f"runs if {condition.description}",))
        if isinstance(found, Missing):
            return Decision(Action.SKIP, (f"its condition cannot be judged: {found.reason}",))
        holds, reason = condition.holds(found[0])
        if not holds:
            return Decision(Action.SKIP, (reason,))
    return None


def _inputs(node: Component, resolution: Resolution) -> tuple[ArtifactGroups, Missing | None]:
    """Returns the artifacts of each input, or the first needed one that is missing."""
    inputs: ArtifactGroups = {}
    declared = spec_of(type(node)).inputs
    for name, channels in node.inputs.items():
        found: list[Artifact] = []
        for channel in channels:
            artifacts = resolution.require(channel, declared[name].type, node.id, name)
            if isinstance(artifacts, Pending) or (isinstance(artifacts, Missing) and not declared[name].optional):
                return {}, artifacts
            if isinstance(artifacts, Missing):
                continue
            found.extend(artifacts)
        if found:
            inputs[name] = tuple(found)
    return inputs, None
