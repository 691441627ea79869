"""CsvExampleGen."""

from __future__ import annotations

import codecs

from components.example_gen.base import DEFAULT_SPLITS, FileExampleGen, InputPattern, resolved
from components.example_gen.csv_format import CsvFormat
from components.example_gen.csv_reader import CsvReader
from components.example_gen.parts import OutputOptions
from components.example_gen.writing import write_examples
from pipeline.artifacts import Examples
from pipeline.component import Output
from pipeline.context import Context


class CsvExampleGen(FileExampleGen):
    """Reads CSV files, also compressed ones (`.csv.gz`), into splits of `tf.train.Example`.

    The type of a column comes from all its rows, by TFDV's rules: int64 if all values are integers of 64 bits, float32 if all are
    numbers, else bytes. An empty field is a missing value; a column without any value has no type.

    The files are read in this process, in bounded memory; with `--runner` of another kind among the `beam_args` each file is a task
    of that runner, but all of them are one with `stratify_by` or `shards`.

    Outputs:
        examples: `Split-<name>/data_tfrecord-*.gz`; rows per split and columns with type and missing values in its summary.

    Args:
        input: Pattern of the files, relative to the project: `*`, `?`, `[...]`, `**`; `{SPAN}` (or `{YYYY}`, `{MM}`, `{DD}`) and
            `{VERSION}` stand for numbers, of which the latest is read. A tuple of patterns reads all their files. A dict of split
            to pattern says which files belong to which split. All files must have the same columns.
        splits: Names and weights of the splits. Default: two of three rows in `train`, one in `eval`. A row's split comes from a
            hash of its content, so it does not depend on the other rows, and is the one that TFX chooses.
        split_by: A feature, integers or strings, whose hash is taken instead, so that rows with the same value are in one split;
            rows without a value are an error. Default: None.
        stratify_by: A label: each of its classes is divided in the exact proportions of `splits`, in the order of the rows; rows
            without a value are a class of their own. Default: None.
        span: Number of the span to read; a negative one counts from the latest, -1. Default: None, the latest.
        version: Number of the version within the span, in the same way. Default: None, the latest.
        shards: Files per split. Default: None, one per 64 MiB before compression.
        column_names: Names of the columns of files without a header. Default: None, the first row is the header.
        delimiter: One character between fields. Default: a comma.
        encoding: Encoding of the files. Default: UTF-8, with or without a byte order mark.

    Raises:
        DataError: If a pattern matches nothing; a row has too few or too many fields, or cannot be decoded (file and line are
            named); headers have empty or repeated names or differ; a file has no rows or changes meanwhile; a split gets no row.

    Example:
        examples = CsvExampleGen(input="data/taxi/span-{SPAN}/*.csv", splits={"train": 2, "eval": 1})
    """

    needs = ("google_crc32c", "numpy", "pandas", "pyarrow.compute", "pyarrow.csv")
    libraries = ("pyarrow",)

    def validate(self) -> None:
        """Checks the parameters."""
        super().validate()
        values = self.parameters
        if len(values["delimiter"]) != 1 or values["delimiter"] in '"\r\n' or not values["delimiter"].isascii():
            raise self._error(
                f"delimiter must be one ASCII character, and neither a quote nor a line break. Received: {values['delimiter']!r}"
            )
        try:
            codecs.lookup(values["encoding"])
        except LookupError as error:
            raise self._error(f"encoding={values['encoding']!r} is unknown.") from error
        names = values["column_names"]
        if names is not None and (not names or not all(names) or len(set(names)) < len(names)):
            raise self._error(f"column_names must be different and not empty. Received: {names!r}")

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
        column_names: tuple[str, ...] | None = None,
        delimiter: str = ",",
        encoding: str = "utf-8",
    ) -> None:
        """Reads the files and writes the splits."""
        found = resolved(input)
        context.progress(f"reading {found}")
        reader = CsvReader.open(context, found.files, CsvFormat(delimiter, encoding, column_names))
        write_examples(context, examples, found, reader, OutputOptions(splits, split_by, stratify_by, shards))
