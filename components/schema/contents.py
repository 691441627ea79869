"""What an ExampleGen says that features hold, pictures, sounds, texts, names of files, in terms of a schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

_FILES = ("image", "audio")


def contents_of(summary: Mapping[str, Any]) -> dict[str, str]:
    """Returns what features hold, `image`, `audio`, `text` or `name`, from the summary of Examples."""
    return {str(column["name"]): str(column["content"]) for column in summary.get("columns", ()) if column.get("content")}


def holds_files(summary: Mapping[str, Any]) -> bool:
    """Returns whether a feature holds pictures or sounds, from the summary of Examples."""
    return any(content in _FILES for content in contents_of(summary).values())


def with_contents(schema: schema_pb2.Schema | None, contents: Mapping[str, str]) -> schema_pb2.Schema | None:
    """Returns a schema by which TensorFlow Data Validation looks at the sizes of files, not at their bytes as at texts.

    It does so for what the schema calls an image, and knows no other word for it.
    """
    from tensorflow_metadata.proto.v0 import schema_pb2

    files = [name for name, content in contents.items() if content in _FILES]
    if not files:
        return schema
    known = schema_pb2.Schema()
    if schema is not None:
        known.CopyFrom(schema)
    features = {feature.name: feature for feature in known.feature}
    for name in files:
        feature = features.get(name)
        if feature is None:
            feature = known.feature.add(name=name, type=schema_pb2.BYTES)
        if feature.WhichOneof("domain_info") is None:
            feature.image_domain.SetInParent()
    return known


def describe_contents(schema: schema_pb2.Schema, contents: Mapping[str, str]) -> None:
    """Says in an inferred schema what features hold; files, texts and names of files have no list of allowed values."""
    unused = set()
    for feature in schema.feature:
        content = contents.get(feature.name)
        if content is None:
            continue
        if feature.HasField("domain"):
            unused.add(feature.domain)
        if feature.WhichOneof("domain_info") in ("domain", "string_domain"):
            feature.ClearField(str(feature.WhichOneof("domain_info")))
        if content == "image":
            feature.image_domain.SetInParent()
    for domain in [domain for domain in schema.string_domain if domain.name in unused]:
        schema.string_domain.remove(domain)
