"""ParquetExampleGen."""

from __future__ import annotations

from components.example_gen.base import DEFAULT_SPLITS, FileExampleGen, InputPattern, resolved
from components.example_gen.parquet_reader import ParquetReader
from components.example_gen.parts import OutputOptions
from components.example_gen.writing import write_examples
from pipeline.artifacts import Examples
from pipeline.component import Output
from pipeline.context import Context


class ParquetExampleGen(FileExampleGen):
    """Reads Parquet files into splits of `tf.train.Example`.

    Integers and booleans become int64, floats float32, strings and binaries bytes, lists of these the values of one feature; a null
    is a missing value.

    Outputs:
        examples: `Split-<name>/data_tfrecord-*.gz`; rows per split and columns with type and missing values in its summary.

    Args:
        input: Pattern of the files, several patterns, or a dict of split to pattern; see `CsvExampleGen`.
        splits: Names and weights of the splits. Default: two of three rows in `train`, one in `eval`; see `CsvExampleGen`.
        split_by: A feature, integers or strings; rows with the same value are in one split. Default: None.
        stratify_by: A label; each of its classes is divided in the exact proportions. Default: None.
        span: Number of the span to read; a negative one counts from the latest, -1. Default: None, the latest.
        version: Number of the version within the span, in the same way. Default: None, the latest.
        shards: Files per split. Default: None, one per 64 MiB before compression.
        columns: Names of the columns to read. Default: None, all of them.

    Raises:
        DataError: If a pattern matches nothing, a column has another type, the columns of the files differ, a file has no rows, is
            damaged or changes meanwhile, or a split gets no row.

    Example:
        examples = ParquetExampleGen(input="data/trips/*.parquet", split_by="company", columns=("company", "fare", "tips"))
    """

    needs = ("google_crc32c", "numpy", "pandas", "pyarrow.compute", "pyarrow.parquet")
    libraries = ("pyarrow",)

    def validate(self) -> None:
        """Checks the parameters."""
        super().validate()
        columns = self.parameters["columns"]
        if columns is not None and (not columns or len(set(columns)) < len(columns)):
            raise self._error(f"columns must be different and not empty. Received: {columns!r}")

    def execute(
        self,
        context: Context,
        examples: Output[Examples],
        *,
        input: InputPattern,
        splits: dict[str, int] = DEFAULT_SPLITS,
        split_by: str | None = None,
        stratify_by: str | None = None,
        span: int | None = None,
        version: int | None = None,
        shards: int | None = None,
        columns: tuple[str, ...] | None = None,
    ) -> None:
        """Reads the files and writes the splits."""
        found = resolved(input)
        context.progress(f"reading {found}")
        reader = ParquetReader.open(found.files, columns)
        write_examples(context, examples, found, reader, OutputOptions(splits, split_by, stratify_by, shards))
