"""Due times: cron in time zones through changes of the clock, and each so many seconds."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from pipeline.errors import UsageError
from pipeline.schedule.triggers import (
    KINDS,
    Cron,
    Every,
    ModelAge,
    SpanArrived,
    Trigger,
    next_times,
    seconds_of,
    span_text,
    trigger_from_json,
)
from tests.schedule.world import at, said

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def dues(expression: str, zone: str, after: str, count: int) -> list[str]:
    return [said(due, zone) for due in itertools.islice(Cron(expression, zone).due_times(at(after, zone)), count)]


def test_time_that_is_skipped_in_spring_is_due_at_the_first_minute_after() -> None:
    assert dues("30 2 * * *", BERLIN, "2026-03-28 00:00", 3) == ["2026-03-28 02:30", "2026-03-29 03:00", "2026-03-30 02:30"]


def test_two_times_that_are_skipped_are_due_once() -> None:
    assert dues("10,50 2 * * *", BERLIN, "2026-03-28 12:00", 3) == ["2026-03-29 03:00", "2026-03-30 02:10", "2026-03-30 02:50"]


def test_time_that_comes_twice_in_autumn_is_due_the_first_time_only() -> None:
    found = list(itertools.islice(Cron("30 2 * * *", BERLIN).due_times(at("2026-10-25 00:00", BERLIN)), 2))
    assert [datetime.fromtimestamp(due / 1000, UTC).isoformat() for due in found] == [
        "2026-10-25T00:30:00+00:00",
        "2026-10-26T01:30:00+00:00",
    ]


def test_after_the_second_of_two_equal_times_comes_the_next_day() -> None:
    second = int(datetime(2026, 10, 25, 2, 15, tzinfo=ZoneInfo(BERLIN), fold=1).timestamp() * 1000)
    assert said(next(Cron("30 2 * * *", BERLIN).due_times(second)), BERLIN) == "2026-10-26 02:30"


def test_each_quarter_goes_by_elapsed_time_through_both_changes() -> None:
    for day in ("2026-03-29", "2026-10-25"):
        found = list(itertools.islice(Cron("*/15 * * * *", BERLIN).due_times(at(f"{day} 00:30", BERLIN)), 20))
        assert {after - before for before, after in itertools.pairwise(found)} == {15 * 60 * 1000}


def test_leap_day_comes_each_fourth_year() -> None:
    assert dues("0 12 29 2 *", "UTC", "2026-01-01 00:00", 2) == ["2028-02-29 12:00", "2032-02-29 12:00"]


def expected(hour: int, minute: int, zone: str, year: int) -> list[int]:
    """The due times of a daily time, found without the library: a look at each minute of the year."""
    found, place = [], ZoneInfo(zone)
    for day in range(366):
        date = datetime(year, 1, 1) + timedelta(days=day)
        if date.year != year:
            break
        wall = date.replace(hour=hour, minute=minute)
        for _ in range(180):
            moments = [wall.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1)]
            real = [moment for moment in moments if moment.astimezone(place).replace(tzinfo=None) == wall]
            if real:
                found.append(int(min(real).timestamp() * 1000))
                break
            wall += timedelta(minutes=1)
    return found


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo"])
@pytest.mark.parametrize(("hour", "minute"), [(0, 0), (1, 45), (2, 30), (3, 0)])
def test_daily_time_of_a_leap_year_is_each_day_once_as_a_look_at_each_minute_finds(zone: str, hour: int, minute: int) -> None:
    start, end = at("2027-12-31 23:59", zone), at("2028-12-31 23:59", zone)
    found = list(itertools.takewhile(lambda due: due <= end, Cron(f"{minute} {hour} * * *", zone).due_times(start)))
    assert found == expected(hour, minute, zone, 2028)
    assert len(found) == 366


def test_due_times_go_on_after_any_of_them() -> None:
    """Restarted at any moment, the list is the same: no time is lost or comes twice."""
    trigger = Cron("*/7 1-3 * * *", BERLIN)
    all = list(itertools.islice(trigger.due_times(at("2026-10-24 20:00", BERLIN)), 60))
    for before, after in itertools.pairwise(all):
        for moment in (before, (before + after) // 2, after - 1):
            assert next(trigger.due_times(moment)) == after


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("61 * * * *", "wrong minute: '61'. Expected 0-59"),
        ("* 24 * * *", "wrong hour: '24'"),
        ("* * 0 * *", "wrong day of month: '0'"),
        ("* * * FOO *", "wrong month: 'FOO'. Expected 1-12 or JAN-DEC"),
        ("0 6 * * 1-8", "wrong day of week: '1-8'"),
        ("*/0 * * * *", "wrong minute: '*/0'"),
        ("60 * * * * *", "wrong second: '60'"),
        ("* * *", "Received 3"),
        ("0 0 31 2 *", "names no day that ever comes"),
    ],
)
def test_bad_expression_is_refused_with_the_part_that_is_wrong(expression: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("*", r"\*")):
        Cron(expression)


@pytest.mark.parametrize(
    ("zone", "near"), [("Europe/Berln", "Europe/Berlin"), ("berlin", "Europe/Berlin"), ("new york", "America/New_York")]
)
def test_unknown_zone_is_refused_with_the_nearest(zone: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"There is no time zone '{zone}'. Did you mean '{near}'?"):
        Cron("0 6 * * *", zone)


def test_every_goes_on_by_its_anchor() -> None:
    trigger = Every(90, anchor=at("2026-01-01 00:00"))
    found = list(itertools.islice(trigger.due_times(at("2026-01-01 00:10")), 2))
    assert [due - trigger.anchor for due in found] == [630_000, 720_000]
    assert next(trigger.due_times(trigger.anchor - 10**9)) == trigger.anchor + 90_000


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("1h30m", 5400), ("7d", 604800), ("2w", 1209600), ("1.5h", 5400)])
def test_times_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds
    assert seconds_of(span_text(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "5", "5 m", "0.5s", "-5m", "1h30", "five", "1y"])
def test_times_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="A time is written"):
        seconds_of(text)


def test_each_kind_of_trigger_is_read_back_as_it_was() -> None:
    made: list[Trigger] = [
        Cron("0 6 * * *", BERLIN),
        Every(5, 7),
        ModelAge("taxi", 3600),
        SpanArrived({"train": ["a/{SPAN}"]}, "/p", "_SUCCESS"),
    ]
    made += [KINDS["file"]("/a"), KINDS["artifact"]("taxi"), KINDS["drift"]("taxi"), KINDS["webhook"]("env:TOKEN")]
    assert {trigger.KIND for trigger in made} == set(KINDS)
    assert [trigger_from_json(trigger.as_json()) for trigger in made] == made


def test_long_triggers_have_short_keys_that_differ() -> None:
    keys = {SpanArrived(f"{'x' * 300}{number}/{{SPAN}}", "/p").key for number in range(3)}
    assert len(keys) == 3
    assert max(map(len, keys)) <= 100


def test_next_times_are_those_of_all_triggers() -> None:
    triggers = (Cron("0 6 * * *"), Every(43200, at("2026-01-01 01:00")), ModelAge("taxi", 5))
    found = next_times(triggers, at("2026-01-01 00:00"), 4)
    assert [said(due) for due, _ in found] == ["2026-01-01 06:00", "2026-01-01 13:00", "2026-01-02 01:00", "2026-01-02 06:00"]
