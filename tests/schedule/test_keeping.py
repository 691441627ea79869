"""What keeps the scheduler small: pruned ticks that stay counted, logs that go, `cauce gc` once a day, logs that are rotated."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.schedule import keeping, logs
from pipeline.schedule.keeping import Keeper
from pipeline.schedule.runs import CauceRuns
from pipeline.schedule.triggers import Cron, Every
from tests.fakes import Source
from tests.light import Halver
from tests.project import Project
from tests.schedule.spanned import REPOSITORY
from tests.schedule.world import World

Make = Callable[..., World]
DAY = 24 * 3600.0


def keeper(there: World) -> Keeper:
    found = Keeper(there.state, CauceRuns(there.folder, there.url), there.clock)
    there.step()
    found.begin(there.daemon.lease, threading.Event())
    return found


def test_old_ticks_are_removed_and_stay_counted(world: Make) -> None:
    there = world()
    schedule = there.add("taxi", Cron("0 6 * * *"), keep_history=7.0)
    there.go(20 * DAY)
    assert keeper(there).prune(schedule) == 13
    assert len(there.ticks("taxi")) == 7
    assert there.state.counts() == {schedule.id: {"done": 20}}
    there.go(10 * DAY)
    keeper(there).prune(schedule)
    assert there.state.counts() == {schedule.id: {"done": 30}}
    assert [tick.id for tick in there.ticks("taxi")] == list(range(24, 31))


def test_no_more_than_so_many_ticks_are_kept(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "_MOST_TICKS", 10)
    there = world()
    schedule = there.add("taxi", Every(3600))
    there.go(30 * 3600 + 60)
    keeper(there).prune(schedule)
    assert 10 <= len(there.ticks("taxi")) <= 11
    assert there.state.counts()[schedule.id] == {"done": 30}


def test_tick_that_waits_is_never_removed(world: Make) -> None:
    there = world(seconds=100 * DAY)
    schedule = there.add("taxi", Cron("0 6 * * *"), keep_history=1.0, timeout=1000 * DAY)
    there.go(50 * DAY)
    keeper(there).prune(schedule)
    assert {tick.state.value for tick in there.ticks("taxi") if tick.state.is_open} == {"running", "waiting"}


def test_logs_of_runs_go_with_the_history(world: Make) -> None:
    there = world()
    schedule = there.add("taxi", Cron("0 6 * * *"), keep_history=7.0)
    folder = there.folder / "schedule"
    folder.mkdir()
    for name, days in (("old.1.log", 8), ("young.1.log", 6)):
        (folder / name).touch()
        os.utime(folder / name, (there.clock.now() / 1000 - days * DAY,) * 2)
    keeper(there).remove_logs([schedule])
    assert [path.name for path in folder.iterdir()] == ["young.1.log"]


def test_gc_runs_once_a_day_while_no_run_goes_on_and_keeps_what_the_policy_says(
    world: Make, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    for number in range(4):
        project.run(Halver(Source(values=(number, 20))))
    before = len(project.published())
    there = world()
    there.add("taxi", Cron("0 6 * * *"), keep_runs=2)
    there.add("other", Cron("0 6 * * *"))
    there.clock.moment = time.time_ns() // 1_000_000
    tidy = keeper(there)
    tidy.step(idle=False)
    there.clock.move(700)
    tidy.step(idle=False)
    assert tidy._gc is None
    there.clock.move(700)
    tidy.step(idle=True)
    assert tidy._gc is not None
    assert tidy._gc.wait(60) == 0
    tidy.step(idle=True)
    assert (before, len(project.published())) == (8, 4)
    for _ in range(10):
        there.clock.move(3600)
        tidy.step(idle=True)
        assert tidy._gc is None


def test_log_is_json_on_request_and_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_SIZE", 2_000)
    file = tmp_path / "logs" / "daemon.log"
    handlers, propagates = list(logs.LOGGER.handlers), logs.LOGGER.propagate
    try:
        logs.set_up(as_json=True, file=file)
        for number in range(200):
            logs.say("started", f"run {number} starts", run=str(number))
        logs.set_up(as_json=False, file=file)
        logs.say("trouble", "the disk is full", level=logging.ERROR)
    finally:
        for handler in logs.LOGGER.handlers:
            handler.close()
        logs.LOGGER.handlers[:], logs.LOGGER.propagate = handlers, propagates
    assert sorted(path.name for path in file.parent.iterdir()) == ["daemon.log", *(f"daemon.log.{number}" for number in range(1, 5))]
    first = json.loads((file.parent / "daemon.log.1").read_text().splitlines()[0])
    assert (first["event"], first["level"], first["message"]) == ("started", "info", f"run {first['run']} starts")
    assert file.read_text().splitlines()[-1].endswith(" error: the disk is full")


def test_log_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"The log file .* cannot be written"):
        logs.set_up(as_json=False, file=tmp_path / "file" / "daemon.log")
