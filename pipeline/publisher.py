"""The publisher: makes the result of an executor true. Files first, one metadata transaction second."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.artifacts import Artifact, ArtifactState, Property
from pipeline.component import Component, spec_of
from pipeline.driver import Action, Decision, RunInfo
from pipeline.errors import CauceError, ExecutionError, InterruptedRunError
from pipeline.executor import Result
from pipeline.hashing import digest_tree, extent, files_below
from pipeline.metadata import MetadataStore, component_name
from pipeline.records import SKIPPED, EventKind, ExecutionState
from pipeline.resolution import ArtifactGroups
from pipeline.storage import Storage, check_payload

_COPIED = ("verdict", "verdict_reasons", "blocks", "rows_read", "rows_written", "rows_dropped", "measures")


_SETTLED = {Action.CACHED: ExecutionState.CACHED, Action.SELECT: ExecutionState.COMPLETE, Action.SKIP: ExecutionState.CANCELED}


@dataclass(frozen=True)
class Publisher:
    """Publishes the results of one run.

    Attributes:
        store: The metadata store.
        storage: The root folder.
        run: The run.
    """

    store: MetadataStore
    storage: Storage
    run: RunInfo

    def publish(
        self,
        node: Component,
        execution: int,
        decision: Decision,
        result: Result,
        staged: ArtifactGroups,
        timing: Mapping[str, Property],
    ) -> ArtifactGroups:
        """Publishes what a successful executor wrote; returns the outputs by name.

        1. The balance of records is checked, and each payload.
        2. Each payload is digested and renamed to its final place.
        3. One transaction records state, artifacts, events and contexts.

        Raises:
            CauceError: If records were lost, or an output is empty or cannot be published.
        """
        _check_rows(node, result)
        outputs: ArtifactGroups = {}
        for name, group in staged.items():
            published = self._published(node, name, group, result, execution)
            if published:
                outputs[name] = published
        keys = [decision.key.digest] if decision.key else []
        keys += [made.key.digest for made in decision.portions if not made.is_done]
        properties = {**decided(result), **result.notes, **_measures(outputs, result), **timing}
        self.store.publish(execution, ExecutionState.COMPLETE, properties, outputs, cache_keys=keys)
        self.storage.discard(self.run.run, execution)
        return outputs

    def settle(self, node: Component, decision: Decision, properties: Mapping[str, Property]) -> int:
        """Publishes what needs no work, in one transaction; returns the number of its execution.

        A cache hit, or a selection from history, has earlier artifacts as its outputs; a skipped node has none.
        """
        state = _SETTLED[decision.action]
        origin = decision.origin
        copied: dict[str, Property] = {"verdict": SKIPPED} if decision.action is Action.SKIP else {}
        if origin is not None:
            copied = {name: value for name, value in origin.properties.items() if name in _COPIED} | {"cached_from": origin.id}
        return self.store.register(
            self.run.pipeline,
            self.run.run,
            node.id,
            component_name(type(node)),
            {**properties, **copied},
            decision.inputs,
            state=state,
            outputs=decision.outputs,
            kind=EventKind.INTERNAL_OUTPUT if decision.action is Action.SELECT else EventKind.OUTPUT,
        )

    def fail(self, node: Component, execution: int, error: CauceError, timing: Mapping[str, Property]) -> None:
        """Publishes a failure and removes what the executor left; its log stays."""
        state = ExecutionState.CANCELED if isinstance(error, InterruptedRunError) else ExecutionState.FAILED
        if self.store.executions([execution])[0].state.succeeded:
            return  # its record was written in spite of the error, so what it says must stay true
        self.storage.discard_unpublished(self.run.pipeline, node.id, self.run.run, execution)
        self.store.publish(execution, state, {"error": str(error), "error_type": type(error).__name__, **timing})

    def _published(self, node: Component, name: str, group: Sequence[Artifact], result: Result, execution: int) -> tuple[Artifact, ...]:
        """Publishes the new artifacts of an output; those that have a number were published before."""
        published = []
        for index, artifact in enumerate(group):
            if artifact.id is None:
                artifact.properties.update(result.properties.get(artifact.path.name, {}))
                if _may_stay_empty(node, name, artifact):
                    continue
                check_payload(artifact, name)
                self._commit(node, name, artifact, execution, index if len(group) > 1 else None)
            published.append(artifact)
        return tuple(published)

    def _commit(self, node: Component, name: str, artifact: Artifact, execution: int, index: int | None) -> None:
        final = self.storage.final(self.run.pipeline, node.id, name, self.run.run, execution, index)
        artifact.digest, artifact.size, artifact.files = digest_tree(artifact.path), *extent(artifact.path)
        self.storage.commit(artifact.path, final)
        artifact.path = final
        artifact.name = f"{self.run.pipeline}/{self.run.run}/{node.id}/{name}/{execution}" + ("" if index is None else f"/{index}")
        artifact.producer = node.id
        artifact.state = ArtifactState.LIVE


def decided(result: Result) -> dict[str, Property]:
    """Returns verdict and balance of records as properties of an execution."""
    properties: dict[str, Property] = {}
    if result.verdict is not None:
        properties["verdict"] = result.verdict.kind
        properties["verdict_reasons"] = json.dumps(result.verdict.reasons)
        properties["blocks"] = int(result.verdict.blocks)
    if result.rows is not None:
        properties["rows_read"] = result.rows.read
        properties["rows_written"] = json.dumps(dict(result.rows.written))
        properties["rows_dropped"] = json.dumps(dict(result.rows.dropped))
    properties["peak_memory"] = result.peak_memory
    return properties


def _measures(outputs: ArtifactGroups, result: Result) -> dict[str, Property]:
    """Returns what the outputs measure and what the component measured, as a property; a summary that cannot be read measures nothing."""
    found: dict[str, float] = {}
    for artifact in (artifact for group in outputs.values() for artifact in group):
        with contextlib.suppress(CauceError, AttributeError, TypeError):
            found |= artifact.measures()
    found |= json.loads(str(result.notes.get("measures", "{}")))
    return {"measures": json.dumps(found, sort_keys=True)} if found else {}


def _may_stay_empty(node: Component, name: str, artifact: Artifact) -> bool:
    return spec_of(type(node)).outputs[name].optional and next(files_below(artifact.path), None) is None


def _check_rows(node: Component, result: Result) -> None:
    if result.rows is not None and result.rows.missing != 0:
        rows = result.rows
        raise ExecutionError(
            f"Node '{node.id}' read {rows.read:,} records, wrote {sum(rows.written.values()):,}, dropped {sum(rows.dropped.values()):,}: "
            f"{abs(rows.missing):,} are {'missing' if rows.missing > 0 else 'too many'}. Nothing was published."
        )
