"""Whole columns of a store: those of the file are those of the records."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.artifacts import ArtifactState
from pipeline.metadata import FIELDS, Columns, Kind, MetadataStore
from pipeline.metadata.columns import FileColumns, RecordColumns
from pipeline.records import ExecutionState
from tests.fakes import Numbers


def store_of(folder: Path) -> MetadataStore:
    store = MetadataStore(f"sqlite://{folder}/metadata.db")
    artifact = Numbers(folder / "a_b", {"total": 7, "share": 0.5, "wide": 2**40}, name="fake/r/n/out/1", state=ArtifactState.LIVE)
    artifact.digest, artifact.size = "ABc", 3_000_000_000
    store.publish(store.register("fake", "r", "n", "tests.N", {"note": "50%"}, {}), ExecutionState.COMPLETE, {}, {"out": [artifact]})
    store.register("fake", "r", "m", "tests.M", {"parameters": '{"x": 1}'}, {"in": [artifact]})
    other = Numbers(folder / "axb", name="other", state=ArtifactState.DELETED)
    store.publish(store.register("fake", "r", "k", "tests.N", {}, {}), ExecutionState.FAILED, {"seconds": 1.5}, {"out": [other]})
    return store


def both(store: MetadataStore) -> tuple[Columns, Columns]:
    of_file = store.columns()
    of_records = RecordColumns(lambda kind: store._call(lambda library: getattr(library, f"get_{kind}s")()), store._used)
    assert isinstance(of_file, FileColumns)
    return of_file, of_records


@pytest.mark.parametrize("kind", ["artifact", "execution"])
def test_each_column_is_the_same_from_the_file_and_from_the_records(tmp_path: Path, kind: Kind) -> None:
    of_file, of_records = both(store_of(tmp_path))
    names = of_file.property_names(kind)
    assert names == of_records.property_names(kind)
    for ids in (None, [2], [1, 99]):
        for name in FIELDS[kind]:
            assert of_file.field(kind, name, ids) == of_records.field(kind, name, ids), name
        for name in [*names, "nothing"]:
            assert of_file.property(kind, name, ids) == of_records.property(kind, name, ids), name
    assert of_file.used() == of_records.used() == {1}


def test_values_are_of_the_type_that_they_were_written_in(tmp_path: Path) -> None:
    columns = store_of(tmp_path).columns()
    assert columns.property("artifact", "wide") == {1: 2**40}
    assert isinstance(columns.property("artifact", "wide")[1], int)
    assert columns.property("artifact", "size")[1] == 3_000_000_000
    assert columns.property("artifact", "share") == {1: 0.5}
    assert columns.field("artifact", "state") == {1: "LIVE", 2: "DELETED"}
    assert columns.field("execution", "state") == {1: "COMPLETE", 2: "RUNNING", 3: "FAILED"}
    assert columns.field("execution", "type") == {1: "tests.N", 2: "tests.M", 3: "tests.N"}


@pytest.mark.parametrize(
    ("kind", "name", "text", "start", "expected"),
    [
        ("artifact", "uri", "a_b", False, [1]),
        ("artifact", "uri", "A_B", False, [1]),
        ("artifact", "name", "fake/", True, [1]),
        ("artifact", "name", "ake/", True, []),
        ("artifact", "type", "numbers", False, [1, 2]),
        ("artifact", "content_digest", "abc", True, [1]),
        ("execution", "note", "%", False, [1]),
        ("execution", "note", "5_%", False, []),
        ("execution", "parameters", '"x"', False, [2]),
        ("execution", "node", "!", False, []),
    ],
)
def test_texts_are_found_as_they_are_written(tmp_path: Path, kind: Kind, name: str, text: str, start: bool, expected: list[int]) -> None:
    for columns in both(store_of(tmp_path)):
        assert columns.holding(kind, name, text, start=start) == expected


def test_more_records_than_one_query_takes_are_read_in_parts(tmp_path: Path) -> None:
    columns = store_of(tmp_path).columns()
    assert columns.field("artifact", "name", list(range(2000))) == {1: "fake/r/n/out/1", 2: "other"}


def test_an_empty_store_has_empty_columns() -> None:
    columns = MetadataStore("empty:").columns()
    assert (columns.field("artifact", "type"), columns.property("execution", "node"), columns.used()) == ({}, {}, set())
