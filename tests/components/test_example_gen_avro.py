"""AvroExampleGen."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pytest

from components.example_gen import AvroExampleGen
from pipeline.errors import DataError
from tests.components.media import generate, rows


def write_avro(path: Path, fields: dict[str, Any], records: list[dict[str, Any]], codec: str = "null") -> Path:
    schema = {"type": "record", "name": "Row", "fields": [{"name": name, "type": kind} for name, kind in fields.items()]}
    with path.open("wb") as stream:
        fastavro.writer(stream, schema, records, codec=codec)
    return path


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_types_become_those_of_features(tmp_path: Path, codec: str) -> None:
    fields = {
        "b": "boolean",
        "i": ["null", "int"],
        "x": ["double", "null"],
        "s": "string",
        "e": {"type": "enum", "name": "Color", "symbols": ["red", "blue"]},
        "again": "Color",
        "f": {"type": "fixed", "name": "Three", "size": 3},
        "l": {"type": "array", "items": "long"},
        "t": {"type": "long", "logicalType": "timestamp-millis"},
        "d": ["null", {"type": "int", "logicalType": "date"}],
        "m": {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2},
        "u": {"type": "string", "logicalType": "uuid"},
        "z": "null",
    }
    day = datetime.datetime(1970, 1, 3, tzinfo=datetime.UTC)
    key = uuid.UUID(int=7)
    fixed = {"e": "red", "again": "blue", "f": b"abc", "t": day, "u": key, "z": None}
    record = {"b": True, "i": 3, "x": 0.5, "s": "ü", "l": [1, 2], "d": day.date(), "m": Decimal("1.25"), **fixed}
    other = {"b": False, "i": None, "x": None, "s": "", "l": [], "d": None, "m": Decimal("-2.5"), **fixed}
    write_avro(tmp_path / "a.avro", fields, [record, other], codec)
    first, second = rows(generate(AvroExampleGen, tmp_path, input="a.avro")["examples"])
    same = {"e": b"red", "again": b"blue", "f": b"abc", "t": 172_800_000_000, "u": str(key).encode(), "z": None}
    assert first == {"b": 1, "i": 3, "x": 0.5, "s": "ü".encode(), "l": [1, 2], "d": 2, "m": 1.25, **same}
    assert second == {"b": 0, "i": None, "x": None, "s": b"", "l": [], "d": None, "m": -2.5, **same}


def test_many_rows_are_all_there(tmp_path: Path) -> None:
    write_avro(tmp_path / "a.avro", {"n": "long"}, [{"n": number} for number in range(10_000)])
    made = generate(AvroExampleGen, tmp_path, input="*.avro", splits={"train": 2, "eval": 1})
    assert sorted(row["n"] for split in ("train", "eval") for row in rows(made["examples"], split)) == list(range(10_000))


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ({"type": "map", "values": "int"}, "'m' is map"),
        (["int", "string"], "'m' is"),
        ({"type": "array", "items": ["null", "int"]}, "'m' is"),
    ],
)
def test_types_that_features_cannot_have_are_refused(tmp_path: Path, kind: Any, shown: str) -> None:
    write_avro(tmp_path / "a.avro", {"n": "int", "m": kind}, [])
    with pytest.raises(DataError, match=rf"a.avro: {shown}.*Expected booleans, numbers"):
        generate(AvroExampleGen, tmp_path, input="a.avro")


def test_files_with_different_fields_are_refused(tmp_path: Path) -> None:
    write_avro(tmp_path / "a.avro", {"n": "int", "m": "int"}, [{"n": 1, "m": 1}])
    write_avro(tmp_path / "b.avro", {"n": "string"}, [{"n": "1"}])
    with pytest.raises(DataError, match=r"different fields: 'm' is int64 and missing; 'n' is int64 and bytes\."):
        generate(AvroExampleGen, tmp_path, input="*.avro")


def test_damaged_files_are_named(tmp_path: Path) -> None:
    whole = write_avro(tmp_path / "whole.avro", {"s": "string"}, [{"s": "x" * 100}] * 1000).read_bytes()
    for name, content, message in (
        ("cut.avro", whole[: len(whole) // 2], "cannot be read after row"),
        ("none.avro", b"hello", "is not an Avro file, or is damaged"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"{name} {message}"):
            generate(AvroExampleGen, tmp_path, input=name)
    write_avro(tmp_path / "empty.avro", {"s": "string"}, [])
    with pytest.raises(DataError, match=r"empty.avro has no rows"):
        generate(AvroExampleGen, tmp_path, input="empty.avro")
