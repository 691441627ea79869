"""The metadata store: the only module that knows ML Metadata and its protocol buffers.

Types, contexts and events are named as TFX names them. Neither filter queries nor lineage sub-graphs of the library are used:
newer builds drop them. Every method is one short transaction, safe to call from several threads; a locked database is waited
for.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from ml_metadata import errors
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as proto

from pipeline.artifacts import Artifact, ArtifactState, Property, artifact_type
from pipeline.component import Component
from pipeline.errors import MetadataError
from pipeline.records import Event, EventKind, Execution, ExecutionState, Run, RunState

R = TypeVar("R")
EMPTY = "empty:"
"""The URL of a store in memory, for reading where there is none yet."""
_WAIT_FOR_LOCK = 60.0
_BATCH = 500
_PIPELINE, _RUN, _NODE, _CACHE = "pipeline", "pipeline_run", "node", "execution_cache"
_PROPERTY_TYPES = {int: proto.INT, float: proto.DOUBLE, str: proto.STRING}


def component_name(kind: type[Component]) -> str:
    """Returns the name of a component's execution type: its class path."""
    return f"{kind.__module__}.{kind.__qualname__}"


def connection_config(url: str) -> proto.ConnectionConfig:
    """Returns the connection for a store's URL.

    Args:
        url: `sqlite:///path/metadata.db`, `postgresql://user:password@host:port/database` or `mysql://...`.

    Raises:
        MetadataError: For any other URL.
    """
    parts = urlsplit(url)
    config = proto.ConnectionConfig()
    if url == EMPTY:
        config.fake_database.SetInParent()
        return config
    database = parts.path.lstrip("/")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.scheme == "sqlite":
        config.sqlite.filename_uri = parts.path
        config.sqlite.connection_mode = proto.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    elif parts.scheme in ("postgresql", "postgres"):
        target = config.postgresql
        target.host, target.port, target.dbname = parts.hostname or "localhost", str(parts.port or 5432), database
        target.user, target.password = user, password
        # Creating the database needs rights that few accounts have; the tables are always created.
        target.skip_db_creation = True
    elif parts.scheme == "mysql":
        target = config.mysql
        target.host, target.port, target.database = parts.hostname or "127.0.0.1", parts.port or 3306, database
        target.user, target.password = user, password
        target.skip_db_creation = True
    else:
        raise MetadataError(f"Expected a store URL sqlite:///PATH, postgresql://... or mysql://... Received: {redacted(url)}")
    return config


def redacted(url: str) -> str:
    """Returns a URL without its password."""
    password = urlsplit(url).password
    return url.replace(f":{password}@", ":***@") if password else url


class MetadataStore:
    """A connection to one store.

    Args:
        url: See `connection_config`.

    Raises:
        MetadataError: If it cannot be opened, with what the database said.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._lock = threading.RLock()
        self._types: dict[tuple[str, str], int] = {}
        self._contexts: dict[tuple[str, str], int] = {}
        if url.startswith("sqlite:"):
            Path(urlsplit(url).path).parent.mkdir(parents=True, exist_ok=True)
        try:
            self._store = self._patiently(lambda: metadata_store.MetadataStore(connection_config(url)))
        except (errors.FailedPreconditionError, RuntimeError) as error:
            raise self._not_opened(error) from error

    def _not_opened(self, error: Exception) -> MetadataError:
        if "schema_version" in str(error) or "newer" in str(error).lower():
            return MetadataError(
                f"The metadata store {redacted(self.url)} was written by a newer version of ML Metadata: {error}",
                hint="Install a newer cauce, or name another store with CAUCE_METADATA or --root.",
            )
        return MetadataError(
            f"The metadata store {redacted(self.url)} cannot be opened: {error}", hint="Check CAUCE_METADATA and the file's rights."
        )

    def _patiently(self, call: Callable[[], R]) -> R:
        """Calls the library; waits where another process has locked the database."""
        deadline, delay = time.monotonic() + _WAIT_FOR_LOCK, 0.005
        while True:
            try:
                with self._lock:
                    return call()
            except (errors.AbortedError, errors.InternalError, errors.UnavailableError, RuntimeError) as error:
                text = str(error).lower()
                contended = any(word in text for word in ("locked", "busy", "deadlock", "lock wait", "concurrent"))
                if not contended and not isinstance(error, errors.AbortedError):
                    raise MetadataError(f"The metadata store {redacted(self.url)} failed: {error}") from error
                if time.monotonic() > deadline:
                    raise MetadataError(
                        f"The metadata store {redacted(self.url)} stayed locked for {_WAIT_FOR_LOCK:.0f} s: {error}"
                    ) from error
            time.sleep(delay)
            delay = min(delay * 2, 0.25)

    # Types and contexts

    def _artifact_type(self, kind: type[Artifact]) -> int:
        wanted = proto.ArtifactType(name=kind.TYPE_NAME)
        for name, python_type in kind.PROPERTIES.items():
            wanted.properties[name] = _PROPERTY_TYPES[python_type]
        if kind.BASE_TYPE is not None:
            wanted.base_type = kind.BASE_TYPE.value
        return self._type("artifact", wanted, lambda: self._store.put_artifact_type(wanted, can_add_fields=True, can_omit_fields=True))

    def _execution_type(self, name: str) -> int:
        wanted = proto.ExecutionType(name=name)
        return self._type("execution", wanted, lambda: self._store.put_execution_type(wanted, can_add_fields=True, can_omit_fields=True))

    def _context_type(self, name: str) -> int:
        wanted = proto.ContextType(name=name)
        return self._type("context", wanted, lambda: self._store.put_context_type(wanted, can_add_fields=True, can_omit_fields=True))

    def _type(self, kind: str, wanted: Any, put: Callable[[], int]) -> int:
        key = (kind, wanted.name)
        if key not in self._types:
            self._types[key] = self._patiently(put)
        return self._types[key]

    def _context(self, kind: str, name: str) -> proto.Context:
        """Returns the context of this type and name, made if it is not there; two processes may do this at once."""
        type_id = self._context_type(kind)
        known = self._contexts.get((kind, name))
        if known is None:
            found = self._patiently(lambda: self._store.get_context_by_type_and_name(kind, name))
            if found is None:
                try:
                    known = self._patiently(lambda: self._store.put_contexts([proto.Context(type_id=type_id, name=name)]))[0]
                except errors.AlreadyExistsError:
                    found = self._patiently(lambda: self._store.get_context_by_type_and_name(kind, name))
            known = int(found.id if found is not None else known or 0)
            self._contexts[(kind, name)] = known
        return proto.Context(id=known, type_id=type_id, type=kind, name=name)

    # Runs

    def begin_run(self, pipeline: str, run: str, properties: Mapping[str, Property]) -> None:
        """Records a run as running, as a child of its pipeline; to begin a run again goes on with it."""
        parent, child = self._context(_PIPELINE, pipeline), self._context(_RUN, run)
        with contextlib.suppress(errors.AlreadyExistsError):
            self._patiently(lambda: self._store.put_parent_contexts([proto.ParentContext(parent_id=parent.id, child_id=child.id)]))
        self.update_run(run, {"pipeline": pipeline, "state": RunState.RUNNING.value, "ended": 0, **properties})

    def update_run(self, run: str, properties: Mapping[str, Property]) -> None:
        """Changes properties of a run; the others stay."""
        context = self._patiently(lambda: self._store.get_context_by_type_and_name(_RUN, run))
        for name, value in properties.items():
            _set(context.custom_properties[name], value)
        self._patiently(lambda: self._store.put_contexts([context]))

    def runs(self, pipeline: str | None = None) -> list[Run]:
        """Returns the runs, oldest first."""
        self._context_type(_RUN)
        contexts = self._patiently(lambda: self._store.get_contexts_by_type(_RUN))
        runs = [_run(context) for context in contexts]
        return sorted((run for run in runs if pipeline in (None, run.pipeline)), key=lambda run: (run.started, run.context))

    # Executions

    def register(
        self,
        pipeline: str,
        run: str,
        node: str,
        component: str,
        properties: Mapping[str, Property],
        inputs: Mapping[str, Sequence[Artifact]],
    ) -> int:
        """Records an execution as RUNNING with its inputs; returns its number."""
        execution = proto.Execution(type_id=self._execution_type(component), last_known_state=proto.Execution.RUNNING)
        common: dict[str, Property] = {"pipeline": pipeline, "run": run, "node": node}
        _set_all(execution.custom_properties, {**common, **properties})
        pairs = self._pairs(_grouped(inputs), EventKind.INPUT)
        contexts = [self._context(_PIPELINE, pipeline), self._context(_RUN, run), self._context(_NODE, f"{pipeline}.{node}")]
        return self._patiently(lambda: self._put(execution, pairs, contexts))[0]

    def publish(
        self,
        execution: int,
        state: ExecutionState,
        properties: Mapping[str, Property],
        outputs: Mapping[str, Sequence[Artifact]] | None = None,
        *,
        kind: EventKind = EventKind.OUTPUT,
        cache_key: str | None = None,
    ) -> None:
        """Ends an execution in one transaction: its state, its outputs and their events, its contexts.

        New artifacts get their `id`; those that have one are only referred to.
        """
        record = self._patiently(lambda: self._store.get_executions_by_id([execution]))[0]
        record.last_known_state = proto.Execution.State.Value(state.value)
        _set_all(record.custom_properties, properties)
        contexts = self._patiently(lambda: self._store.get_contexts_by_execution(execution))
        if cache_key:
            contexts = [*contexts, self._context(_CACHE, cache_key)]
        grouped = _grouped(outputs or {})
        pairs = self._pairs(grouped, kind)
        _, ids, _ = self._patiently(lambda: self._put(record, pairs, contexts))
        for (artifact, _), id in zip(grouped, ids, strict=True):
            artifact.id = id

    def executions(self, ids: Iterable[int]) -> list[Execution]:
        """Returns executions by number, in that order; unknown numbers are left out."""
        wanted = list(dict.fromkeys(ids))
        found = {
            record.id: record
            for part in _parts(wanted)
            for record in self._patiently(functools.partial(self._store.get_executions_by_id, part))
        }
        return [_execution(found[id]) for id in wanted if id in found]

    def executions_of_run(self, run: str) -> list[Execution]:
        """Returns the executions of a run, oldest first."""
        return self._executions_in(_RUN, run)

    def executions_of_node(self, pipeline: str, node: str) -> list[Execution]:
        """Returns the executions of a node in all runs, oldest first."""
        return self._executions_in(_NODE, f"{pipeline}.{node}")

    def executions_by_key(self, cache_key: str) -> list[Execution]:
        """Returns the executions that a cache key names, oldest first."""
        return self._executions_in(_CACHE, cache_key)

    def _executions_in(self, kind: str, name: str) -> list[Execution]:
        self._context_type(kind)
        context = self._patiently(lambda: self._store.get_context_by_type_and_name(kind, name))
        if context is None:
            return []
        found = self._patiently(lambda: self._store.get_executions_by_context(context.id))
        return sorted((_execution(record) for record in found), key=lambda execution: execution.id)

    # Artifacts and events

    def artifacts(self, ids: Iterable[int]) -> list[Artifact]:
        """Returns artifacts by number, in that order; unknown numbers are left out."""
        wanted = list(dict.fromkeys(ids))
        found = {
            record.id: record
            for part in _parts(wanted)
            for record in self._patiently(functools.partial(self._store.get_artifacts_by_id, part))
        }
        return [_artifact(found[id]) for id in wanted if id in found]

    def all_artifacts(self, type_name: str | None = None) -> list[Artifact]:
        """Returns all artifacts, of one type if it is named, oldest first."""
        get = (lambda: self._store.get_artifacts_by_type(type_name)) if type_name else self._store.get_artifacts
        return sorted((_artifact(record) for record in self._patiently(get)), key=lambda artifact: artifact.id or 0)

    def artifacts_of_pipeline(self, pipeline: str) -> list[Artifact]:
        """Returns the artifacts that the executions of a pipeline have made, used or selected, oldest first."""
        context = self._context(_PIPELINE, pipeline)
        found = self._patiently(lambda: self._store.get_artifacts_by_context(context.id))
        return sorted((_artifact(record) for record in found), key=lambda artifact: artifact.id or 0)

    def artifacts_at(self, uri: str) -> list[Artifact]:
        """Returns the artifacts whose payload lies exactly there."""
        return [_artifact(record) for record in self._patiently(lambda: self._store.get_artifacts_by_uri(uri))]

    def update_artifacts(self, artifacts: Sequence[Artifact]) -> None:
        """Writes state and properties of artifacts that are in the store."""
        records = {
            record.id: record
            for record in self._patiently(lambda: self._store.get_artifacts_by_id([artifact.id for artifact in artifacts]))
        }
        for artifact in artifacts:
            _fill(records[artifact.id], artifact)
        self._patiently(lambda: self._store.put_artifacts(list(records.values())))

    def events_of_executions(self, ids: Iterable[int]) -> list[Event]:
        """Returns all inputs and outputs of executions."""
        return self._events(list(dict.fromkeys(ids)), "get_events_by_execution_ids")

    def events_of_artifacts(self, ids: Iterable[int]) -> list[Event]:
        """Returns all uses and origins of artifacts."""
        return self._events(list(dict.fromkeys(ids)), "get_events_by_artifact_ids")

    def _events(self, ids: list[int], method: str) -> list[Event]:
        get = getattr(self._store, method)
        found = [event for part in _parts(ids) for event in self._patiently(functools.partial(get, part))]
        known = (event for event in found if proto.Event.Type.Name(event.type) in EventKind.__members__)
        events = [place for event in known for place in _read_event(event)]
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

    def _put(self, record: proto.Execution, pairs: list[Any], contexts: list[proto.Context]) -> tuple[int, list[int], list[int]]:
        # Without the flag the contexts are written too, and a run's properties are lost.
        result: tuple[int, list[int], list[int]] = self._store.put_execution(record, pairs, contexts, force_reuse_context=True)
        return result

    def _pairs(self, grouped: list[tuple[Artifact, list[tuple[str, int]]]], kind: EventKind) -> list[Any]:
        """Returns record and event of each artifact. Those in the store are put as they are there: a bare reference would empty them."""
        ids = [artifact.id for artifact, _ in grouped if artifact.id is not None]
        stored = {record.id: record for record in self._patiently(lambda: self._store.get_artifacts_by_id(ids))} if ids else {}
        return [
            (stored[artifact.id] if artifact.id is not None else self._new_artifact(artifact), _event(kind, places))
            for artifact, places in grouped
        ]

    def _new_artifact(self, artifact: Artifact) -> proto.Artifact:
        record = proto.Artifact(type_id=self._artifact_type(type(artifact)), uri=artifact.uri, name=artifact.name)
        _fill(record, artifact)
        return record


# Conversion


def _parts(ids: list[int]) -> list[list[int]]:
    return [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]


def _grouped(groups: Mapping[str, Sequence[Artifact]]) -> list[tuple[Artifact, list[tuple[str, int]]]]:
    """Returns each artifact once, with the places (key, index) that it takes: the store knows one event per artifact and kind."""
    found: dict[int, tuple[Artifact, list[tuple[str, int]]]] = {}
    for key, group in groups.items():
        for index, artifact in enumerate(group):
            found.setdefault(artifact.id or -id(artifact), (artifact, []))[1].append((key, index))
    return list(found.values())


def _set(value: proto.Value, plain: Property) -> None:
    if isinstance(plain, float):
        value.double_value = plain
    elif isinstance(plain, int):
        value.int_value = plain
    else:
        value.string_value = plain


def _set_all(target: Any, properties: Mapping[str, Property]) -> None:
    for name, value in properties.items():
        _set(target[name], value)


def _plain(values: Mapping[str, Any]) -> dict[str, Property]:
    return {name: getattr(value, value.WhichOneof("value")) for name, value in values.items() if value.WhichOneof("value")}


def _event(kind: EventKind, places: list[tuple[str, int]]) -> proto.Event:
    event = proto.Event(type=proto.Event.Type.Value(kind.value))
    for key, index in places:
        event.path.steps.add().key = key
        event.path.steps.add().index = index
    return event


def _read_event(event: proto.Event) -> list[Event]:
    """Returns one event per place; the path is `[key, index]` as in TFX, repeated where an artifact takes several places."""
    kind = EventKind[proto.Event.Type.Name(event.type)]
    keys = [step.key for step in event.path.steps if step.WhichOneof("value") == "key"] or [""]
    indexes = [step.index for step in event.path.steps if step.WhichOneof("value") == "index"]
    indexes += [0] * (len(keys) - len(indexes))
    return [Event(event.execution_id, event.artifact_id, kind, key, index) for key, index in zip(keys, indexes, strict=False)]


def _execution(record: proto.Execution) -> Execution:
    state = proto.Execution.State.Name(record.last_known_state)
    known = ExecutionState[state] if state in ExecutionState.__members__ else ExecutionState.FAILED
    properties = {**_plain(record.properties), **_plain(record.custom_properties)}
    return Execution(record.id, record.type, known, record.create_time_since_epoch, record.last_update_time_since_epoch, properties)


def _run(context: proto.Context) -> Run:
    properties = _plain(context.custom_properties)
    state = properties.pop("state", RunState.FAILED.value)
    started, ended = int(properties.pop("started", context.create_time_since_epoch)), int(properties.pop("ended", 0))
    return Run(context.name, str(properties.pop("pipeline", "")), RunState(state), started, ended, properties, context.id)


# Custom properties that are fields of `Artifact`, not of its `properties`.
_OWN = ("content_digest", "size", "producer_component", "name", "state")


def _artifact(record: proto.Artifact) -> Artifact:
    kind = artifact_type(record.type)
    own = _plain(record.custom_properties)
    properties = {**_plain(record.properties), **{name: value for name, value in own.items() if name not in _OWN}}
    state = proto.Artifact.State.Name(record.state)
    return kind(
        path=Path(record.uri),
        properties=properties,
        id=record.id,
        name=record.name,
        digest=str(own.get("content_digest", "")),
        size=int(own.get("size", 0)),
        state=ArtifactState[state] if state in ArtifactState.__members__ else ArtifactState.DELETED,
        created=record.create_time_since_epoch,
        producer=str(own.get("producer_component", "")),
    )


def _fill(record: proto.Artifact, artifact: Artifact) -> None:
    record.state = proto.Artifact.State.Value(artifact.state.value)
    declared = type(artifact).PROPERTIES
    for name, value in artifact.properties.items():
        _set((record.properties if name in declared else record.custom_properties)[name], value)
    # "published" and "deleted" are what TFX's own readers look for.
    tfx_state = "deleted" if artifact.state is ArtifactState.DELETED else "published"
    own: dict[str, Property] = {
        "content_digest": artifact.digest,
        "size": artifact.size,
        "producer_component": artifact.producer,
        "name": artifact.name,
        "state": tfx_state,
    }
    _set_all(record.custom_properties, own)
