"""Daemons that are killed at random moments, one after the other: `python -m tests.schedule.crashing FOLDER KILLS SEED`.

The daemons are forked from this process, which has loaded all that they need; the runs are real processes that outlive them. As `cauce run`
does, a run makes itself known under its id before it works, and refuses to be a second one of that id.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from components.example_gen.spans import available
from pipeline.metadata import MetadataStore
from pipeline.schedule import operations
from pipeline.schedule.clock import Clock
from pipeline.schedule.daemon import Daemon
from pipeline.schedule.deciding import Outcome
from pipeline.schedule.model import Attempt, AttemptState, Missed, NewTick, Overlap, Policy, Schedule, Tick
from pipeline.schedule.runs import CauceRuns
from pipeline.schedule.state import State
from pipeline.schedule.triggers import Every, FileChanged, Trigger
from pipeline.schedule.watching import Watcher

# A folder is made at once or not at all: of two processes of one id, one works.
_RUN = 'mkdir "$0/begun-$1" 2>/dev/null || exit 2; echo "$2" >> "$0/ran"; sleep "$3"; mkdir "$0/done-$1"'


class ShellRuns(CauceRuns):
    """Runs that are a line of shell; how they ended, folders tell."""

    def command(self, schedule: Schedule, tick: Tick, attempt: Attempt) -> list[str]:
        # Where a time is skipped while a run goes on, runs last longer than the time between two, however fast the machine is.
        seconds = 0.25 if schedule.policy.overlap is Overlap.SKIP else random.uniform(0.01, 0.05)
        return ["/bin/sh", "-c", _RUN, str(self.root), attempt.run, f"{schedule.name} {tick.key}", f"{seconds:.3f}"]

    @staticmethod
    def names(words: Sequence[str], run: str) -> bool:
        return "/bin/sh" in words and run in words

    def goes_on(self, attempt: Attempt) -> bool | None:
        return False if (self.root / f"done-{attempt.run}").exists() else None

    def outcome(self, attempt: Attempt) -> Outcome | None:
        if (self.root / f"done-{attempt.run}").exists():
            return Outcome(AttemptState.DONE, "done")
        if (self.root / f"begun-{attempt.run}").exists():
            return Outcome(AttemptState.INTERRUPTED, "killed")
        return Outcome(AttemptState.INTERRUPTED, "it had not begun") if attempt.started else None


def main(folder: Path, kills: int, seed: int) -> None:
    """Kills so many daemons, lets a last one do what is left, and writes what happened into `result.json`."""
    chance = random.Random(seed)
    url = f"sqlite://{folder}/metadata.db"
    state, watched = State(url), folder / "watched"
    _add(state, url, watched)
    hooks = 0
    for number in range(kills):
        daemon = _fork(url, folder, once=False)
        time.sleep(chance.uniform(0.0, 0.07))
        if number % 5 == 0:
            hooks += 1
            state.add_ticks(1, [NewTick(f"hook|{hooks}", "webhook:", Clock().now(), "a webhook", ordered=True)], Clock().now())
        if number % 20 == 10:
            watched.write_text(str(number))
        os.kill(daemon, signal.SIGKILL)
        os.waitpid(daemon, 0)
    end = Clock().now()
    _last(state, url, folder, end)
    (folder / "result.json").write_text(json.dumps({"end": end, "hooks": hooks}))


def _add(state: State, url: str, watched: Path) -> None:
    watcher, now = Watcher(available, lambda: MetadataStore(url)), Clock().now()
    policies = [
        Policy(missed=Missed.ALL),
        Policy(missed=Missed.LATEST, overlap=Overlap.SKIP),
        Policy(missed=Missed.ALL, overlap=Overlap.REPLACE),
    ]
    triggers: list[tuple[Trigger, ...]] = [(Every(0.4, now),), (Every(0.15, now),), (Every(0.3, now), FileChanged(str(watched), 0.0))]
    for number, (policy, own) in enumerate(zip(policies, triggers, strict=True)):
        operations.add(state, watcher, Schedule(0, f"s{number}", "p", "/nowhere/definition.py", own, policy=policy, created=now))


def _daemon(url: str, folder: Path, *, once: bool) -> Daemon:
    return Daemon(State(url), ShellRuns(folder, url), Watcher(available, lambda: MetadataStore(url)), places=3, once=once)


def _fork(url: str, folder: Path, *, once: bool) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            _daemon(url, folder, once=once).run()
        finally:
            os._exit(0)
    return pid


def _last(state: State, url: str, folder: Path, end: int) -> None:
    """Lets a daemon that nobody kills account for all times up to an end, and do what is left."""
    daemon = _daemon(url, folder, once=True)
    while Clock().now() < end + 200:
        time.sleep(0.01)
    if daemon.lease.acquire() is not None:
        raise RuntimeError("the lease of a daemon that was killed is not free")
    daemon.begin()
    deadline = time.monotonic() + 60
    daemon.collector.collect()
    while state.open_ticks():
        if time.monotonic() > deadline:
            raise RuntimeError(f"still open: {state.open_ticks()}")
        daemon.lease.beat()
        daemon.dispatcher.supervise(daemon.collector.schedules)
        daemon.dispatcher.dispatch(daemon.collector.schedules)
        time.sleep(0.01)
    daemon.lease.release()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
