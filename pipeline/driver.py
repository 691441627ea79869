"""The driver: decides what becomes of a node, and says why. It changes nothing; the launcher acts on its decision."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.artifacts import Artifact, Property
from pipeline.cache import CacheKey, KeyPart, compute_key, explain
from pipeline.component import Component, spec_of
from pipeline.errors import ResolutionError
from pipeline.portions import Portion, PortionDecision, decide_portions, is_mapped, joined, remembered, sentences, unusable
from pipeline.records import Execution, ExecutionState
from pipeline.resolution import ArtifactGroups, History, Missing, Pending, Resolution
from pipeline.storage import Storage

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
        left_out: Names of parameters and inputs that are no part of the key: a part in `parts` says it better, or a change of them
            alone is no reason to do the work.
        notes: Properties to record on the execution.
        portions: The portions that the work falls into; empty where it is one piece.
        remarks: What else a person should know of the decision, one sentence each.
    """

    parameters: Mapping[str, Any]
    parts: tuple[KeyPart, ...] = ()
    left_out: frozenset[str] = frozenset()
    notes: Mapping[str, Property] = field(default_factory=dict)
    portions: tuple[Portion, ...] = ()
    remarks: tuple[str, ...] = ()


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
        portions: What becomes of the portions of the work; empty where it is one piece.
    """

    action: Action
    reasons: tuple[str, ...]
    inputs: ArtifactGroups = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    key: CacheKey | None = None
    outputs: ArtifactGroups = field(default_factory=dict)
    origin: Execution | None = None
    notes: Mapping[str, Property] = field(default_factory=dict)
    portions: tuple[PortionDecision, ...] = ()


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

    def reads_spans(self, node: Component) -> bool:
        """Returns whether `node` has a parameter `span` that says which spans of its input it reads."""
        return False

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
        counting = {name: artifacts for name, artifacts in inputs.items() if name not in prepared.left_out}
        key = compute_key(node, counting, keyed, extra=prepared.parts, folders=run.folders)
        if earlier is not None and earlier.key == key.digest and self._refusal(node, earlier, run, resolution.history) is None:
            return _done(earlier, store)
        origin, reasons = self._look_up(node, key, run, resolution.history, storage)
        action, outputs = (Action.RUN, {}) if origin is None else (Action.CACHED, store.outputs_of(origin.id))
        decision = Decision(action, (*reasons, *prepared.remarks), inputs, prepared.parameters, key, outputs, origin, prepared.notes)
        return self._with_portions(node, decision, prepared, run, resolution.history, storage) if prepared.portions else decision

    def _with_portions(
        self, node: Component, whole: Decision, prepared: Prepared, run: RunInfo, history: History, storage: Storage
    ) -> Decision:
        """Returns the decision on work that falls into portions: those that were done before are not done again."""
        key, last = whole.key or CacheKey(()), self._last(node, history)
        searched = whole.action is Action.RUN and self._forbidden(node, run) is None
        own = frozenset().union(*(portion.own_parts for portion in prepared.portions))
        common = self._why_new(node, key, run, history, storage, own=own) if searched else ()
        store = history.store if searched else None
        is_done = whole.action is Action.CACHED
        made = decide_portions(node, prepared.portions, key, prepared.left_out, store, last, is_done=is_done, common=bool(common))
        decision = replace(whole, notes={**whole.notes, "portions": remembered(made)}, portions=made)
        if not searched or (len(made) == 1 and not made[0].is_done):
            return decision
        decision = replace(decision, reasons=(*common, *sentences(node, made), *prepared.remarks))
        if is_mapped(node) and all(portion.is_done for portion in made):
            return replace(decision, action=Action.CACHED, outputs=joined(node, made))
        return decision

    def _look_up(
        self, node: Component, key: CacheKey, run: RunInfo, history: History, storage: Storage
    ) -> tuple[Execution | None, tuple[str, ...]]:
        """Returns the execution to reuse, or None; and why."""
        forbidden = self._forbidden(node, run)
        if forbidden is not None:
            return None, (forbidden,)
        refusals = []
        for execution in reversed(history.store.executions_by_key(key.digest)):
            if not execution.state.succeeded or execution.key != key.digest:
                continue  # failed, or it did this beside other portions
            refusal = self._refusal(node, execution, run, history)
            if refusal is None:
                return execution, (f"nothing changed since {_when(execution)}",)
            refusals += [refusal] if refusal else []
        if refusals:
            return None, (refusals[0],)
        return None, self._why_new(node, key, run, history, storage)

    @staticmethod
    def _forbidden(node: Component, run: RunInfo) -> str | None:
        """Returns why no earlier result may be reused; None if it may."""
        if not run.cache:
            return "the cache is off for this run (--no-cache)"
        if node.id in run.rerun:
            return "asked for with --rerun"
        return None if node.options.cache and type(node).cacheable else "its cache is off (cache=False)"

    def _refusal(self, node: Component, execution: Execution, run: RunInfo, history: History) -> str | None:
        """Returns why an execution with the right key cannot be reused; None if it can."""
        outputs = history.store.outputs_of(execution.id)
        for name, declared in spec_of(type(node)).outputs.items():
            problem = unusable(name, outputs.get(name, ()), optional=declared.optional)
            if problem:
                return problem
        return self.check_cached(node, outputs, run.project)

    @staticmethod
    def _last(node: Component, history: History) -> Execution | None:
        """Returns the node's last successful execution that has a cache key."""
        known = (execution for execution in history.executions(node.id) if execution.properties.get("cache_parts"))
        return next(known, None)

    def _why_new(
        self, node: Component, key: CacheKey, run: RunInfo, history: History, storage: Storage, *, own: frozenset[str] = frozenset()
    ) -> tuple[str, ...]:
        """Returns what is different from the node's last execution, leaving out the parts of the key that are each portion's `own`."""
        last = self._last(node, history)
        if last is None:
            tried = history.store.executions_of_node(history.pipeline, node.id, limit=1)
            failed = any(execution.state is ExecutionState.FAILED for execution in tried)
            return ("it has not succeeded yet" if failed else NEVER_RUN,)
        before = CacheKey.from_json(str(last.properties["cache_parts"]))
        found = explain(key.without(own), before.without(own), run.folders, storage.kept_code)
        return found or (() if own else ("its earlier result is gone",))


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
        holds, reason = condition.holds(found[-1])  # the newest, where there are several
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
        if len(found) > 1 and not declared[name].many:
            raise ResolutionError(
                f"Node '{node.id}': input '{name}' takes one {declared[name].type.TYPE_NAME}. Received: {len(found)}.",
                hint=f"Take the last one in the definition: {channels[0].name}.newest()",
            )
        if found:
            inputs[name] = tuple(found)
    return inputs, None
