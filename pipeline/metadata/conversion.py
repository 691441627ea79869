"""Between the engine's records and ML Metadata's protocol buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as proto

from pipeline.artifacts import Artifact, ArtifactState, Property, artifact_type
from pipeline.records import Event, EventKind, Execution, ExecutionState, Run, RunState

# The integers of PostgreSQL and MySQL stores have 32 bits: a larger one, such as a time or a size, is written as a float.
_WIDE = 2**31
_PROPERTY_TYPES = {int: proto.INT, float: proto.DOUBLE, str: proto.STRING}


def artifact_type_record(kind: type[Artifact]) -> proto.ArtifactType:
    """Returns the type's record, with its declared properties."""
    record = proto.ArtifactType(name=kind.TYPE_NAME)
    for name, python_type in kind.PROPERTIES.items():
        record.properties[name] = _PROPERTY_TYPES[python_type]
    if kind.BASE_TYPE is not None:
        record.base_type = kind.BASE_TYPE.value
    return record


def grouped(groups: Mapping[str, Sequence[Artifact]]) -> list[tuple[Artifact, list[tuple[str, int]]]]:
    """Returns each artifact once, with the places (key, index) that it takes: the store knows one event per artifact and kind."""
    found: dict[int, tuple[Artifact, list[tuple[str, int]]]] = {}
    for key, group in groups.items():
        for index, artifact in enumerate(group):
            found.setdefault(artifact.id or -id(artifact), (artifact, []))[1].append((key, index))
    return list(found.values())


def set_value(value: proto.Value, plain: Property) -> None:
    """Sets a value of the store, with its type."""
    if isinstance(plain, float) or (isinstance(plain, int) and abs(plain) >= _WIDE):
        value.double_value = plain
    elif isinstance(plain, int):
        value.int_value = plain
    else:
        value.string_value = plain


def set_values(target: Any, properties: Mapping[str, Property]) -> None:
    """Sets several values; the others stay."""
    for name, value in properties.items():
        set_value(target[name], value)


def _plain(values: Mapping[str, proto.Value]) -> dict[str, Property]:
    return {name: _plain_value(value) for name, value in values.items() if value.WhichOneof("value")}


def _plain_value(value: proto.Value) -> Property:
    return plain_wide(getattr(value, value.WhichOneof("value")))


def plain_wide(value: Property) -> Property:
    """Returns a value as it was before the store made a float of a wide integer."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) >= _WIDE else value


def plain_properties(record: Any) -> dict[str, Property]:
    """Returns all properties of a record, declared and custom."""
    return {**_plain(record.properties), **_plain(record.custom_properties)}


def event_record(kind: EventKind, places: list[tuple[str, int]]) -> proto.Event:
    """Returns the event of an artifact that takes these places (key, index)."""
    event = proto.Event(type=proto.Event.Type.Value(kind.value))
    for key, index in places:
        event.path.steps.add().key = key
        event.path.steps.add().index = index
    return event


def read_event(event: proto.Event) -> list[Event]:
    """Returns one event per place; the path is `[key, index]` as in TFX, repeated where an artifact takes several places."""
    kind = EventKind[proto.Event.Type.Name(event.type)]
    keys = [step.key for step in event.path.steps if step.WhichOneof("value") == "key"] or [""]
    indexes = [step.index for step in event.path.steps if step.WhichOneof("value") == "index"]
    indexes += [0] * (len(keys) - len(indexes))
    return [Event(event.execution_id, event.artifact_id, kind, key, index) for key, index in zip(keys, indexes, strict=False)]


def read_execution(record: proto.Execution) -> Execution:
    """Returns an execution as the engine sees it."""
    state = proto.Execution.State.Name(record.last_known_state)
    known = ExecutionState[state] if state in ExecutionState.__members__ else ExecutionState.FAILED
    properties = plain_properties(record)
    return Execution(record.id, record.type, known, record.create_time_since_epoch, record.last_update_time_since_epoch, properties)


def read_run(context: proto.Context) -> Run:
    """Returns a run as the engine sees it; one that another program recorded has no state of ours and counts as failed."""
    properties = _plain(context.custom_properties)
    state = properties.pop("state", RunState.FAILED.value)
    started, ended = int(properties.pop("started", context.create_time_since_epoch)), int(properties.pop("ended", 0))
    return Run(context.name, str(properties.pop("pipeline", "")), RunState(state), started, ended, properties, context.id)


# Custom properties that are fields of `Artifact`, not of its `properties`.
_OWN = ("content_digest", "size", "file_count", "producer_component", "name", "state")


def read_artifact(record: proto.Artifact) -> Artifact:
    """Returns an artifact, of the class that its type names."""
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
        files=int(own.get("file_count", 0)),
        state=ArtifactState[state] if state in ArtifactState.__members__ else ArtifactState.DELETED,
        created=record.create_time_since_epoch,
        producer=str(own.get("producer_component", "")),
    )


def fill_artifact(record: proto.Artifact, artifact: Artifact) -> None:
    """Writes state and properties of an artifact into its record."""
    record.state = proto.Artifact.State.Value(artifact.state.value)
    declared = type(artifact).PROPERTIES
    for name, value in artifact.properties.items():
        if declared.get(name) is int:
            record.properties[name].int_value = int(value)
        else:
            set_value((record.properties if name in declared else record.custom_properties)[name], value)
    # "published" and "deleted" are what TFX's own readers look for.
    tfx_state = "deleted" if artifact.state is ArtifactState.DELETED else "published"
    own: dict[str, Property] = {
        "content_digest": artifact.digest,
        "size": artifact.size,
        "file_count": artifact.files,
        "producer_component": artifact.producer,
        "name": artifact.name,
        "state": tfx_state,
    }
    set_values(record.custom_properties, own)
