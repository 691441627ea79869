"""ServingLogExampleGen: rows of served requests, dropped into folders, become spans of Examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from components.example_gen.base import FileExampleGen, InputDriver, InputPattern, resolved
from components.example_gen.import_example_gen import RecordReader
from components.example_gen.inputs import InputFile
from components.example_gen.reading import Block, Reader, Rows
from components.example_gen.spans import find_spans, patterns_of
from components.example_gen.writing import OutputOptions, write_examples
from components.schema.file import read_schema_of
from components.serving_logs.json_lines import FLOAT, INT, TEXT, JsonReader, find_kinds, is_json
from pipeline.artifacts import Artifact, Examples, Schema
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from pipeline.driver import Prepared

ONE_SPLIT = {"serving": 1}
QUIET_SECONDS = 60.0


class LogDriver(InputDriver):
    """Finds the files as those of every ExampleGen; that there are none yet is no error."""

    def prepare(self, node: Component, inputs: Mapping[str, tuple[Artifact, ...]], project: Path) -> Prepared:
        """Finds the files, unless no span is complete."""
        given = node.parameters
        patterns = patterns_of(given["input"])
        spans = find_spans(patterns, [pattern.matches(project) for _, pattern in patterns], project, ready=given["ready"])
        if given["span"] is None and not any(span.ready for span in spans):
            waiting = "; ".join(f"{span} is not complete: {span.reason}" for span in spans[-3:])
            return Prepared({**given, "input": waiting}, left_out=frozenset({"window", "missing_spans", "ready"}))
        return super().prepare(node, inputs, project)


class ServingLogExampleGen(FileExampleGen):
    """Reads logs of served requests: JSON lines, or TFRecord files of `tf.train.Example`; both plain or compressed with gzip.

    A line is a JSON object, its fields are features: a number, text, truth value, or a list of one of these; null is missing. The type of a
    feature is that of the schema, or else that of all its values. A server writes a file into the folder of the day (or of the hour, or
    of a number); a folder is a span, and is read once it is complete. Before the first is, the output is empty, and what needs it is
    skipped with that reason. Labels that come later are joined by `LabelJoin`.

    Inputs:
        schema: The schema of the training data, so that `12` is a float where `12.5` would be; optional.

    Outputs:
        examples: As of every ExampleGen, for each span.

    Args:
        input: Pattern of the files, with `{SPAN}` or `{YYYY}`, `{MM}`, `{DD}`, `{HH}`, or several; see `CsvExampleGen`.
        unwrap: Objects in a line whose fields are the features, such as `["instance"]`. Default: none.
        splits: Names and weights of the splits. Default: one, `serving`.
        split_by: A feature; records with the same value are in one split. Default: None.
        span: The span to read, or a range of spans; see `CsvExampleGen`. Default: None, the latest that is complete.
        version: Number of the version within each span. Default: None, the latest that is complete.
        window: How many spans to read, up to `span`. Default: None, one.
        missing_spans: What becomes of a window that lacks a span: `error`, or `allow` (a day without a request). Default: `allow`.
        ready: When a span is complete: a marker's name, a pattern of markers, or seconds of quiet. Default: 60 seconds.
        shards: Files per split. Default: None, one per 64 MiB.

    Raises:
        DefinitionError: If the pattern names no span.
        DataError: If a line is no JSON object (file and line are named), a record is damaged, or a feature has different types.

    Example:
        requests = ServingLogExampleGen(schema, input="logs/{YYYY}-{MM}-{DD}/*.jsonl", unwrap=["instance"])
    """

    driver = LogDriver
    needs = ("google_crc32c", "numpy", "pandas", "pyarrow.compute", "pyarrow.json", "tfx_bsl.coders.example_coder")
    libraries = ("pyarrow", "tfx-bsl")

    def validate(self) -> None:
        """Checks the parameters that all ExampleGens share, and that there are spans."""
        super().validate()
        patterns = patterns_of(self.parameters["input"])
        if not all(pattern.has_span for _, pattern in patterns):
            text = next(pattern.text for _, pattern in patterns if not pattern.has_span)
            raise self._error(f"input names no span: '{text}'. Expected one such as 'logs/{{YYYY}}-{{MM}}-{{DD}}/*.jsonl'.")

    def execute(
        self,
        context: Context,
        examples: Output[Examples] | None,
        schema: Input[Schema] | None = None,
        *,
        input: InputPattern,
        unwrap: tuple[str, ...] = (),
        splits: dict[str, int] = ONE_SPLIT,
        split_by: str | None = None,
        span: int | str | None = None,
        version: int | None = None,
        window: int | None = None,
        missing_spans: str = "allow",
        ready: str | float | None = QUIET_SECONDS,
        shards: int | None = None,
    ) -> None:
        """Reads the files and writes the splits."""
        if isinstance(input, str):
            context.decide("no requests", [f"No span of served requests is complete yet. {input}".strip()])
            return
        if examples is None:
            raise TypeError("ServingLogExampleGen needs a place for its output")
        found = resolved(input)
        context.progress(f"reading {found}")
        lines = [file for file in found.files if is_json(file)]
        kinds = find_kinds(lines, unwrap, _types_of(schema)) if lines else ()
        reader = LogReader(JsonReader(kinds, unwrap), only_lines=len(lines) == len(found.files))
        write_examples(context, examples, found, reader, OutputOptions(splits, split_by, None, shards))


@dataclass(frozen=True)
class LogReader:
    """The rows of logs: JSON lines and TFRecord files, also beside one another."""

    lines: JsonReader
    only_lines: bool

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Names of the features; None where records may have others."""
        return self.lines.columns if self.only_lines else None

    def blocks(self, file: InputFile) -> Iterator[Block]:
        """Yields the rows of a file in pieces."""
        return self._of(file).blocks(file)

    def decode(self, block: Block) -> Rows:
        """Returns the rows of one piece."""
        return self._of(block.file).decode(block)

    def _of(self, file: InputFile) -> Reader:
        return self.lines if is_json(file) else RecordReader()


def _types_of(schema: Schema | None) -> dict[str, str]:
    """Returns the types that a schema gives to features."""
    if schema is None:
        return {}
    from tensorflow_metadata.proto.v0 import schema_pb2

    known = {schema_pb2.INT: INT, schema_pb2.FLOAT: FLOAT, schema_pb2.BYTES: TEXT}
    return {feature.name: known[feature.type] for feature in read_schema_of(schema).feature if feature.type in known}
