"""ExampleGens on a Beam runner other than the local one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from components.example_gen import (
    AudioFolderExampleGen,
    CsvExampleGen,
    ImageFolderExampleGen,
    ImportExampleGen,
    ParquetExampleGen,
    TimeSeriesExampleGen,
)
from components.example_gen.base import FileExampleGen
from components.records import read_records, shard_files
from pipeline.artifacts import Artifact
from pipeline.errors import DataError
from tests.components.media import picture, write, write_tar
from tests.harness import Outputs, run

REPOSITORY = Path(__file__).parents[2]
LOOSE = {"across_gaps": True, "on_bad_record": "skip", "drop_missing": False}


@pytest.fixture
def csv_files(tmp_path: Path) -> Path:
    header, *lines = (REPOSITORY / "data/taxi/span-1/trips.csv").read_text().splitlines()
    for number, size in enumerate((700, 1, 1300)):
        (tmp_path / f"{number}.csv").write_text("\n".join([header, *lines[number * 1000 :][:size]]) + "\n")
    return tmp_path


@pytest.fixture
def pictures(csv_files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures in a folder and in two archives, with bad and equal ones, which make several portions."""
    monkeypatch.setattr("components.example_gen.files_reader._PORTION_FILES", 5)
    files = {f"{'ab'[number % 2]}/{number}.png": picture(number % 9, form="PNG") for number in range(12)}
    write(csv_files / "pictures", {**files, "a/bad.png": b"bad", "README.md": b""})
    write_tar(csv_files / "x.tar", {**files, "NOTES": b""}, "w")
    write_tar(csv_files / "y.tar", {"README": b""}, "w")
    return csv_files


def on_another_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beam's local runner stands for one on a cluster: items and results are pickled in the same way."""
    monkeypatch.setattr("components.spreading.LOCAL_RUNNERS", ())


def contents(examples: Artifact) -> dict[str, list[bytes]]:
    return {
        split: [record for file in shard_files(examples.split_path(split)) for records in read_records(file) for record in records]
        for split in examples.splits
    }


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (CsvExampleGen, {"input": "*.csv"}),
        (CsvExampleGen, {"input": "*.csv", "stratify_by": "payment_type"}),
        (CsvExampleGen, {"input": "*.csv", "split_by": "trip_start_hour", "splits": {"a": 3, "b": 1, "c": 2}, "shards": 2}),
        (CsvExampleGen, {"input": {"train": "[01].csv", "eval": "2.csv"}}),
        (ImportExampleGen, {"input": f"{REPOSITORY}/tests/data/tfrecord/*.gz"}),
        (ParquetExampleGen, {"input": f"{REPOSITORY}/tests/data/parquet/*.parquet"}),
        (ImportExampleGen, {"input": f"{REPOSITORY}/tests/data/sequence_*.gz", "payload_format": "FORMAT_TF_SEQUENCE_EXAMPLE"}),
        (ImageFolderExampleGen, {"input": ("pictures", "*.tar"), "on_bad_record": "skip"}),
        (AudioFolderExampleGen, {"input": f"{REPOSITORY}/data/spoken_digits/*", "names": "{label}_{who}_*.wav", "split_by": "label"}),
        (TimeSeriesExampleGen, {"input": "[02].csv", "time": "trip_start_timestamp", "target": "fare", "history": 1, "horizon": 1} | LOOSE),
    ],
)
def test_splits_are_those_of_the_local_runner(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, kind: type[FileExampleGen], parameters: dict[str, Any]
) -> None:
    local = run(kind, pictures, **parameters)
    on_another_runner(monkeypatch)
    remote = run(kind, pictures, **parameters)
    assert contents(remote["examples"]) == contents(local["examples"])
    assert json.dumps(remote["examples"].summary()) == json.dumps(local["examples"].summary())
    assert remote["examples"].properties == local["examples"].properties
    assert remote.context.rows == local.context.rows
    assert names(remote) - {"bad_records.jsonl"} == {"summary.json", *(f"Split-{split}" for split in remote["examples"].splits)}


def names(outputs: Outputs) -> set[str]:
    return {path.name for path in outputs["examples"].path.iterdir()}


def test_each_file_is_a_task_of_its_own(csv_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_another_runner(monkeypatch)
    examples = run(CsvExampleGen, csv_files, input="*.csv", splits={"all": 1})["examples"]
    assert len(shard_files(examples.split_path("all"))) == 3


def test_errors_come_back_as_they_were_raised(csv_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_another_runner(monkeypatch)
    with (csv_files / "2.csv").open("a") as stream:
        stream.write("1,2\n")
    with pytest.raises(DataError, match=r"2.csv, line 1302: 2 fields where 18 were expected"):
        run(CsvExampleGen, csv_files, input="*.csv")
    with pytest.raises(DataError, match=r"split_by: .* of 701 rows have no value in 'company'"):
        run(CsvExampleGen, csv_files, input="[01].csv", split_by="company")
