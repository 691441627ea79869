"""ParquetExampleGen."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.example_gen import ParquetExampleGen
from components.records import read_split
from pipeline.artifacts import Artifact
from pipeline.errors import DataError, DefinitionError
from tests.harness import run

REPOSITORY = Path(__file__).parents[2]


def generate(project: Path, table: pa.Table | dict[str, pa.Table], **parameters: Any) -> Artifact:
    for name, content in (table if isinstance(table, dict) else {"a.parquet": table}).items():
        pq.write_table(content, project / name, row_group_size=3)
    return run(ParquetExampleGen, project, **{"input": "*.parquet", "splits": {"all": 1}, **parameters})["examples"]


def columns(examples: Artifact, split: str = "all") -> dict[str, list[Any]]:
    (batch,) = read_split(examples.split_path(split))
    return dict(batch.to_pydict())


def test_rows_of_the_sample_keep_their_values(tmp_path: Path) -> None:
    table = pq.read_table(REPOSITORY / "tests/data/parquet/data.parquet")
    found = run(ParquetExampleGen, tmp_path, project=REPOSITORY, input="tests/data/parquet/*.parquet", splits={"all": 1})
    assert found.context.rows is not None
    assert (found.context.rows.read, found.context.rows.missing) == (600, 0)
    read = columns(found["examples"])
    for name in table.schema.names:
        expected = table[name].to_pylist()
        if pa.types.is_floating(table[name].type):
            expected = [None if value is None else float(np.float32(value)) for value in expected]
        elif pa.types.is_string(table[name].type):
            expected = [None if value is None else value.encode() for value in expected]
        assert read[name] == [None if value is None else [value] for value in expected]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, None], pa.int8()), [[1], None]),
        (pa.array([1, None], pa.uint32()), [[1], None]),
        (pa.array([True, None]), [[1], None]),
        (pa.array([0.5, None], pa.float64()), [[0.5], None]),
        (pa.array(["ü", None], pa.large_string()), [["ü".encode()], None]),
        (pa.array([b"\xff", None], pa.binary()), [[b"\xff"], None]),
        (pa.array([b"ab", None], pa.binary(2)), [[b"ab"], None]),
        (pa.array(["a", None]).dictionary_encode(), [[b"a"], None]),
        (pa.array([None, None], pa.null()), [None, None]),
        (pa.array([[1, 2], None], pa.list_(pa.int32())), [[1, 2], None]),
        (pa.array([[], [0.5]], pa.large_list(pa.float64())), [[], [0.5]]),
        (pa.array([["a", "b"], ["c"]], pa.list_(pa.string())), [[b"a", b"b"], [b"c"]]),
        (pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2)), [[1, 2], [3, 4]]),
    ],
)
def test_types_become_those_of_features(tmp_path: Path, column: pa.Array, expected: list[Any]) -> None:
    examples = generate(tmp_path, pa.table({"x": column}))
    assert columns(examples) == {"x": expected}
    (described,) = examples.summary()["columns"]
    assert (described["missing"], described["empty_lists"]) == (expected.count(None), expected.count([]))


@pytest.mark.parametrize(
    "column",
    [
        pa.array([datetime.datetime(2024, 1, 1)]),
        pa.array([datetime.date(2024, 1, 1)]),
        pa.array([{"a": 1}]),
        pa.array([[[1]]]),
    ],
)
def test_other_types_are_named_in_an_error(tmp_path: Path, column: pa.Array) -> None:
    with pytest.raises(DataError, match=r"a.parquet: 'x' is .*Expected integers, booleans, .*\n.*columns="):
        generate(tmp_path, pa.table({"x": column, "y": pa.array([1])}))
    assert columns(generate(tmp_path, {}, columns=("y",))) == {"y": [[1]]}


def test_integer_beyond_64_bits_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.parquet, column 'x'"):
        generate(tmp_path, pa.table({"x": pa.array([2**64 - 1], pa.uint64())}))


def test_null_inside_a_list_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'x' has a list with a null"):
        generate(tmp_path, pa.table({"x": pa.array([[1, None]])}))


def test_unknown_column_is_an_error_with_a_guess(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.parquet has no column 'fair'. Did you mean 'fare'\?"):
        generate(tmp_path, pa.table({"fare": [1.0]}), columns=("fair",))


def test_files_with_the_same_kinds_are_read_one_after_the_other(tmp_path: Path) -> None:
    first, second = pa.table({"x": pa.array([1, 2], pa.int32())}), pa.table({"x": pa.array([3], pa.int64())})
    assert columns(generate(tmp_path, {"a.parquet": first, "b.parquet": second})) == {"x": [[1], [2], [3]]}


def test_files_with_different_columns_are_an_error_that_names_them(tmp_path: Path) -> None:
    first, second = pa.table({"x": [1], "y": [1]}), pa.table({"x": [0.5], "z": [1]})
    with pytest.raises(DataError, match=r"'x' is int64 and float32; only a.parquet has 'y'; only b.parquet has 'z'"):
        generate(tmp_path, {"a.parquet": first, "b.parquet": second})


def test_lists_can_be_keys_and_labels(tmp_path: Path) -> None:
    table = pa.table({"x": [[number % 5, 1] for number in range(100)]})
    examples = generate(tmp_path, table, splits={"train": 1, "eval": 1}, split_by="x")
    seen = [{tuple(row) for row in columns(examples, split)["x"]} for split in examples.splits]
    assert (len(seen[0]) + len(seen[1]), seen[0] & seen[1]) == (5, set())
    assert generate(tmp_path, {}, splits={"train": 3, "eval": 1}, stratify_by="x").record_counts == {"train": 75, "eval": 25}


def test_file_without_rows_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.parquet has no rows"):
        generate(tmp_path, pa.table({"x": pa.array([], pa.int64())}))


def test_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(DataError, match=r"a.parquet is not a Parquet file, or is damaged"):
        generate(tmp_path, {})
    pq.write_table(pa.table({"x": [f"{number}" * 20 for number in range(1000)]}), tmp_path / "a.parquet", compression="gzip")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[100:2000] = bytes(1900)
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"a.parquet cannot be read"):
        generate(tmp_path, {})


def test_columns_may_not_be_empty() -> None:
    with pytest.raises(DefinitionError, match="columns must be different and not empty"):
        ParquetExampleGen(input="a.parquet", columns=())
