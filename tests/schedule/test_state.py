"""The database: SQLite beside the metadata, or the server that has the metadata; opened at once by several; of a newer version refused."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.example_gen.spans import available
from pipeline.errors import MetadataError
from pipeline.metadata import MetadataStore
from pipeline.schedule import operations
from pipeline.schedule.daemon import Daemon
from pipeline.schedule.model import Missed, Policy, Schedule, TickState
from pipeline.schedule.quiet import QuietHours
from pipeline.schedule.reports import Reports
from pipeline.schedule.state import State
from pipeline.schedule.tables import database_url
from pipeline.schedule.targets import read_target
from pipeline.schedule.triggers import Cron, Every, SpanArrived, Webhook
from pipeline.schedule.watching import Watcher
from tests.databases import mariadb, postgresql
from tests.project import Project
from tests.schedule.world import MovedClock, TimedRuns, at


def test_database_is_beside_the_metadata() -> None:
    assert str(database_url("sqlite:///data/root/metadata.db").database) == "/data/root/schedule.db"
    server = database_url("postgresql://cauce:se%2Fcr%40t@db.example.org:5433/cauce?sslmode=require")
    assert (server.drivername, server.host, server.port, server.password) == ("postgresql+pg8000", "db.example.org", 5433, "se/cr@t")
    assert database_url("mysql://u:p@db/cauce").drivername == "mysql+pymysql"


def test_schedule_is_read_back_as_it_was_added(project: Project) -> None:
    project.root.mkdir()
    state = State(project.url)
    triggers = (Cron("0 6 * * *", "Europe/Berlin"), Every(60, 5), SpanArrived("d/{SPAN}/x", "/p", "_SUCCESS"), Webhook("env:TOKEN"))
    policy = Policy(missed=Missed.ALL, retries=3, quiet=QuietHours("22:00-06:00", "Europe/Berlin"), keep_runs=5)
    targets = (read_target("failed,not-blessed webhook https://example.org/a/b secret=env:S"),)
    made = Schedule(0, "s", "p", "/p/definition.py", triggers, "Europe/Berlin", policy, {"A.b": "1"}, ("A",), targets, None, 77)
    watcher = Watcher(available, lambda: project.store)
    added = operations.add(state, watcher, made)
    assert State(project.url).schedule("s") == added
    assert State(project.url).schedules() == [added]


def test_database_of_a_newer_version_is_refused(project: Project) -> None:
    project.root.mkdir()
    State(project.url).close()
    with sqlite3.connect(project.root / "schedule.db") as connection:
        connection.execute("INSERT INTO cauce_schedule_version VALUES (99)")
    with pytest.raises(MetadataError, match="has version 99; this version of cauce knows version 1"):
        State(project.url)


@pytest.mark.parametrize("damage", ["not a database", "a folder"])
def test_what_is_no_database_is_refused_with_its_path(project: Project, damage: str) -> None:
    project.root.mkdir()
    file = project.root / "schedule.db"
    if damage == "a folder":
        file.mkdir()
    else:
        file.write_text("x" * 5000)
    with pytest.raises(MetadataError, match=str(file)):
        State(project.url)


def test_many_open_a_new_database_at_once(project: Project) -> None:
    project.root.mkdir()
    _open_at_once(project.url)


def _open_at_once(url: str) -> None:
    troubles: list[BaseException] = []

    def open() -> None:
        try:
            State(url).schedules()
        except BaseException as error:  # noqa: BLE001 - of any kind: it is what the test is about
            troubles.append(error)

    threads = [threading.Thread(target=open) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []


@pytest.fixture(params=[postgresql, mariadb], ids=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    with request.param() as url:
        yield url


def test_servers_keep_schedules_as_sqlite_does(server: str, tmp_path: Path) -> None:
    _open_at_once(server)
    state, clock = State(server), MovedClock(at("2026-01-01 00:00"))
    watcher, runs = Watcher(available, lambda: MetadataStore(server)), TimedRuns(clock)
    names = ["nightly", "Nightly"]
    for name in names:
        given = Policy(missed=Missed.ALL)
        operations.add(state, watcher, Schedule(0, name, "p", str(tmp_path), (Cron("0 6 * * *"),), policy=given, created=clock.now()))
    daemons = [Daemon(State(server), runs, watcher, clock, places=2) for _ in range(2)]
    assert daemons[0].lease.acquire() is None
    assert daemons[1].lease.acquire() is not None
    daemons[0].begin()
    clock.move_to(at("2026-01-03 12:00"))
    for _ in range(12):
        daemons[0].step()
        clock.move(11)
    assert [tick.state for tick in state.ticks()] == [TickState.DONE] * 6
    assert len({attempt.run for attempt in runs.started}) == 6
    (report, _) = Reports(server, clock=clock).schedules()
    assert report.counts == {"done": 3}
    assert Reports(server, clock=clock).daemon().state == "working"
    for _ in range(4):
        clock.move(8)
        daemons[1].lease.acquire()
    assert daemons[1].lease.held
    with pytest.raises(Exception, match="Another daemon has taken over"):
        daemons[0].lease.beat()
    state.remove(state.schedule("nightly"))
    assert [schedule.name for schedule in state.schedules()] == ["Nightly"]
