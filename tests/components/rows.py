"""Small Examples for the tests of what reads them: a sample of the taxi trips, and rows written out in a test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from components.records import write_split
from pipeline.artifacts import Examples, ExampleStatistics

DATA = Path(__file__).parents[2] / "data"
SCHEMAS = Path(__file__).parents[2] / "schemas"


def read_csv(path: Path) -> pa.Table:
    """The rows of a CSV with the types of TFDV: int64, float32, binary, and null for an empty column."""
    options = csv.ConvertOptions(strings_can_be_null=True, null_values=[""])
    table = csv.read_csv(path, convert_options=options).combine_chunks()
    kinds = {pa.float64(): pa.float32(), pa.string(): pa.binary()}
    return table.cast(pa.schema([(field.name, kinds.get(field.type, field.type)) for field in table.schema]))


def write_examples(path: Path, splits: Mapping[str, pa.Table | Mapping[str, list[Any]]], *, shards: int = 1) -> Examples:
    """Examples with the given rows in each split, and the summary that an ExampleGen writes."""
    examples = Examples(path)
    tables = {split: rows if isinstance(rows, pa.Table) else pa.table(dict(rows)) for split, rows in splits.items()}
    for split, table in tables.items():
        write_split(path / f"Split-{split}", table.combine_chunks().to_batches(), shards=shards)
    examples.set_splits(list(tables))
    examples.set_record_counts({split: table.num_rows for split, table in tables.items()})
    return examples


def taxi(path: Path, *, train: int = 1400, eval: int = 600, shards: int = 1) -> Examples:
    """The first trips, in two splits."""
    table = read_csv(DATA / "taxi" / "span-1" / "trips.csv")
    return write_examples(path, {"train": table.slice(0, train), "eval": table.slice(train, eval)}, shards=shards)


def as_statistics(path: Path, protos: Mapping[str, Any]) -> ExampleStatistics:
    """Statistics with the given content."""
    statistics = ExampleStatistics(path)
    for split, proto in protos.items():
        (path / f"Split-{split}").mkdir(parents=True, exist_ok=True)
        (path / f"Split-{split}" / "FeatureStats.pb").write_bytes(proto.SerializeToString())
    statistics.set_splits(list(protos))
    return statistics


def documented_example(kind: type) -> str:
    """The code of a component's example in its docstring."""
    import inspect
    import textwrap

    text = inspect.getdoc(kind) or ""
    return textwrap.dedent(text.split("Example:\n", 1)[1].split("\n\n\n")[0])
