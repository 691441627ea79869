"""The documentation of the ExampleGens: every parameter, every default, and examples that run."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from components import example_gen
from components.example_gen.base import FileExampleGen
from pipeline.component import REQUIRED, spec_of
from tests.components.media import write
from tests.components.test_example_gen_avro import write_avro
from tests.harness import run

REPOSITORY = Path(__file__).parents[2]
KINDS: list[type[FileExampleGen]] = [getattr(example_gen, name) for name in example_gen.__all__]
INPUTS: dict[str, dict[str, Any]] = {
    "AudioFolderExampleGen": {"input": "data/spoken_digits", "names": "{label}_{speaker}_{take}.wav"},
    "AvroExampleGen": {"input": "data/trips/*.avro"},
    "CsvExampleGen": {"input": "data/taxi/span-1/*.csv"},
    "ImageFolderExampleGen": {"input": "data/signs"},
    "ImportExampleGen": {"input": "data/imported/*"},
    "ParquetExampleGen": {"input": "data/trips/*.parquet"},
    "TextFolderExampleGen": {"input": "data/reviews"},
    "TimeSeriesExampleGen": {"input": "data/air_quality/*", "time": "hour", "target": "pm2.5", "history": 3, "horizon": 1},
}


def section(kind: type[FileExampleGen], begin: str, end: str) -> str:
    return (inspect.getdoc(kind) or "").partition(begin)[2].partition(end)[0]


def make_project(folder: Path) -> None:
    """The files that the examples name."""
    shutil.copytree(REPOSITORY / "data/taxi", folder / "data/taxi")
    (folder / "data/trips").mkdir()
    (folder / "data/imported").mkdir()
    for name in ("signs", "spoken_digits"):
        shutil.copytree(REPOSITORY / "data" / name, folder / "data" / name)
    texts = {f"data/reviews/{split}/{label}/{number}.txt" for split in ("train", "val") for label in ("neg", "pos") for number in range(3)}
    write(folder, {name: name.encode() for name in texts})
    hours = [f"2020,1,{1 + hour // 24},{hour % 24},{hour}" for hour in range(700)]
    write(folder, {"data/air_quality/a.csv": "\n".join(["year,month,day,hour,pm2.5", *hours]).encode()})
    write_avro(folder / "data/trips/a.avro", {"trip_start_timestamp": "long"}, [{"trip_start_timestamp": number} for number in range(99)])
    import pyarrow.parquet as pq

    table = pq.read_table(REPOSITORY / "tests/data/parquet/data.parquet")
    pq.write_table(table.filter(table["company"].is_valid()), folder / "data/trips/a.parquet")
    for number, split in enumerate(("train", "eval")):
        shard = REPOSITORY / f"tests/data/tfrecord/data_tfrecord-0000{number}-of-00002.gz"
        shutil.copy(shard, folder / f"data/imported/{split}-1.gz")


@pytest.mark.parametrize("kind", KINDS)
def test_example_in_the_docstring_runs(kind: type[FileExampleGen], tmp_path: Path) -> None:
    make_project(tmp_path)
    source = textwrap.dedent(section(kind, "Example:", "End"))
    namespace = {name: getattr(example_gen, name) for name in example_gen.__all__}
    exec(source, namespace)
    node = namespace["examples"]
    assert isinstance(node, kind)
    assert set(run(kind, tmp_path, **node.parameters)["examples"].record_counts) == {"train", "eval"}


@pytest.mark.parametrize("kind", KINDS)
def test_docstring_names_each_parameter_and_its_default(kind: type[FileExampleGen]) -> None:
    documented = dict(re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section(kind, "Args:", "Raises:"), re.M))
    parameters = spec_of(kind).parameters
    assert list(documented) == list(parameters)
    for name, text in documented.items():
        assert ("Default:" in text) is (parameters[name].default is not REQUIRED), name


@pytest.mark.parametrize("kind", KINDS)
def test_modules_that_are_loaded_beforehand_are_enough_and_without_tensorflow(kind: type[FileExampleGen], tmp_path: Path) -> None:
    make_project(tmp_path)
    parameters = INPUTS[kind.__name__] | ({"on_bad_record": "skip"} if kind is example_gen.TimeSeriesExampleGen else {})
    code = f"""
import importlib, pathlib, sys
from components.example_gen import {kind.__name__} as kind
from tests.harness import run
for name in kind.needs:
    importlib.import_module(name)
before = {{name.partition(".")[0] for name in sys.modules}}
run(kind, pathlib.Path({str(tmp_path)!r}), **{parameters!r})
heavy = {{"apache_beam", "fastavro", "google_crc32c", "numpy", "pandas", "PIL", "pyarrow", "soundfile", "tensorflow", "tfx_bsl"}}
after = {{name.partition(".")[0] for name in sys.modules}}
print(sorted(heavy & after - before), sorted(after & {{"apache_beam", "tensorflow"}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"
