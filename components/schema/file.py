"""Schema files: text protocol buffers of `tensorflow_metadata.Schema`, read with errors that name file and line.

Needs only the protocol buffers of `tensorflow_metadata`; knows nothing of TensorFlow Data Validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.artifacts import Artifact
from pipeline.component import Component, resolve_path
from pipeline.driver import Driver, KeyPart, Prepared
from pipeline.errors import DataError, did_you_mean
from pipeline.hashing import digest_file

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

SCHEMA_FILE = "schema.pbtxt"


class FileDriver(Driver):
    """Adds the content of the file that a parameter names to the cache key; subclasses name another parameter."""

    parameter = "schema_file"
    kind = "schema file"

    def prepare(self, node: Component, inputs: Any, project: Path) -> Prepared:
        """Adds the file's content to the key.

        Raises:
            DataError: If there is no such file.
        """
        given = node.parameters[self.parameter]
        if given is None:
            return Prepared(dict(node.parameters))
        file = existing_file(resolve_path(project, given), self.kind)
        return Prepared(dict(node.parameters), (KeyPart(f"content of {self.parameter}", digest_file(file), str(given)),))


def existing_file(path: Path, kind: str = "schema file") -> Path:
    """Returns the path; a `DataError` names the files beside it that are alike if it is not a file."""
    if path.is_file():
        return path
    near = [item.name for item in path.parent.glob("*.pbtxt")] if path.parent.is_dir() else []
    raise DataError(f"There is no {kind} at {path}.{did_you_mean(path.name, near) if near else ''}")


def read_schema(path: Path) -> schema_pb2.Schema:
    """Reads and checks a schema file.

    Raises:
        DataError: If there is none, it cannot be parsed (with the line), or it contradicts itself (with the feature).
    """
    try:
        text = existing_file(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error}", hint="Expected a Schema protocol buffer as text.") from error
    return parse_schema(text, str(path))


def read_schema_of(artifact: Artifact) -> schema_pb2.Schema:
    """Reads the schema of a Schema artifact."""
    return read_schema(artifact.path / SCHEMA_FILE)


def parse_schema(text: str, origin: str = "schema") -> schema_pb2.Schema:
    """Parses and checks a schema; `origin` names it in errors."""
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    try:
        schema = text_format.Parse(text, schema_pb2.Schema())
    except text_format.ParseError as error:
        line = error.GetLine()
        place = f", line {line}" if line else ""
        reason = str(error).removeprefix(f"{line}:{error.GetColumn()} : ")
        raise DataError(f"{origin}{place}: {reason}", hint="Expected a Schema protocol buffer of tensorflow_metadata as text.") from error
    problems = list(_contradictions(schema))
    if problems:
        raise DataError(f"{origin} contradicts itself: {' '.join(problems)}")
    return schema


def schema_text(schema: schema_pb2.Schema) -> str:
    """Returns the text of a schema; equal schemas give equal texts."""
    from google.protobuf import text_format

    return str(text_format.MessageToString(schema))


def string_domain(feature: schema_pb2.Feature, schema: schema_pb2.Schema) -> schema_pb2.StringDomain | None:
    """Returns the list of values of a feature, its own or one that the schema shares; None if it has none."""
    if feature.HasField("string_domain"):
        return feature.string_domain
    return next((domain for domain in schema.string_domain if feature.HasField("domain") and domain.name == feature.domain), None)


def _contradictions(schema: schema_pb2.Schema) -> Iterator[str]:
    """Yields what no data could satisfy, or what refers to nothing."""
    seen: set[str] = set()
    domains = {domain.name for domain in schema.string_domain}
    environments = set(schema.default_environment)
    for feature in schema.feature:
        if feature.name in seen:
            yield f"Feature '{feature.name}' is there twice."
        seen.add(feature.name)
        if feature.HasField("domain") and feature.domain not in domains:
            yield f"Feature '{feature.name}' refers to the domain '{feature.domain}'.{did_you_mean(feature.domain, domains)}"
        for environment in (*feature.in_environment, *feature.not_in_environment):
            if environment not in environments:
                yield f"Feature '{feature.name}' refers to the environment '{environment}'.{did_you_mean(environment, environments)}"
        for domain in ("int_domain", "float_domain"):
            bounds = getattr(feature, domain)
            if bounds.HasField("min") and bounds.HasField("max") and bounds.min > bounds.max:
                yield f"Feature '{feature.name}' has the range {bounds.min} to {bounds.max}, which is empty."


def summarise_schema(schema: schema_pb2.Schema) -> dict[str, Any]:
    """Returns what a reader without TensorFlow shows of a schema; the layout is in `schemas/summaries/Schema.json`."""
    return {
        "environments": list(schema.default_environment),
        "features": [_summarise_feature(feature, string_domain(feature, schema)) for feature in schema.feature],
    }


def _summarise_feature(feature: schema_pb2.Feature, values: schema_pb2.StringDomain | None) -> dict[str, Any]:
    from tensorflow_metadata.proto.v0 import schema_pb2

    domain: dict[str, Any] = {} if values is None else {"values": list(values.value)}
    for name in ("int_domain", "float_domain"):
        if feature.HasField(name):
            bounds = getattr(feature, name)
            domain["min"] = bounds.min if bounds.HasField("min") else None
            domain["max"] = bounds.max if bounds.HasField("max") else None
    return {
        "name": feature.name,
        "type": schema_pb2.FeatureType.Name(feature.type),
        "min_fraction": feature.presence.min_fraction,
        "min_count": feature.presence.min_count,
        "shape": [dim.size for dim in feature.shape.dim] if feature.HasField("shape") else None,
        "value_count": [feature.value_count.min, feature.value_count.max] if feature.HasField("value_count") else None,
        "domain": domain or None,
        "in_environment": list(feature.in_environment),
        "not_in_environment": list(feature.not_in_environment),
        "lifecycle_stage": schema_pb2.LifecycleStage.Name(feature.lifecycle_stage) if feature.HasField("lifecycle_stage") else None,
    }
