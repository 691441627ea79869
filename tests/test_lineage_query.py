"""The language of `--where` and `--sort`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.lineage.query import UNITS, Value
from pipeline.lineage.tables import Question, Source

ROWS: dict[int, dict[str, Value]] = {
    1: {"Evaluator.auc": 0.95, "Trainer.steps": 100, "state": "done", "blessed": True, "started": 1_000.0, "reason": "nothing changed"},
    2: {"Evaluator.auc": 0.85, "Trainer.steps": 1000, "Tuner.steps": 3, "state": "failed", "started": 2_000.0, "reason": "Disk full"},
    3: {"Trainer.steps": 10, "state": "done", "blessed": False, "started": 3_000.0, "recall of spam": 0.5, "version": "10"},
}


def source(rows: Mapping[int, Mapping[str, Value]] = ROWS) -> Source:
    names = sorted({name for values in rows.values() for name in values})

    def reader(name: str) -> Any:
        return lambda ids: {id: values[name] for id, values in rows.items() if name in values}

    return Source(list(rows), {}, lambda: {name: reader(name) for name in names}, ("state",) if "state" in names else ())


def found(where: str, sort: str = "", rows: Mapping[int, Mapping[str, Value]] = ROWS) -> list[int | str]:
    return [row.id for row in source(rows).answer(Question(where, sort)).rows]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("auc > 0.9", [1]),
        ("0.9 < auc", [1]),
        ("AUC >= 0.85 and Trainer.steps < 1_000", [1]),
        ("auc > 0.9 or Trainer.steps = 10", [1, 3]),
        ("not blessed", [2, 3]),
        ("blessed = false", [3]),
        ("blessed", [1]),
        ("auc is none", [3]),
        ("auc is not none and not state = failed", [1]),
        ("state in (done, failed) and state != done", [2]),
        ("reason ~ 'DISK'", [2]),
        ("reason !~ disk", [1]),
        ("state = done and auc > 0.9 or state = failed", [1, 2]),
        ("state = done and (auc > 0.9 or state = failed)", [1]),
        ("`recall of spam` = 50%", [3]),
        ("version >= 9", [3]),
        ("Trainer.steps = 1kB", [2]),
        ("", [1, 2, 3]),
    ],
)
def test_condition_finds_the_rows_that_meet_it(where: str, expected: list[int]) -> None:
    assert found(where) == expected


def test_times_are_compared_as_times() -> None:
    noon = datetime(2026, 11, 1, 12).astimezone().timestamp() * 1000
    rows: dict[int, dict[str, Value]] = {1: {"started": noon - 1}, 2: {"started": noon + 1}}
    assert found("started > '2026-11-01 12:00'", rows=rows) == [2]
    assert found("started >= 2026-11-01 and started < 2026-11-02", rows=rows) == [1, 2]


def test_units_are_bytes_and_seconds() -> None:
    rows: dict[int, dict[str, Value]] = {1: {"size": 2_000_000, "seconds": 90.0}, 2: {"size": 10, "seconds": 7200.0}}
    assert found("size > 1.5MB", rows=rows) == [1]
    assert found("seconds < 2min", rows=rows) == [1]
    assert found("seconds >= 2h", rows=rows) == [2]
    assert (UNITS["w"], UNITS["%"]) == (604_800, 0.01)


def test_rows_are_sorted_with_what_lacks_the_field_last() -> None:
    assert found("", "-auc") == [1, 2, 3]
    assert found("", "auc") == [2, 1, 3]
    assert found("", "auc desc, state") == [1, 2, 3]
    assert found("", "state,-Trainer.steps") == [1, 3, 2]
    assert found("", "version") == [3, 1, 2]


def test_a_limit_takes_the_last_rows_or_the_first_of_an_order() -> None:
    table = source().answer(Question(limit=2))
    assert ([row.id for row in table.rows], table.total) == ([2, 3], 3)
    assert [row.id for row in source().answer(Question(sort="-auc", limit=1)).rows] == [1]


def test_columns_are_the_usual_ones_and_those_that_are_named() -> None:
    table = source().answer(Question("auc > 0", "-Trainer.steps", ("blessed",)))
    assert table.columns == ("state", "Evaluator.auc", "Trainer.steps", "blessed")
    assert table.rows[1].values == {"state": "done", "Evaluator.auc": 0.95, "Trainer.steps": 100, "blessed": True}


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("acu > 1", "There is no field 'acu'. Did you mean 'auc'?"),
        ("steps > 1", "'steps' may be Trainer.steps, Tuner.steps."),
        ("auc > high", "'Evaluator.auc' is a number. Received: 'high'"),
        ("auc >", "Expected a value for 'Evaluator.auc'."),
        ("auc 0.9", "Expected a comparison after 'auc'"),
        ("auc > 0.9 state = done", "Expected 'and', 'or' or the end. Received: 'state'"),
        ("(auc > 0.9", "Expected ')'."),
        ("state in done", "Expected '('."),
        ("auc > 3XB", "'XB' is no unit."),
        ("started > 3d", "'started' is a time. Received: '3d'"),
        ("auc > 'x", "This cannot be read."),
        ("__import__('os').system('true')", "This cannot be read."),
        ("__import__ > 1", "There is no field '__import__'."),
        ("auc is 3", "Expected 'none' after 'is'."),
        ("and", "There is no field 'and'."),
    ],
)
def test_what_is_not_understood_is_refused_with_the_place(where: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        found(where)
    assert raised.value.message.startswith(message), raised.value.message


def test_the_place_of_a_mistake_is_shown() -> None:
    with pytest.raises(UsageError) as raised:
        found("state = done nd auc > 1")
    assert raised.value.message.splitlines()[1:] == ["  state = done nd auc > 1", "               ^"]


def test_a_wrong_order_is_refused() -> None:
    with pytest.raises(UsageError, match=r"Expected a field, perhaps with 'asc' or 'desc'\. Received: 'auc downwards'"):
        found("", "auc downwards")
