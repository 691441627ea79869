"""The examples' data, cut into spans by time."""

from __future__ import annotations

import csv
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.example_gen.spans import available
from pipeline.errors import DataError, DefinitionError

REPOSITORY = Path(__file__).parents[2]


def tool() -> Any:
    spec = importlib.util.spec_from_file_location("cut_spans", REPOSITORY / "examples" / "cut_spans.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CUT = tool()
BIKES, TAXI = REPOSITORY / "data/bikes/hour.csv", REPOSITORY / "data/taxi/span-1/trips.csv"


def rows(file: Path) -> list[list[str]]:
    with file.open(newline="") as lines:
        return list(csv.reader(lines))


def test_months_of_bikes_hold_each_row_once_in_its_month(tmp_path: Path) -> None:
    done = CUT.cut(BIKES, "dteday", "%m/%d/%y", f"{tmp_path}/{{YYYY}}-{{MM}}/hour.csv")
    assert (len(done), set(done.values())) == (24, {"written"})
    found = [row for file in sorted(tmp_path.glob("*/hour.csv")) for row in rows(file)[1:]]
    assert sorted(found) == sorted(rows(BIKES)[1:])
    leap = rows(tmp_path / "2012-02" / "hour.csv")
    assert {row[1].split("/")[0] for row in leap[1:]} == {"2"}
    assert any(row[1] == "2/29/12" for row in leap[1:])
    spans = available("{YYYY}-{MM}/*.csv", tmp_path, ready="_SUCCESS")
    assert [(span.name, span.ready) for span in spans][::23] == [("2011-01", True), ("2012-12", True)]


def test_next_span_arrives_and_the_others_are_left_alone(tmp_path: Path) -> None:
    target = f"{tmp_path}/{{YYYY}}-{{MM}}/trips.csv"
    first = CUT.cut(TAXI, "trip_start_timestamp", "epoch", target, first="2013-01", last="2013-03")
    before = [file.stat().st_mtime_ns for file in sorted(tmp_path.glob("*/*"))]
    second = CUT.cut(TAXI, "trip_start_timestamp", "epoch", target, first="2013-01", last="2013-04")
    assert [list(done.values()) for done in (first, second)] == [["written"] * 3, ["kept"] * 3 + ["written"]]
    assert [file.stat().st_mtime_ns for file in sorted(tmp_path.glob("*/*"))][:6] == before


def test_a_killed_cut_is_finished_by_the_next(tmp_path: Path) -> None:
    target = f"{tmp_path}/{{YYYY}}-{{MM}}/trips.csv"
    CUT.cut(TAXI, "trip_start_timestamp", "epoch", target, last="2013-01")
    (tmp_path / "2013-01" / "_SUCCESS").unlink()
    assert list(CUT.cut(TAXI, "trip_start_timestamp", "epoch", target, last="2013-01").values()) == ["written"]
    assert (tmp_path / "2013-01" / "_SUCCESS").is_file()


def test_wrong_use_is_named(tmp_path: Path) -> None:
    target = f"{tmp_path}/{{YYYY}}-{{MM}}/a.csv"
    with pytest.raises(DataError, match=r"no column 'dtedays'. Did you mean 'dteday'"):
        CUT.cut(BIKES, "dtedays", "%m/%d/%y", target)
    with pytest.raises(DataError, match=r"hour.csv, line 2: no time in 'dteday'"):
        CUT.cut(BIKES, "dteday", "%Y-%m-%d", target)
    with pytest.raises(DefinitionError, match="names no time"):
        CUT.cut(BIKES, "dteday", "%m/%d/%y", f"{tmp_path}/{{SPAN}}.csv")
    with pytest.raises(DefinitionError, match="'march' is no span"):
        CUT.cut(BIKES, "dteday", "%m/%d/%y", target, last="march")


def test_command_says_what_it_did(tmp_path: Path) -> None:
    options = ["--column", "dteday", "--format", "%m/%d/%y", "--to", "{YYYY}-{MM}/hour.csv", "--last", "2011-02"]
    command = [sys.executable, str(REPOSITORY / "examples/cut_spans.py"), str(BIKES), *options]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(REPOSITORY), "PATH": ""}, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "written: 2, 2011-01/hour.csv to 2011-02/hour.csv\nkept: 0\n"
