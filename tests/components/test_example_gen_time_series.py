"""TimeSeriesExampleGen: windows, splits by time, gaps."""

from __future__ import annotations

import csv
import datetime
import json
import math
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from components.example_gen import TimeSeriesExampleGen
from components.records import read_split
from pipeline.artifacts import Artifact
from pipeline.errors import DataError, DefinitionError
from tests.components.media import issues
from tests.harness import Outputs, run

REPOSITORY = Path(__file__).parents[2]
START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)


def table(project: Path, lines: list[list[Any]], name: str = "a.csv") -> None:
    with (project / name).open("w", newline="") as stream:
        csv.writer(stream).writerows(lines)


def hours(count: int, *, without: tuple[int, ...] = ()) -> list[list[Any]]:
    """Rows whose value is the number of their hour."""
    return [["time", "y"], *([(START + number * HOUR).isoformat(), number] for number in range(count) if number not in without)]


def generate(project: Path, **parameters: Any) -> Outputs:
    return run(TimeSeriesExampleGen, project, **{"input": "*.csv", "time": "time", "target": "y", "history": 3, "horizon": 2, **parameters})


def windows(examples: Artifact, split: str) -> list[dict[str, list[Any]]]:
    return [row for batch in read_split(examples.split_path(split)) for row in batch.to_pylist()]


def values(examples: Artifact, split: str = "all") -> list[tuple[list[float], list[float]]]:
    return [(row["history/y"], row["horizon/y"]) for row in windows(examples, split)]


def test_windows_are_history_and_horizon(tmp_path: Path) -> None:
    table(tmp_path, hours(7))
    made = generate(tmp_path, splits={"all": 1})
    assert values(made["examples"]) == [([0, 1, 2], [3, 4]), ([1, 2, 3], [4, 5]), ([2, 3, 4], [5, 6])]
    second = windows(made["examples"], "all")[1]
    times = {name: second[f"window/{name}"][0] for name in ("first", "origin", "last")}
    assert times == {name: int((START + place * HOUR).timestamp()) for name, place in (("first", 1), ("origin", 3), ("last", 5))}
    assert made["examples"].summary()["time_series"] == {
        "rows": 7,
        "series": 1,
        "step": "1h",
        "begins": {"all": "2020-01-01T00:00:00"},
        "ends": "2020-01-01T06:00:00",
    }


def test_stride_is_the_distance_of_windows(tmp_path: Path) -> None:
    table(tmp_path, hours(12))
    assert [history[0] for history, _ in values(generate(tmp_path, splits={"all": 1}, stride=3)["examples"])] == [0, 3, 6]


def test_rows_may_be_in_any_order_and_in_several_files(tmp_path: Path) -> None:
    header, *lines = hours(50)
    random.Random(0).shuffle(lines)
    table(tmp_path, [header, *lines[:20]], "a.csv")
    table(tmp_path, [header, *lines[20:]], "b.csv")
    assert [history[0] for history, _ in values(generate(tmp_path, splits={"all": 1})["examples"])] == list(range(46))


def test_no_horizon_crosses_a_border_and_later_horizons_are_never_seen_before(tmp_path: Path) -> None:
    table(tmp_path, hours(100))
    made = generate(tmp_path, splits={"train": 6, "eval": 2, "test": 2}, history=10, horizon=5)
    seen = {split: values(made["examples"], split) for split in ("train", "eval", "test")}
    bounds = {"train": range(60), "eval": range(60, 80), "test": range(80, 100)}
    for split, found in seen.items():
        assert found
        assert all(step in bounds[split] for _, horizon in found for step in horizon)
    assert max(step for history, horizon in seen["train"] for step in history + horizon) < min(h[0] for _, h in seen["eval"])
    balance = made.context.rows
    assert balance is not None
    assert (balance.read, dict(balance.dropped), balance.missing) == (86, {"horizon across a border": 8}, 0)


def test_borders_can_be_times(tmp_path: Path) -> None:
    table(tmp_path, hours(100))
    made = generate(tmp_path, splits={"train": 1, "eval": 1}, borders=("2020-01-03T00:00:00",))
    assert {horizon[0] for _, horizon in values(made["examples"], "eval")} == set(range(48, 99))
    for wrong in (("yesterday",), ("2020-01-04", "2020-01-02")):
        with pytest.raises(DataError, match="borders must be times"):
            generate(tmp_path, splits={str(number): 1 for number in range(len(wrong) + 1)}, borders=wrong)


def test_all_series_are_cut_at_the_same_time(tmp_path: Path) -> None:
    lines = [["time", "who", "y", "age"]]
    for who, age in (("b", 5), ("a", 7)):
        lines += [[(START + number * HOUR).isoformat(), who, number, age] for number in range(40)]
    table(tmp_path, lines)
    examples = generate(tmp_path, series="who", static=("age",), splits={"train": 1, "eval": 1})["examples"]
    found = windows(examples, "train")
    assert [(row["who"], row["age"]) for row in found[:1] + found[-1:]] == [([b"b"], [5]), ([b"a"], [7])]
    assert {row["horizon/y"][-1] for row in found} == set(range(4, 20))
    assert "history/age" not in found[0]


def test_no_window_goes_over_a_gap_unless_asked(tmp_path: Path) -> None:
    table(tmp_path, hours(20, without=(8, 9, 10)))
    made = generate(tmp_path, splits={"all": 1})
    assert all(horizon[-1] - history[0] == 4 for history, horizon in values(made["examples"]))
    assert dict(made.context.rows.dropped) == {"gap in time": 4}  # type: ignore[union-attr]
    (issue,) = issues(made["examples"])["TIME_GAP"]
    assert issue["text"] == "1 gap in time: 3 steps of 1h missing."
    assert issue["records"] == ["2020-01-01T07:00:00 to 2020-01-01T11:00:00, 4 steps"]
    assert ([6, 7, 11], [12, 13]) in values(generate(tmp_path, splits={"all": 1}, across_gaps=True)["examples"])


def test_equal_times_fail_or_are_left_out(tmp_path: Path) -> None:
    table(tmp_path, [*hours(12), [(START + 3 * HOUR).isoformat(), 99], [(START + 3 * HOUR).isoformat(), 98]])
    with pytest.raises(DataError, match=r"2 rows with the time of an earlier row.*\n  a.csv, row 13 = a.csv, row 4: 2020-01-01T03:00:00"):
        generate(tmp_path, splits={"all": 1})
    made = generate(tmp_path, splits={"all": 1}, on_bad_record="skip")["examples"]
    assert issues(made)["DUPLICATE_TIME"][0]["count"] == 2
    assert values(made)[3] == ([3, 4, 5], [6, 7])


def test_times_that_cannot_be_read_fail_or_are_left_out(tmp_path: Path) -> None:
    lines = hours(12)
    lines[5][0] = "noon"
    table(tmp_path, lines)
    with pytest.raises(DataError, match=r"1 row without a time that can be read.*\n  a.csv, row 5: noon"):
        generate(tmp_path, splits={"all": 1})
    made = generate(tmp_path, splits={"all": 1}, on_bad_record="skip")["examples"]
    assert issues(made)["BAD_RECORD"][0]["records"] == ["a.csv, row 5: noon"]
    assert issues(made)["TIME_GAP"][0]["count"] == 1


@pytest.mark.parametrize(
    ("spell", "time_format"),
    [
        (lambda time: int(time.timestamp()), None),
        (lambda time: int(time.timestamp() * 1000), "ms"),
        (lambda time: time.strftime("%d.%m.%Y %H:%M"), "%d.%m.%Y %H:%M"),
        (lambda time: time.strftime("%Y%m%d%H"), "%Y%m%d%H"),
        (lambda time: time.strftime("%Y-%m-%d %H:%M:%S"), None),
        (lambda time: time.astimezone(datetime.timezone(datetime.timedelta(hours=5))).isoformat(), None),
    ],
)
def test_times_can_be_spelled_in_many_ways(tmp_path: Path, spell: Any, time_format: str | None) -> None:
    table(tmp_path, [["time", "y"], *([spell(START + number * HOUR), number] for number in range(6))])
    examples = generate(tmp_path, splits={"all": 1}, time_format=time_format)["examples"]
    assert [row["window/first"][0] for row in windows(examples, "all")] == [int(START.timestamp()), int((START + HOUR).timestamp())]


def test_months_are_a_step_of_the_calendar(tmp_path: Path) -> None:
    table(tmp_path, [["time", "y"], *([f"20{20 + month // 12}-{month % 12 + 1:02}-01", month] for month in range(30) if month != 20)])
    made = generate(tmp_path, splits={"all": 1})["examples"]
    assert made.summary()["time_series"]["step"] == "month"
    assert issues(made)["TIME_GAP"][0]["records"] == ["2021-08-01T00:00:00 to 2021-10-01T00:00:00, 2 steps"]


def test_missing_values_are_left_out_filled_or_kept(tmp_path: Path) -> None:
    lines = hours(14)
    for row in (5, 6, 10):
        lines[row + 1][1] = "NA"
    table(tmp_path, lines)
    dropped = generate(tmp_path, splits={"all": 1})
    assert dict(dropped.context.rows.dropped) == {"no value to forecast": 5, "missing value in the history": 4}  # type: ignore[union-attr]
    assert not any(math.isnan(value) for history, horizon in values(dropped["examples"]) for value in history + horizon)
    filled = values(generate(tmp_path, splits={"all": 1}, fill=1)["examples"])
    assert ([8, 9, 9], [11, 12]) in filled
    assert not any(history[0] in (5, 6) for history, _ in filled)
    kept = values(generate(tmp_path, splits={"all": 1}, drop_missing=False)["examples"])
    assert any(math.isnan(value) for history, _ in kept for value in history)
    assert not any(math.isnan(value) for _, horizon in kept for value in horizon)


def test_filling_never_takes_a_value_from_the_future_or_over_a_gap(tmp_path: Path) -> None:
    lines = hours(20, without=(6,))
    lines[1][1] = lines[7][1] = ""
    table(tmp_path, lines)
    found = values(generate(tmp_path, splits={"all": 1}, fill=5)["examples"])
    assert min(history[0] for history, _ in found) == 1
    assert not any(history[0] == 5 and history[1] == 8 for history, _ in found)


def test_known_columns_are_given_for_the_horizon_too(tmp_path: Path) -> None:
    lines = [[*row, f"day{index % 3}", index % 2, "x"] for index, row in enumerate(hours(8))]
    lines[0][2:] = ["day", "holiday", "text"]
    table(tmp_path, lines)
    (first, *_) = windows(generate(tmp_path, splits={"all": 1}, known=("holiday", "day"))["examples"], "all")
    assert (first["history/holiday"], first["horizon/holiday"]) == ([1, 0, 1], [0, 1])
    assert (first["history/day"], first["horizon/day"]) == ([b"day1", b"day2", b"day0"], [b"day1", b"day2"])
    assert "history/text" not in first
    assert "horizon/text" not in first


def test_series_that_are_too_short_are_told(tmp_path: Path) -> None:
    rows = [[(START + number * HOUR).isoformat(), who, number] for who, count in (("long", 20), ("short", 4)) for number in range(count)]
    table(tmp_path, [["time", "who", "y"], *rows])
    (issue,) = issues(generate(tmp_path, series="who", splits={"all": 1})["examples"])["UNUSUAL_RECORD"]
    assert (issue["text"], issue["records"]) == ("1 series is shorter than a window of 5 steps.", ["short"])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"time": "tim"}, r"The table has no column 'tim'. Did you mean 'time'"),
        ({"target": "z"}, r"The table has no column 'z'"),
        ({"target": "word"}, r"target: column 'word' holds text, such as 'abc'.\nName what stands for a missing value"),
        ({"static": ("y",)}, r"static: column 'y' changes within the series, at 2020-01-01T01:00:00"),
        ({"history": 50}, r"There is no record to write. 1 series is shorter than a window of 52 steps"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path: Path, parameters: dict[str, Any], message: str) -> None:
    table(tmp_path, [[*row, "word" if index == 0 else "abc"] for index, row in enumerate(hours(12))])
    with pytest.raises(DataError, match=message):
        generate(tmp_path, **parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"history": 0}, "history must be 1 or more"),
        ({"input": {"train": "a.csv"}}, "the splits are periods of time"),
        ({"borders": ("2020-01-01", "2021-01-01")}, "2 splits have 1 borders"),
        ({"step": "1 fortnight"}, "step must be such as '1h'"),
        ({"time": tuple("abcdefg")}, "time at most 6"),
    ],
)
def test_wrong_parameters_are_refused_when_the_node_is_built(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        TimeSeriesExampleGen(**{"input": "a.csv", "time": "t", "target": "y", "history": 3, "horizon": 2, **parameters})


def test_windows_of_air_quality_are_those_of_a_loop(tmp_path: Path) -> None:
    parameters = {"time": ("year", "month", "day", "hour"), "target": "pm2.5", "features": ("pm2.5", "TEMP"), "stride": 24}
    examples = generate(tmp_path, **parameters, input=str(REPOSITORY / "data/air_quality/*.csv"), history=72, horizon=24)["examples"]
    with (REPOSITORY / "data/air_quality/beijing_pm25.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    target = [float("nan") if row["pm2.5"] == "NA" else float(row["pm2.5"]) for row in lines]
    expected = [
        target[start : start + 96]
        for start in range(0, len(lines) - 95, 24)
        if not any(math.isnan(value) for value in target[start : start + 96])
    ]
    found = [row["history/pm2.5"] + row["horizon/pm2.5"] for split in ("train", "eval") for row in windows(examples, split)]
    assert found == [window for window in expected if window in found]
    assert len(expected) - len(found) <= 1
    jsonschema.validate(examples.summary(), json.loads((REPOSITORY / "schemas/summaries/Examples.json").read_text()))
