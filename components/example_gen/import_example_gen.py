"""ImportExampleGen, and the reader of TFRecord files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from components.example_gen.base import DEFAULT_SPLITS, FileExampleGen, InputPattern, resolved
from components.example_gen.inputs import InputFile
from components.example_gen.reading import Block, Rows
from components.example_gen.sequence_examples import SequenceReader
from components.example_gen.writing import OutputOptions, write_examples
from components.records import SEQUENCE_EXAMPLES, decode_records, is_sequence_example, read_records
from pipeline.artifacts import Examples
from pipeline.component import Output
from pipeline.context import Context
from pipeline.errors import DataError


class ImportExampleGen(FileExampleGen):
    """Copies TFRecord files of `tf.train.Example`, or of `tf.train.SequenceExample`, plain or compressed with gzip, into splits.

    Each record is parsed and then written unchanged. The hash that chooses its split is taken from its features in the order of
    their names, so that it does not depend on the order in which another program wrote them.

    Outputs:
        examples: `Split-<name>/data_tfrecord-*.gz`; rows per split and features with type and missing values in its summary.

    Args:
        input: Pattern of the files, several patterns, or a dict of split to pattern; see `CsvExampleGen`.
        splits: Names and weights of the splits. Default: two of three records in `train`, one in `eval`; see `CsvExampleGen`.
        split_by: A feature, integers or strings; records with the same value are in one split. Default: None.
        stratify_by: A label; each of its classes is divided in the exact proportions. Default: None.
        span: The span to read, or a range of spans; see `CsvExampleGen`. Default: None, the latest that is complete.
        version: Number of the version within each span. Default: None, the latest that is complete.
        window: How many spans to read, up to `span`; see `CsvExampleGen`. Default: None, one.
        missing_spans: What becomes of a window that lacks a span: `error` or `allow`. Default: `error`.
        ready: When a span is complete: a marker's name, a pattern of markers, or seconds of quiet. Default: None, at once.
        shards: Files per split. Default: None, one per 64 MiB before compression.
        payload_format: What the records are: `FORMAT_TF_EXAMPLE`, or `FORMAT_TF_SEQUENCE_EXAMPLE` for `tf.train.SequenceExample`, which
            StatisticsGen, SchemaGen and ExampleValidator read, and Transform, Trainer and Evaluator refuse. Rows can be split by
            features of the context. Default: `FORMAT_TF_EXAMPLE`.

    Raises:
        DataError: If a pattern matches nothing, a file is cut off or damaged, a record is not a `tf.train.Example` (file and record
            are named), a feature has different types, a file changes meanwhile, or a split gets no record.

    Example:
        examples = ImportExampleGen(input={"train": "data/imported/train-*.gz", "eval": "data/imported/eval-*.gz"})
    """

    needs = ("google_crc32c", "numpy", "pandas", "pyarrow.compute", "tfx_bsl.coders.example_coder", "tfx_bsl.coders.sequence_example_coder")
    libraries = ("pyarrow", "tfx-bsl")

    def execute(
        self,
        context: Context,
        examples: Output[Examples],
        *,
        input: InputPattern,
        splits: dict[str, int] = DEFAULT_SPLITS,
        split_by: str | None = None,
        stratify_by: str | None = None,
        span: int | str | None = None,
        version: int | None = None,
        window: int | None = None,
        missing_spans: str = "error",
        ready: str | float | None = None,
        shards: int | None = None,
        payload_format: Literal["FORMAT_TF_EXAMPLE", "FORMAT_TF_SEQUENCE_EXAMPLE"] = "FORMAT_TF_EXAMPLE",
    ) -> None:
        """Reads the files and writes the splits."""
        found = resolved(input)
        context.progress(f"reading {found}")
        reader = SequenceReader() if payload_format == SEQUENCE_EXAMPLES else RecordReader()
        options = OutputOptions(splits, split_by, stratify_by, shards, payload_format=payload_format)
        write_examples(context, examples, found, reader, options)


@dataclass(frozen=True)
class RecordReader:
    """The records of TFRecord files; their features are known when all records were read."""

    columns: None = None

    def blocks(self, file: InputFile) -> Iterator[Block]:
        """Yields the records of a file."""
        first = 0
        for records in read_records(file.path):
            if first == 0:
                _refuse_sequences(file.path, records[0])
            yield Block(file, first, len(records), records)
            first += len(records)
        if first == 0:
            raise DataError(f"{file.path} has no records.", hint="Remove it, or write it again.")

    def decode(self, block: Block) -> Rows:
        """Returns the features of some records, and the records themselves."""
        return Rows(decode_records(block.content, file=block.file.path, first=block.first), block.content)


def _refuse_sequences(path: Path, record: bytes) -> None:
    """A SequenceExample parses as an Example, and its sequences would be lost without a word."""
    if is_sequence_example(record):
        raise DataError(
            f"{path} holds tf.train.SequenceExample. Expected tf.train.Example.", hint=f"Give payload_format='{SEQUENCE_EXAMPLES}'."
        )
