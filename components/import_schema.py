"""ImportSchema: a schema that people keep in a file, as an artifact."""

from __future__ import annotations

from components.schema_file import SCHEMA_FILE, CuratedFileDriver, read_schema, summarise_schema
from pipeline.artifacts import Schema
from pipeline.component import Component, Output
from pipeline.context import Context


class ImportSchema(Component):
    """Imports a curated schema file, checked and otherwise unchanged, comments included.

    Outputs:
        schema: `schema.pbtxt`, a copy of the file; the property `schema_file` says where it came from.

    Args:
        schema_file: Path of a `tensorflow_metadata` Schema as text, relative to the project. Its content is part of the cache key.

    Raises:
        DataError: If the file is missing, cannot be parsed (with the line), or contradicts itself (with the feature).

    Example:

        schema = ImportSchema(schema_file="schemas/taxi.pbtxt")
    """

    isolated = False
    driver = CuratedFileDriver

    def execute(self, context: Context, schema: Output[Schema], *, schema_file: str) -> None:
        """Copies the file once it has been read without an error."""
        source = context.path(schema_file)
        parsed = read_schema(source)
        (schema.path / SCHEMA_FILE).write_bytes(source.read_bytes())
        schema.properties["schema_file"] = schema_file
        schema.write_summary(summarise_schema(parsed))
