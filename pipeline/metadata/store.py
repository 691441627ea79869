"""The store of executions, artifacts, runs and the events between them.

Every method is one short transaction, safe to call from several threads. Methods that read write nothing, not even a type.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ml_metadata import errors
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as proto

from pipeline.artifacts import Artifact, Property
from pipeline.component import Component
from pipeline.metadata import conversion
from pipeline.metadata.columns import Columns, FileColumns, RecordColumns
from pipeline.metadata.connection import Connection, sqlite_file
from pipeline.records import MANUAL_RUN, Event, EventKind, Execution, ExecutionState, Run, RunState

_BATCH = 500
_PIPELINE, _RUN, _NODE, _CACHE = "pipeline", "pipeline_run", "node", "execution_cache"


def component_name(kind: type[Component]) -> str:
    """Returns the name of a component's execution type: its class path."""
    return f"{kind.__module__}.{kind.__qualname__}"


class MetadataStore:
    """A connection to one store.

    Args:
        url: See `connection_config`.

    Raises:
        MetadataError: If it cannot be opened, with what the database said.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection = Connection(url)
        self._call = self._connection.call
        self._types: dict[tuple[str, str], int] = {}
        self._contexts: dict[tuple[str, str], int] = {}

    def _artifact_type(self, kind: type[Artifact]) -> int:
        wanted = conversion.artifact_type_record(kind)
        return self._type("artifact", wanted, "put_artifact_type")

    def _execution_type(self, name: str) -> int:
        return self._type("execution", proto.ExecutionType(name=name), "put_execution_type")

    def _context_type(self, name: str) -> int:
        return self._type("context", proto.ContextType(name=name), "put_context_type")

    def _type(self, kind: str, wanted: Any, method: str) -> int:
        key = (kind, wanted.name)
        if key not in self._types:
            self._types[key] = self._call(lambda store: getattr(store, method)(wanted, can_add_fields=True, can_omit_fields=True))
        return self._types[key]

    def _context(self, kind: str, name: str) -> proto.Context:
        """Returns the context of this type and name, made if it is not there; two processes may do this at once."""
        type_id = self._context_type(kind)
        known = self._contexts.get((kind, name))
        if known is None:
            found = self._call(lambda store: store.get_context_by_type_and_name(kind, name))
            if found is None:
                try:
                    known = self._call(lambda store: store.put_contexts([proto.Context(type_id=type_id, name=name)]))[0]
                except errors.AlreadyExistsError:
                    found = self._call(lambda store: store.get_context_by_type_and_name(kind, name))
            known = int(found.id if found is not None else known or 0)
            self._contexts[(kind, name)] = known
        return proto.Context(id=known, type_id=type_id, type=kind, name=name)

    def begin_run(self, pipeline: str, run: str, properties: Mapping[str, Property]) -> None:
        """Records a run as running, as a child of its pipeline; to begin a run again goes on with it."""
        parent, child = self._context(_PIPELINE, pipeline), self._context(_RUN, run)
        with contextlib.suppress(errors.AlreadyExistsError):
            self._call(lambda store: store.put_parent_contexts([proto.ParentContext(parent_id=parent.id, child_id=child.id)]))
        self.update_run(run, {"pipeline": pipeline, "state": RunState.RUNNING.value, "ended": 0, **properties})

    def update_run(self, run: str, properties: Mapping[str, Property]) -> None:
        """Changes properties of a run; the others stay."""
        context = self._call(lambda store: store.get_context_by_type_and_name(_RUN, run))
        for name, value in properties.items():
            conversion.set_value(context.custom_properties[name], value)
        self._call(lambda store: store.put_contexts([context]))

    def run(self, run: str) -> Run:
        """Returns a run that is in the store."""
        return conversion.read_run(self._call(lambda store: store.get_context_by_type_and_name(_RUN, run)))

    def find_run(self, run: str) -> Run | None:
        """Returns a run; None where the store has none of that id."""
        context = self._call(lambda store: store.get_context_by_type_and_name(_RUN, run))
        # Between the two writes of `begin_run` a run has no state yet.
        return conversion.read_run(context) if context is not None and "state" in context.custom_properties else None

    def runs(self, pipeline: str | None = None) -> list[Run]:
        """Returns the runs, oldest first."""
        contexts = self._call(lambda store: store.get_contexts_by_type(_RUN))
        runs = [conversion.read_run(context) for context in contexts if context.name != MANUAL_RUN]
        return sorted((run for run in runs if pipeline in (None, run.pipeline)), key=lambda run: (run.started, run.context))

    def register(
        self,
        pipeline: str,
        run: str,
        node: str,
        component: str,
        properties: Mapping[str, Property],
        inputs: Mapping[str, Sequence[Artifact]],
        *,
        state: ExecutionState = ExecutionState.RUNNING,
        outputs: Mapping[str, Sequence[Artifact]] | None = None,
        kind: EventKind = EventKind.OUTPUT,
    ) -> int:
        """Records an execution with its inputs; returns its number.

        It is RUNNING, unless there is nothing left to do: then state and outputs, which are in the store, come with it.
        """
        execution = proto.Execution(type_id=self._execution_type(component), last_known_state=proto.Execution.State.Value(state.value))
        common: dict[str, Property] = {"pipeline": pipeline, "run": run, "node": node}
        conversion.set_values(execution.custom_properties, {**common, **properties})
        pairs = self._pairs(conversion.grouped(inputs), EventKind.INPUT) + self._pairs(conversion.grouped(outputs or {}), kind)
        contexts = [self._context(_PIPELINE, pipeline), self._context(_RUN, run), self._context(_NODE, f"{pipeline}.{node}")]
        return self._call(lambda store: _put(store, execution, pairs, contexts))[0]

    def publish(
        self,
        execution: int,
        state: ExecutionState,
        properties: Mapping[str, Property],
        outputs: Mapping[str, Sequence[Artifact]] | None = None,
        *,
        kind: EventKind = EventKind.OUTPUT,
        cache_keys: Sequence[str] = (),
    ) -> None:
        """Ends an execution in one transaction: its state, its outputs and their events, its contexts.

        New artifacts get their `id`; those that have one are only referred to.
        """
        record = self._call(lambda store: store.get_executions_by_id([execution]))[0]
        record.last_known_state = proto.Execution.State.Value(state.value)
        conversion.set_values(record.custom_properties, properties)
        contexts = self._call(lambda store: store.get_contexts_by_execution(execution))
        contexts = [*contexts, *(self._context(_CACHE, key) for key in dict.fromkeys(cache_keys))]
        grouped = conversion.grouped(outputs or {})
        pairs = self._pairs(grouped, kind)
        _, ids, _ = self._call(lambda store: _put(store, record, pairs, contexts))
        for (artifact, _), id in zip(grouped, ids, strict=True):
            artifact.id = id

    def executions(self, ids: Iterable[int]) -> list[Execution]:
        """Returns executions by number, in that order; unknown numbers are left out."""
        wanted = list(dict.fromkeys(ids))
        found = {record.id: record for record in self._in_parts("get_executions_by_id", wanted)}
        return [conversion.read_execution(found[id]) for id in wanted if id in found]

    def executions_of_run(self, run: str) -> list[Execution]:
        """Returns the executions of a run, oldest first."""
        return self._executions_in(_RUN, run)

    def executions_of_node(self, pipeline: str, node: str, *, limit: int | None = None) -> list[Execution]:
        """Returns the executions of a node in all runs, or the latest `limit` of them, oldest first."""
        return self._executions_in(_NODE, f"{pipeline}.{node}", limit)

    def executions_by_key(self, cache_key: str) -> list[Execution]:
        """Returns the executions that a cache key names, oldest first."""
        return self._executions_in(_CACHE, cache_key)

    def _executions_in(self, kind: str, name: str, limit: int | None = None) -> list[Execution]:
        context = self._call(lambda store: store.get_context_by_type_and_name(kind, name))
        if context is None:
            return []
        options = _latest(limit)
        found = self._call(lambda store: store.get_executions_by_context(context.id, options))
        return sorted((conversion.read_execution(record) for record in found), key=lambda execution: execution.id)

    def artifacts(self, ids: Iterable[int]) -> list[Artifact]:
        """Returns artifacts by number, in that order; unknown numbers are left out."""
        wanted = list(dict.fromkeys(ids))
        found = {record.id: record for record in self._in_parts("get_artifacts_by_id", wanted)}
        return [conversion.read_artifact(found[id]) for id in wanted if id in found]

    def all_artifacts(self, type_name: str | None = None, *, limit: int | None = None) -> list[Artifact]:
        """Returns all artifacts, of one type if it is named, or the latest `limit` of them, oldest first."""
        options = _latest(limit)
        found = self._call(lambda store: store.get_artifacts_by_type(type_name) if type_name else store.get_artifacts(options))
        records = sorted(found, key=lambda record: record.id)
        return [conversion.read_artifact(record) for record in records[-limit if limit else 0 :]]

    def artifact_types(self) -> list[str]:
        """Returns the names of the artifact types that the store has seen."""
        return sorted(kind.name for kind in self._call(lambda store: store.get_artifact_types()))

    def artifacts_of_pipeline(self, pipeline: str) -> list[Artifact]:
        """Returns the artifacts that the executions of a pipeline have made, used or selected, oldest first."""
        context = self._call(lambda store: store.get_context_by_type_and_name(_PIPELINE, pipeline))
        found = self._call(lambda store: store.get_artifacts_by_context(context.id)) if context is not None else []
        return sorted((conversion.read_artifact(record) for record in found), key=lambda artifact: artifact.id or 0)

    def artifacts_at(self, uri: str) -> list[Artifact]:
        """Returns the artifacts whose payload lies exactly there."""
        return [conversion.read_artifact(record) for record in self._call(lambda store: store.get_artifacts_by_uri(uri))]

    def columns(self) -> Columns:
        """Returns what reads whole columns, for questions about all executions or artifacts."""
        file = sqlite_file(self.url)
        if file is not None and file.is_file():
            return FileColumns(file, self._connection.turn)
        return RecordColumns(lambda kind: self._call(lambda store: getattr(store, f"get_{kind}s")()), self._used)

    def _used(self) -> set[int]:
        ids = [record.id for record in self._call(lambda store: store.get_artifacts())]
        return {event.artifact for event in self.events_of_artifacts(ids, EventKind.INPUT)}

    def update_artifacts(self, artifacts: Sequence[Artifact]) -> None:
        """Writes state and properties of artifacts that are in the store."""
        records = {
            record.id: record for record in self._call(lambda store: store.get_artifacts_by_id([artifact.id for artifact in artifacts]))
        }
        for artifact in artifacts:
            conversion.fill_artifact(records[artifact.id], artifact)
        self._call(lambda store: store.put_artifacts(list(records.values())))

    def events_of_executions(self, ids: Iterable[int]) -> list[Event]:
        """Returns all inputs and outputs of executions."""
        return self._events(list(dict.fromkeys(ids)), "get_events_by_execution_ids")

    def events_of_artifacts(self, ids: Iterable[int], kind: EventKind | None = None) -> list[Event]:
        """Returns all uses and origins of artifacts, or those of a kind: a schema that all runs share has thousands of uses."""
        return self._events(list(dict.fromkeys(ids)), "get_events_by_artifact_ids", kind)

    def _events(self, ids: list[int], method: str, kind: EventKind | None = None) -> list[Event]:
        wanted = {proto.Event.Type.Value(each.name) for each in EventKind if kind in (None, each)}
        known = (event for event in self._in_parts(method, ids) if event.type in wanted)
        events = [place for event in known for place in conversion.read_event(event)]
        return sorted(events, key=lambda event: (event.execution, event.kind.value, event.key, event.index))

    def outputs_of(self, execution: int) -> dict[str, tuple[Artifact, ...]]:
        """Returns the outputs of an execution by key, in order."""
        return self._connected(execution, lambda event: event.kind.is_output)

    def inputs_of(self, execution: int) -> dict[str, tuple[Artifact, ...]]:
        """Returns the inputs of an execution by key, in order."""
        return self._connected(execution, lambda event: not event.kind.is_output)

    def _connected(self, execution: int, wanted: Callable[[Event], bool]) -> dict[str, tuple[Artifact, ...]]:
        events = [event for event in self.events_of_executions([execution]) if wanted(event)]
        found = {artifact.id: artifact for artifact in self.artifacts(event.artifact for event in events)}
        keys = dict.fromkeys(event.key for event in events)
        return {key: tuple(found[event.artifact] for event in events if event.key == key) for key in keys}

    def _in_parts(self, method: str, ids: list[int]) -> list[Any]:
        """Calls a method of the library with many numbers, some at a time."""
        parts = [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]
        return [record for part in parts for record in self._call(lambda store, part=part: getattr(store, method)(part))]  # type: ignore[misc]

    def _pairs(self, grouped: list[tuple[Artifact, list[tuple[str, int]]]], kind: EventKind) -> list[Any]:
        """Returns record and event of each artifact. Those in the store are put as they are there: a bare reference would empty them."""
        ids = [artifact.id for artifact, _ in grouped if artifact.id is not None]
        stored = {record.id: record for record in self._call(lambda store: store.get_artifacts_by_id(ids))} if ids else {}
        return [
            (stored[artifact.id] if artifact.id is not None else self._new_artifact(artifact), conversion.event_record(kind, places))
            for artifact, places in grouped
        ]

    def _new_artifact(self, artifact: Artifact) -> proto.Artifact:
        record = proto.Artifact(type_id=self._artifact_type(type(artifact)), uri=artifact.uri, name=artifact.name)
        conversion.fill_artifact(record, artifact)
        return record


def _put(store: Any, record: proto.Execution, pairs: list[Any], contexts: list[proto.Context]) -> tuple[int, list[int], list[int]]:
    # Without the flag the contexts are written too, and a run's properties are lost.
    result: tuple[int, list[int], list[int]] = store.put_execution(record, pairs, contexts, force_reuse_context=True)
    return result


def _latest(limit: int | None) -> metadata_store.ListOptions | None:
    return metadata_store.ListOptions(limit=limit, order_by=metadata_store.OrderByField.ID, is_asc=False) if limit else None
