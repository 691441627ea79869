"""Columns have the types and values that TFDV gives them."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pyarrow as pa
import pytest

from components.example_gen import CsvExampleGen
from components.example_gen.column_types import ColumnType, infer_type
from components.records import read_split
from pipeline.artifacts import Artifact
from tests.harness import run

pytestmark = pytest.mark.tensorflow

REPOSITORY = Path(__file__).parents[2]
INTEGERS = ["0", "7", "007", "-0", "-12", "9223372036854775807", "-9223372036854775808"]
ODD_INTEGERS = ["+1", " 1", "1 ", "\t5\x0b", "1_000", " +3"]
FLOATS = [
    "1.5",
    ".5",
    "1.",
    "1e5",
    "-1E-3",
    "1e400",
    "1e-400",
    "nan",
    "NaN",
    "-nan",
    "inf",
    "-Infinity",
    "3.4028236e38",
    "0.1",
    "16777217.0",
]
ODD_FLOATS = ["+1.5", "+.5", " 2.5", "2.5\n", "+nan", "+inf", "1_0.5", "1" * 5000, "99999999999999999999.5", "12345678901234567890e0"]
NO_NUMBERS = ["x", "é", "true", "NULL", "None", " ", "\t", "--1", "+-1", "+", "-", ".", "1,5", "e5", "1e", "0x1F", "0b1", "1j", "1.5f"]
LOOK_ALIKES = ["nan(1)", "infin", "1__0", "_1", "\u0661\u0662", "1\u00a0", "\x1c1"]
LONG_INTEGERS = ["9223372036854775808", "-9223372036854775809", "+9223372036854775808"]


def decode_as_tfdv(rows: list[list[str]], names: list[str]) -> pa.RecordBatch:
    """Decodes rows with the very code that tfdv.generate_statistics_from_csv uses."""
    from tfx_bsl.coders import csv_decoder

    inferrer = csv_decoder.ColumnTypeInferrer(names, skip_blank_lines=True)
    cells = [[cell.encode() for cell in row] for row in rows]
    types = inferrer.create_accumulator()
    for row in cells:
        types = inferrer.add_input(types, row)
    decoder = csv_decoder.BatchedCSVRowsToRecordBatch(skip_blank_lines=True)
    (batch,) = decoder.process([(row, "") for row in cells], inferrer.extract_output(types))
    return batch


def generate(tmp_path: Path, project: Path, pattern: str) -> Artifact:
    return run(CsvExampleGen, tmp_path, project=project, input=pattern, splits={"all": 1})["examples"]


def assert_same(ours: pa.RecordBatch, theirs: pa.RecordBatch) -> None:
    assert sorted(ours.schema.names) == sorted(theirs.schema.names)
    for name in theirs.schema.names:
        our_column, their_column = (batch.column(batch.schema.get_field_index(name)) for batch in (ours, theirs))
        assert our_column.type == their_column.type, (name, their_column[:5])
        assert repr(our_column.to_pylist()) == repr(their_column.to_pylist()), name


def statistics_by_name(statistics: object) -> dict[str, str]:
    """The statistics of each feature as text, with sums rounded as they depend on the order of the batches."""
    (dataset,) = statistics.datasets  # type: ignore[attr-defined]
    for feature in dataset.features:
        numbers = feature.num_stats
        for field in ("mean", "std_dev"):
            setattr(numbers, field, float(f"{getattr(numbers, field):.10g}"))
    return {feature.path.step[0]: str(feature) for feature in dataset.features}


@pytest.mark.parametrize(
    "file", ["data/taxi/span-1/trips.csv", "data/bikes/hour.csv", "data/penguins/penguins.csv", "tests/data/csv_empty.csv"]
)
def test_statistics_equal_those_of_tfdv_from_the_same_csv(tmp_path: Path, file: str) -> None:
    import tensorflow_data_validation as tfdv

    examples = generate(tmp_path, REPOSITORY, file)
    theirs = tfdv.generate_statistics_from_csv(str(REPOSITORY / file))
    ours = tfdv.generate_statistics_from_tfrecord(str(examples.split_path("all") / "*.gz"))
    assert ours.datasets[0].num_examples == theirs.datasets[0].num_examples
    assert statistics_by_name(ours) == statistics_by_name(theirs)


@pytest.mark.parametrize("file", ["data/penguins/penguins.csv", "tests/data/csv_empty.csv", "tests/data/csv_multi_line_string.csv"])
def test_values_equal_those_of_tfdv(tmp_path: Path, file: str) -> None:
    with (REPOSITORY / file).open(newline="") as stream:
        names, *rows = csv.reader(stream)
    (ours,) = read_split(generate(tmp_path, REPOSITORY, file).split_path("all"))
    assert_same(ours, decode_as_tfdv(rows, names))


def test_hostile_columns_equal_those_of_tfdv(tmp_path: Path) -> None:
    choose = random.Random(1)
    kinds = [INTEGERS, ODD_INTEGERS, FLOATS, ODD_FLOATS, NO_NUMBERS, LOOK_ALIKES, LONG_INTEGERS, [""]]
    everything = [value for kind in kinds for value in kind]
    columns = [[value, "", value] for value in everything]
    columns += [[value, other, ""] for value in INTEGERS + FLOATS for other in choose.sample(everything, 12)]
    columns += [choose.choices([v for kind in choose.sample(kinds, 3) for v in kind], k=3) for _ in range(600)]
    names = [f"c{index}" for index in range(len(columns))]
    rows = [list(row) for row in zip(*columns, strict=True)]
    with (tmp_path / "hostile.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    (ours,) = read_split(generate(tmp_path, tmp_path, "hostile.csv").split_path("all"))
    assert_same(ours, decode_as_tfdv(rows, names))


def test_type_comes_from_all_rows_not_from_the_first_ones(tmp_path: Path) -> None:
    rows = 300_000  # several blocks
    lines = [f"{index},{index},{index},\n" for index in range(rows)]
    lines[-1] = "1.5,x,7,late\n"
    (tmp_path / "late.csv").write_text("to_float,to_text,stays,late\n" + "".join(lines))
    columns = generate(tmp_path, tmp_path, "late.csv").summary()["columns"]
    assert [(column["type"], column["missing"]) for column in columns] == [("float32", 0), ("bytes", 0), ("int64", 0), ("bytes", rows - 1)]


def test_column_has_one_type_over_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n\n1\n2\n")
    (tmp_path / "b.csv").write_text("n\n1.5\n")
    (batch,) = read_split(generate(tmp_path, tmp_path, "*.csv").split_path("all"))
    assert batch.column(0).to_pylist() == [[1.0], [2.0], [1.5]]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (INTEGERS + ODD_INTEGERS, ColumnType.INT),
        (INTEGERS + FLOATS + ODD_FLOATS, ColumnType.FLOAT),
        ([], ColumnType.EMPTY),
        (["1", "x"], ColumnType.STRING),
    ],
)
def test_type_is_the_highest_of_the_values(values: list[str], kind: ColumnType) -> None:
    assert infer_type(pa.array([None, *values, None], pa.string())) is kind
    assert infer_type(pa.array(["x", None, *values, "x"], pa.string()).slice(1, len(values) + 1)) is kind
