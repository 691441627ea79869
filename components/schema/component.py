"""SchemaGen and ImportSchema: the schema that the data ask for, and the one that people keep in a file."""

from __future__ import annotations

import dataclasses

from components.schema.contents import describe_contents
from components.schema.file import SCHEMA_FILE, FileDriver, read_schema, schema_text, summarise_schema
from components.schema.inference import MAX_STRING_DOMAIN_SIZE, infer_schema, propose_schema
from components.schema.review import diff
from components.statistics.files import all_rows, chosen_splits, read_statistics
from pipeline.artifacts import ExampleStatistics, Schema
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from pipeline.errors import DataError

PROPOSED_FILE = "proposed.pbtxt"


class _CuratedDriver(FileDriver):
    parameter = "curated"


class SchemaGen(Component):
    """Infers one schema from the statistics of every split that is not excluded.

    With `curated` that file is the schema, comments included; what the data ask for beyond it stands in `summary.json` as
    `changes`, and `proposed.pbtxt` is the curated schema with all of them. `cauce schema diff` shows the changes, `cauce schema
    accept` writes those that a person accepts into the curated file.

    Inputs:
        statistics: Statistics of one or more splits.

    Outputs:
        schema: `schema.pbtxt`, and `summary.json` (`schemas/summaries/Schema.json`).

    Args:
        infer_feature_shape: Whether a feature that has the same number of values in each row gets that shape. Default: True.
        exclude_splits: Splits to leave out. Default: none.
        max_string_domain_size: A string feature with at most this many values gets the list of them as its domain. Default: 100.
        curated: Path of a curated schema, relative to the project. Default: None, use what is inferred.

    Raises:
        DataError: If the statistics are damaged or hold no feature, or the curated file is wrong.

    Example:

        schema = SchemaGen(statistics, curated="schemas/taxi.pbtxt")
    """

    needs = ("tensorflow_data_validation",)
    libraries = ("tensorflow-data-validation",)
    driver = _CuratedDriver

    def execute(
        self,
        context: Context,
        statistics: Input[ExampleStatistics],
        schema: Output[Schema],
        *,
        infer_feature_shape: bool = True,
        exclude_splits: tuple[str, ...] = (),
        max_string_domain_size: int = MAX_STRING_DOMAIN_SIZE,
        curated: str | None = None,
    ) -> None:
        """Writes the schema."""
        splits = chosen_splits("statistics", statistics.splits, exclude_splits)
        known = [one for split in splits if all_rows(one := read_statistics(statistics, split)).features]
        if not known:
            raise DataError(
                f"No schema can be inferred: the statistics of {', '.join(splits)} hold no feature.",
                hint="Look at what the rows hold: cauce artifacts show " + str(statistics.id or "STATISTICS"),
            )
        contents = {str(name): str(content) for name, content in statistics.summary().get("contents", {}).items()}
        if curated is None:
            inferred = infer_schema(known, infer_feature_shape=infer_feature_shape, max_string_domain_size=max_string_domain_size)
            describe_contents(inferred, contents)
            (schema.path / SCHEMA_FILE).write_text(schema_text(inferred), encoding="utf-8")
            schema.write_summary(summarise_schema(inferred))
            return
        file = context.path(curated)
        expected = read_schema(file)
        proposed = propose_schema(expected, known, infer_feature_shape=infer_feature_shape, max_string_domain_size=max_string_domain_size)
        known_names = {feature.name for feature in expected.feature}
        describe_contents(proposed, {name: content for name, content in contents.items() if name not in known_names})
        changes = [dataclasses.asdict(change) for change in diff(proposed, expected)]
        (schema.path / SCHEMA_FILE).write_bytes(file.read_bytes())
        (schema.path / PROPOSED_FILE).write_text(schema_text(proposed), encoding="utf-8")
        schema.properties["schema_file"] = curated
        schema.write_summary({**summarise_schema(expected), "changes": changes})


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
    driver = FileDriver

    def execute(self, context: Context, schema: Output[Schema], *, schema_file: str) -> None:
        """Copies the file once it has been read without an error."""
        source = context.path(schema_file)
        parsed = read_schema(source)
        (schema.path / SCHEMA_FILE).write_bytes(source.read_bytes())
        schema.properties["schema_file"] = schema_file
        schema.write_summary(summarise_schema(parsed))
