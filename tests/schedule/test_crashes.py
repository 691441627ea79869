"""`kill -9` at any moment: no trigger is lost, none fires twice."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from pipeline.schedule.model import AttemptState, TickState
from pipeline.schedule.state import State
from pipeline.schedule.triggers import Clocked
from tests.project import Project

KILLS = 200


def test_daemon_that_is_killed_200_times_at_random_moments_accounts_for_every_due_time_once(project: Project) -> None:
    project.root.mkdir()
    command = [sys.executable, "-m", "tests.schedule.crashing", str(project.root), str(KILLS), "11"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    said = json.loads((project.root / "result.json").read_text())
    state = State(project.url)
    for schedule in state.schedules():
        clocked = next(trigger for trigger in schedule.triggers if isinstance(trigger, Clocked))
        due = [tick.due for tick in state.ticks(schedule.id) if tick.trigger == clocked.key and tick.due <= said["end"]]
        wanted = list(itertools.takewhile(lambda moment: moment <= said["end"], clocked.due_times(schedule.created)))
        assert due == wanted, schedule.name
        assert len(wanted) > 15
    ticks = state.ticks()
    attempts = state.attempts(tick.id for tick in ticks)
    assert sum(tick.trigger == "webhook:" for tick in ticks) == said["hooks"] == KILLS // 5
    assert all(tick.reason and not tick.state.is_open for tick in ticks)
    names = {schedule.id: schedule.name for schedule in state.schedules()}
    ran = Counter((project.root / "ran").read_text().splitlines())
    for tick in ticks:
        worked = ran.pop(f"{names[tick.schedule]} {tick.key}", 0)
        ended = Counter(attempt.state for attempt in attempts[tick.id])
        if tick.state is TickState.DONE:
            assert (worked, ended) == (1, {AttemptState.DONE: 1}), tick
        elif tick.state is TickState.SKIPPED:
            assert (worked, attempts[tick.id]) == (0, [])
    assert ran == {}
    begun = [path.name for path in project.root.glob("begun-*")]
    assert len(begun) <= sum(len(own) for own in attempts.values())
    states = Counter(tick.state for tick in ticks)
    assert states[TickState.DONE] > KILLS // 5
    assert states[TickState.SKIPPED] > 10
