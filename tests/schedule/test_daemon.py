"""The daemon on a clock that is moved: every due time is accounted for exactly once, whatever happens to machine and daemon."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeline.errors import MetadataError
from pipeline.schedule import operations
from pipeline.schedule.deciding import Outcome
from pipeline.schedule.lease import PATIENCE, LeaseLostError
from pipeline.schedule.model import Attempt, AttemptState, Interrupted, Missed, NewTick, Overlap, TickState
from pipeline.schedule.quiet import QuietHours
from pipeline.schedule.triggers import Cron, Every
from tests.schedule.world import DONE, World, at, said

Make = Callable[..., World]
HOUR = 3600.0
BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def outcome(state: AttemptState, reason: str = "why", **details: object) -> Callable[[Attempt], Outcome]:
    return lambda attempt: Outcome(state, reason, {"started": "then", **details})


def test_year_with_changes_of_the_clock_leap_day_and_a_machine_that_sleeps_accounts_for_every_due_time_once(world: Make) -> None:
    there = world("2028-01-01 00:00", places=3)
    schedules = [
        there.add("berlin", Cron("30 2 * * *", BERLIN), missed=Missed.ALL),
        there.add("york", Cron("30 1 * * 0", NEW_YORK), missed=Missed.LATEST),
        there.add("leap", Cron("0 12 29 2 *"), missed=Missed.ALL),
        there.add("often", Every(72 * HOUR, there.clock.now()), missed=Missed.NONE),
    ]
    chance, end = random.Random(7), at("2029-01-01 00:00")
    while there.clock.now() < end:
        there.go(min(chance.uniform(1, 10) * 24 * HOUR, (end - there.clock.now()) / 1000))
        if there.clock.now() < end:
            there.restart()  # the machine sleeps over due times, and wakes up again
            there.clock.move(min(chance.choice([10, 2 * HOUR, 100 * HOUR, 500 * HOUR]), (end - there.clock.now()) / 1000))
    there.go(HOUR)
    ran = Counter((tick.schedule, tick.due) for tick in there.runs.ticks)
    for schedule in schedules:
        (trigger,) = schedule.triggers
        wanted = list(itertools.takewhile(lambda due: due <= end, trigger.due_times(schedule.created)))  # type: ignore[attr-defined]
        ticks = [tick for tick in there.ticks(schedule.name) if tick.due <= end]
        assert [tick.due for tick in ticks] == wanted
        assert all(tick.reason for tick in ticks)
        assert {tick.state for tick in ticks} <= {TickState.DONE, TickState.SKIPPED}
        assert all(ran[(schedule.id, tick.due)] == (tick.state is TickState.DONE) for tick in ticks)
    by_name = {schedule.name: Counter(tick.state for tick in there.ticks(schedule.name)) for schedule in schedules}
    assert by_name["berlin"] == {TickState.DONE: 366}
    assert by_name["leap"] == {TickState.DONE: 1}
    assert by_name["york"][TickState.DONE] > 30
    assert by_name["york"][TickState.SKIPPED] >= 1
    assert by_name["often"][TickState.SKIPPED] > 10
    assert not any("missed" in tick.cause for tick in there.ticks("often"))


@pytest.mark.parametrize(
    ("missed", "states"),
    [
        (Missed.ALL, ["done", "done", "done", "done"]),
        (Missed.LATEST, ["done", "skipped", "skipped", "done"]),
        (Missed.NONE, ["done", "skipped", "skipped", "skipped"]),
    ],
)
def test_missed_times_are_caught_up_as_the_policy_says(world: Make, missed: Missed, states: list[str]) -> None:
    there = world("2026-01-01 00:00")
    there.add("taxi", Cron("0 6 * * *"), missed=missed)
    there.go(to="2026-01-01 12:00")
    there.restart()
    there.clock.move_to(at("2026-01-04 12:00"))
    there.go(HOUR)
    assert [state for _, state in there.states("taxi")] == states
    reasons = {reason for state, reason in there.why("taxi") if state == "skipped"}
    assert all(reason.startswith("missed, for no daemon was at work then") for reason in reasons)
    assert [said(tick.due) for tick in there.runs.ticks] == [when for when, state in there.states("taxi") if state == "done"]


def test_time_within_the_grace_is_no_missed_one(world: Make) -> None:
    there = world("2026-01-01 05:59")
    there.add("taxi", Cron("0 6 * * *"), missed=Missed.NONE)
    there.step()
    there.clock.move(100)
    there.go(30)
    assert there.why("taxi") == [("done", "done")]


def test_thousands_of_missed_times_are_accounted_for_in_several_steps(world: Make) -> None:
    there = world("2026-01-01 00:00")
    there.add("taxi", Every(60, there.clock.now()), missed=Missed.LATEST)
    there.clock.move(4_500 * 60 - 1)
    there.go(120)
    states = Counter(tick.state for tick in there.ticks("taxi"))
    assert states[TickState.SKIPPED] == 4_498
    assert [said(tick.due) for tick in there.runs.ticks[:1]] == ["2026-01-04 02:59"]


@pytest.mark.parametrize(
    ("overlap", "states"),
    [
        (Overlap.QUEUE, ["done", "done", "skipped", "done"]),
        (Overlap.SKIP, ["done", "skipped", "skipped", "done"]),
        (Overlap.REPLACE, ["replaced", "replaced", "replaced", "done"]),
    ],
)
def test_overlapping_ticks_wait_are_skipped_or_replace_the_run(world: Make, overlap: Overlap, states: list[str]) -> None:
    there = world("2026-01-01 00:00", seconds=2.5 * HOUR)
    there.add("taxi", Cron("0 1-4 * * *"), overlap=overlap)
    there.go(to="2026-01-01 09:00")
    assert [state for _, state in there.states("taxi")] == states
    assert all(reason for _, reason in there.why("taxi"))


def test_skipped_tick_says_what_was_in_its_way(world: Make) -> None:
    there = world("2026-01-01 00:00", seconds=5 * HOUR)
    there.add("taxi", Cron("0 1-3 * * *"))
    there.go(to="2026-01-01 04:00")
    run = there.runs.started[0].run
    assert there.why("taxi") == [
        ("running", f"run {run}"),
        ("waiting", f"run {run} of this schedule goes on"),
        ("skipped", "tick 2 waits already, and the schedule lets one wait"),
    ]


def test_at_most_so_many_runs_go_on_over_all_schedules(world: Make) -> None:
    there = world("2026-01-01 00:00", places=2, seconds=600)
    for number in range(5):
        there.add(f"s{number}", Cron("0 1 * * *"))
    there.go(to="2026-01-01 01:05")
    assert Counter(tick.state.value for tick in there.ticks()) == {"running": 2, "waiting": 3}
    assert {tick.reason for tick in there.ticks() if tick.state is TickState.WAITING} == {"all 2 places for runs are taken"}
    there.go(to="2026-01-01 02:00")
    assert Counter(tick.state.value for tick in there.ticks()) == {"done": 5}


def test_quiet_hours_let_wait_until_they_end(world: Make) -> None:
    there = world("2026-03-28 12:00")
    there.add("taxi", Cron("0 23 * * *", BERLIN), quiet=QuietHours("22:00-06:30", BERLIN), zone=BERLIN)
    there.go(to="2026-03-29 00:00")
    assert there.why("taxi") == [("waiting", "quiet hours, 22:00-06:30")]
    there.go(to="2026-03-29 12:00")
    assert there.states("taxi")[0][1] == "done"
    assert said(there.runs.started[0].claimed, BERLIN) == "2026-03-29 06:30"


def test_failed_run_is_tried_again_with_growing_delays_and_then_has_failed(world: Make) -> None:
    there = world("2026-01-01 00:00")
    there.runs.ends = outcome(AttemptState.FAILED, "Trainer failed: out of memory")
    there.add("taxi", Cron("0 1 * * *"), retries=3, retry_delay=60.0)
    there.go(to="2026-01-01 02:00")
    (tick,) = there.ticks("taxi")
    assert (tick.state, tick.reason, tick.failures) == (TickState.FAILED, "Trainer failed: out of memory (4 tries)", 4)
    ended = [attempt.ended for attempt in there.state.attempts([tick.id])[tick.id]]
    claimed = [attempt.claimed for attempt in there.runs.started]
    assert [round((after - before) / 1000) for before, after in zip(ended, claimed[1:], strict=False)] == [60, 120, 240]
    assert len({attempt.run for attempt in there.runs.started}) == 4


def test_blocked_run_is_not_tried_again(world: Make) -> None:
    there = world("2026-01-01 00:00")
    there.runs.ends = outcome(AttemptState.BLOCKED, "ExampleValidator: fare is missing")
    there.add("taxi", Cron("0 1 * * *"), retries=3)
    there.go(to="2026-01-01 05:00")
    assert there.why("taxi") == [("blocked", "ExampleValidator: fare is missing")]
    assert len(there.runs.started) == 1


def test_run_that_takes_too_long_is_stopped_and_has_failed(world: Make) -> None:
    there = world("2026-01-01 00:00", seconds=10 * HOUR)
    there.add("taxi", Cron("0 1 * * *"), timeout=HOUR)
    there.go(to="2026-01-01 03:00")
    assert there.why("taxi") == [("failed", "it took longer than 1h")]
    assert there.runs.stopped == {there.runs.started[0].run}


@pytest.mark.parametrize(
    ("policy", "state", "resumed"),
    [(Interrupted.RESUME, "done", True), (Interrupted.RETRY, "done", False), (Interrupted.FAIL, "failed", None)],
)
def test_interrupted_run_is_resumed_begun_again_or_has_failed(world: Make, policy: Interrupted, state: str, resumed: bool | None) -> None:
    there = world("2026-01-01 00:00", seconds=600)
    there.runs.ends = lambda attempt: DONE if attempt.number > 1 else outcome(AttemptState.INTERRUPTED, "killed")(attempt)
    there.add("taxi", Cron("0 1 * * *"), interrupted=policy)
    there.go(to="2026-01-01 02:00")
    assert there.states("taxi")[0][1] == state
    runs = there.runs.started
    assert len(runs) == (1 if resumed is None else 2)
    if resumed is not None:
        assert (runs[1].resumes, runs[0].run == runs[1].run) == (resumed, resumed)


def test_run_that_is_killed_again_and_again_fails_in_the_end(world: Make) -> None:
    there = world("2026-01-01 00:00")
    there.runs.ends = outcome(AttemptState.INTERRUPTED, "killed")
    there.add("taxi", Cron("0 1 * * *"))
    there.go(to="2026-01-01 02:00")
    assert there.why("taxi") == [("failed", "killed (6 times)")]


def test_run_goes_on_while_the_daemon_is_replaced(world: Make) -> None:
    there = world("2026-01-01 00:00", seconds=2 * HOUR)
    there.add("taxi", Cron("0 1 * * *"))
    there.go(to="2026-01-01 02:00")
    there.restart()
    there.go(to="2026-01-01 04:00")
    assert there.why("taxi") == [("done", "done")]
    assert len(there.runs.started) == 1


def test_claimed_run_that_was_never_started_is_started_under_its_id(world: Make) -> None:
    there = world("2026-01-01 00:00")
    there.add("taxi", Cron("0 1 * * *"))
    there.step()
    number = operations.trigger(there.state, there.state.schedule("taxi"), "", there.clock.now())
    (tick,) = there.state.ticks(ids=[number])
    claimed = there.daemon.journal.claim(tick, "20260101-000000-abcdef", resumes=False)
    there.restart()  # killed between the claim and the start
    there.go(60)
    assert claimed is not None
    assert [attempt.run for attempt in there.runs.started] == ["20260101-000000-abcdef"]
    assert there.why("taxi") == [("done", "done")]


def test_waiting_daemon_takes_over_within_thirty_seconds_and_the_silent_one_writes_nothing_more(world: Make) -> None:
    there = world("2026-01-01 00:00", seconds=600)
    there.add("taxi", Cron("0 * * * *"))
    there.go(to="2026-01-01 01:05")
    second = there.new_daemon()
    first, silent_since = there.daemon, there.clock.monotonic()
    while second.lease.acquire() is not None:
        there.clock.move(2.0)
    assert PATIENCE <= there.clock.monotonic() - silent_since <= 30
    second.begin()
    there.clock.move_to(at("2026-01-01 02:00"))
    second.step()
    before = there.ticks("taxi")
    with pytest.raises(LeaseLostError):
        first.step()
    assert there.ticks("taxi") == before
    assert first.lease.acquire() is not None
    assert [said(tick.due) for tick in before] == ["2026-01-01 01:00", "2026-01-01 02:00"]


def test_daemon_that_beats_keeps_the_lease(world: Make) -> None:
    there = world("2026-01-01 00:00")
    there.step()
    second = there.new_daemon()
    for _ in range(100):
        there.clock.move(1.0)
        there.daemon.step()
        assert second.lease.acquire() is not None


def test_paused_schedule_skips_its_times_with_the_reason_and_makes_up_for_none(world: Make) -> None:
    there = world("2026-01-01 00:00")
    schedule = there.add("taxi", Cron("0 6 * * *"), missed=Missed.ALL)
    there.state.pause(schedule, "the meters are exchanged")
    there.go(to="2026-01-02 12:00")
    there.restart()
    there.clock.move_to(at("2026-01-03 12:00"))
    operations.go_on(there.state, there.state.schedule("taxi"), there.clock.now())
    there.go(to="2026-01-04 12:00")
    assert there.states("taxi") == [
        ("2026-01-01 06:00", "skipped"),
        ("2026-01-02 06:00", "skipped"),
        ("2026-01-03 06:00", "skipped"),
        ("2026-01-04 06:00", "done"),
    ]
    assert there.why("taxi")[2] == ("skipped", "the schedule is paused: the meters are exchanged")


def test_hand_made_tick_runs_in_spite_of_pause_and_quiet_hours(world: Make) -> None:
    there = world("2026-01-01 23:00")
    schedule = there.add("taxi", Cron("0 6 * * *"), quiet=QuietHours("22:00-06:00"))
    there.state.pause(schedule, "not now")
    operations.trigger(there.state, schedule, "labels were corrected", there.clock.now())
    there.go(60)
    (tick,) = there.ticks("taxi")
    assert (tick.state, tick.cause) == (TickState.DONE, "by hand: labels were corrected")


def test_schedule_that_is_added_while_the_daemon_works_is_found(world: Make) -> None:
    there = world("2026-01-01 00:00")
    there.go(600)
    there.add("late", Cron("15 0 * * *"))
    there.go(3600)
    assert there.states("late") == [("2026-01-01 00:15", "done")]


def test_run_is_stopped_by_hand_and_not_tried_again(world: Make) -> None:
    there = world("2026-01-01 00:00", seconds=5 * HOUR)
    schedule = there.add("taxi", Cron("0 1 * * *"), retries=3)
    there.go(to="2026-01-01 01:30")
    (attempt,) = there.state.open_attempts()
    there.state.stop(attempt, "the wrong parameters")
    there.go(60)
    assert there.why("taxi") == [("failed", "stopped: the wrong parameters")]
    there.state.remove(schedule)
    assert there.state.schedules() == []


def test_stopped_daemon_stops_its_runs_and_the_next_one_resumes_them(world: Make) -> None:
    there = world("2026-01-01 00:00", seconds=5 * HOUR)
    there.add("taxi", Cron("0 1 * * *"))
    there.go(to="2026-01-01 01:30")
    there.daemon.stop()
    assert there.daemon.run() is None
    (tick,) = there.ticks("taxi")
    assert (tick.state, tick.reason) == (TickState.WAITING, f"goes on with run {there.runs.started[0].run}: the daemon was stopped")
    there.runs.stopped.clear()
    there.daemon = there.new_daemon()
    there.go(6 * HOUR)
    assert [attempt.resumes for attempt in there.runs.started] == [False, True]
    assert there.why("taxi") == [("done", "done")]


def test_tick_of_a_key_is_recorded_once(world: Make) -> None:
    there = world("2026-01-01 00:00")
    schedule = there.add("taxi", Cron("0 1 * * *"))
    tick = NewTick("hook|1", "webhook:", there.clock.now(), "a webhook was called")
    assert len(there.state.add_ticks(schedule.id, [tick, tick], 0)) == 1
    assert there.state.add_ticks(schedule.id, [replace(tick, cause="again")], 0) == []


def test_ordered_ticks_run_one_after_the_other_whatever_else_is_due(world: Make) -> None:
    there = world("2026-01-01 00:00", seconds=900)
    schedule = there.add("taxi", Cron("*/10 * * * *"))
    operations.backfill(there.state, schedule, ["Examples"], [1, 2, 3], there.clock.now())
    there.go(to="2026-01-01 02:00")
    spans = [tick.settings["Examples.span"] for tick in there.runs.ticks if tick.trigger == "backfill"]
    assert spans == ["1", "2", "3"]
    assert all(tick.state is TickState.DONE for tick in there.ticks("taxi") if tick.trigger == "backfill")


def test_trouble_with_the_database_is_waited_out(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    there = world("2026-01-01 00:00")
    there.add("taxi", Cron("0 1 * * *"))
    there.step()
    there.clock.move_to(at("2026-01-01 01:00"))
    record, tries = there.daemon.journal.record, []

    def full(looks: object) -> int:
        tries.append(looks)
        if len(tries) < 3:
            raise MetadataError("the disk is full")
        return record(looks)  # type: ignore[arg-type]

    monkeypatch.setattr(there.daemon.journal, "record", full)
    for _ in range(4):
        there.clock.move(there.daemon._guarded_step())
    there.go(60)
    assert there.why("taxi") == [("done", "done")]
