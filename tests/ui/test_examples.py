"""The first rows of a split, read without TensorFlow."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pyarrow as pa
import pytest

from components.records import write_split
from pipeline.errors import DataError
from pipeline.ui import examples
from pipeline.ui.examples import media_of, media_type, records, rows_of
from tests.test_layers import loaded_by
from tests.ui.summaries import PICTURE


def split(folder: Path, rows: int = 50, shards: int = 3) -> Path:
    """Returns a split of numbered rows, as the components write it."""
    columns = {
        "number": pa.array([[number] for number in range(rows)], pa.list_(pa.int64())),
        "share": pa.array([[number / 3, 1.0] if number % 2 else None for number in range(rows)], pa.list_(pa.float32())),
        "word": pa.array([["é" * number] for number in range(rows)], pa.list_(pa.binary())),
    }
    target = folder / "Split-train"
    write_split(target, [pa.RecordBatch.from_arrays(list(columns.values()), list(columns))], shards=shards)
    return target


def test_rows_are_those_that_the_components_wrote(tmp_path: Path) -> None:
    found = rows_of(split(tmp_path, shards=1), 1, 2)
    assert found.features == ("number", "share", "word")
    assert [(number, [cell.text for cell in cells]) for number, cells in found.rows] == [
        (1, ["1", "0.3333333, 1", "é"]),
        (2, ["2", None, "éé"]),
    ]


def test_rows_of_all_shards_are_numbered_on(tmp_path: Path) -> None:
    numbers = [cells[0].text for _, cells in rows_of(split(tmp_path), 0, 100).rows]
    assert sorted(map(int, map(str, numbers))) == list(range(50))
    assert rows_of(split(tmp_path / "other"), 48, 100).rows[0][0] == 48
    assert rows_of(split(tmp_path / "third"), 500, 5).rows == ()


def test_long_texts_and_lists_are_cut(tmp_path: Path) -> None:
    columns = {"long": pa.array([["é" * 2_000]], pa.list_(pa.binary())), "many": pa.array([list(range(1_000))], pa.list_(pa.int64()))}
    write_split(tmp_path / "Split-train", [pa.RecordBatch.from_arrays(list(columns.values()), list(columns))])
    (_, (long, many)), *_ = rows_of(tmp_path / "Split-train", 0, 1).rows
    assert len(long.text or "") == 200
    assert (many.text, many.more) == ("0, 1, 2, 3, 4, 5, 6, 7", 992)


def damaged(folder: Path, change: str) -> Path:
    """Returns a split with a shard that was changed."""
    target = split(folder, shards=1)
    (shard,) = target.glob("*.gz")
    data = bytearray(gzip.decompress(shard.read_bytes()))
    if change == "cut":
        shard.write_bytes(shard.read_bytes()[:-40])
    elif change == "no gzip":
        shard.write_bytes(b"not gzip at all")
    else:
        if change == "bit":
            data[30] ^= 1
        elif change == "length":
            data[0:8] = struct.pack("<Q", 1 << 40)
        shard.write_bytes(gzip.compress(bytes(data)))
    return target


@pytest.mark.parametrize(
    ("change", "told"), [("cut", "damaged"), ("no gzip", "damaged"), ("bit", "another checksum"), ("length", "checksum")]
)
def test_damaged_file_is_told_with_the_record(tmp_path: Path, change: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        list(records(damaged(tmp_path, change)))


def test_record_that_is_no_example_is_told(tmp_path: Path) -> None:
    from google_crc32c import value as crc

    def masked(data: bytes) -> bytes:
        found = crc(data)
        return struct.pack("<I", (((found >> 15) | (found << 17)) + 0xA282EAD8) & 0xFFFFFFFF)

    head, record = struct.pack("<Q", 4), b"\xff\xff\xff\xff"
    folder = tmp_path / "Split-train"
    folder.mkdir()
    (folder / "data_tfrecord-00000-of-00001.gz").write_bytes(gzip.compress(head + masked(head) + record + masked(record)))
    with pytest.raises(DataError, match=r"no tf\.train\.Example"):
        rows_of(folder, 0, 1)


def test_rows_far_behind_are_refused_before_all_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "MOST_BYTES", 100)
    with pytest.raises(DataError, match="only rows before can be shown"):
        rows_of(split(tmp_path), 40, 5)


def test_pictures_and_sounds_are_known_by_their_first_bytes_and_svg_never_is() -> None:
    filled = bytes(64)
    assert media_type(PICTURE) == "image/png"
    assert media_type(b"\xff\xd8\xff\xe0" + filled) == "image/jpeg"
    assert media_type(b"RIFF\x00\x00\x00\x00WAVE" + filled) == "audio/wav"
    assert media_type(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'>" + filled) == ""
    assert media_type(b"<html>" + filled) == ""


def test_value_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no picture or sound"):
        media_of(split(tmp_path), 3, "word")


def test_pages_load_neither_tensorflow_nor_beam_nor_pyarrow() -> None:
    modules, said = loaded_by("import pipeline.ui.app, pipeline.ui.report; pipeline.ui.examples._example_type()")
    assert not modules & {"tensorflow", "apache_beam", "pyarrow", "numpy", "pandas", "tensorflow_metadata", "keras"}
    assert "starlette" in modules
    assert said == ""


def test_commands_that_read_do_not_load_what_makes_pages() -> None:
    modules, _ = loaded_by("import pipeline.cli.main, pipeline.cli.run, pipeline.cli.runs, pipeline.cli.lineage, pipeline.cli.ui")
    assert not modules & {"starlette", "uvicorn", "jinja2", "anyio"}
