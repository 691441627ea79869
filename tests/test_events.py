"""The events of a run on disk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pipeline.context import Progress
from pipeline.driver import Action, Decision
from pipeline.events import EventLog, read_events
from pipeline.outcome import NodeState, Outcome
from tests.fakes import Doubler, Failing, Source
from tests.project import Project


def working(file: Path) -> EventLog:
    """Returns a log of a run in which a node works."""
    log = EventLog(file)
    log.node_decided("Trainer", Decision(Action.RUN, ("it has not run before",)))
    return log


def progress(file: Path) -> list[dict[str, Any]]:
    """Returns what was said of how far a node is."""
    return [event for event in read_events(file)[0] if event["event"] == "node_progress"]


def told(file: Path) -> list[str]:
    return [event["event"] for event in read_events(file)[0]]


def test_run_leaves_its_events_in_the_order_in_which_they_happened(project: Project) -> None:
    ran = project.run(Doubler(Source()))
    events, offset = read_events(project.storage.events(ran.result.run))
    assert [(event["event"], event.get("node"), event.get("state")) for event in events if event["event"] != "node_memory"] == [
        ("run_started", None, None),
        ("node_decided", "Source", None),
        ("node_finished", "Source", "done"),
        ("node_decided", "Doubler", None),
        ("node_progress", "Doubler", None),
        ("node_finished", "Doubler", "done"),
        ("run_finished", None, "done"),
    ]
    assert offset == project.storage.events(ran.result.run).stat().st_size
    assert next(event for event in events if event["event"] == "node_progress")["rows"] == 3


def test_run_in_which_nothing_changed_leaves_no_file(project: Project) -> None:
    project.run(Source())
    assert not project.storage.events(project.run(Source()).result.run).exists()


def test_resumed_run_goes_on_with_its_file(project: Project) -> None:
    marker = str(project.folder / "marker")
    failed = project.run(Failing(Source(), marker=marker))
    resumed = project.run(Failing(Source(), marker=marker), resume=failed.result.run)
    assert resumed.result.state.value == "done"
    assert told(project.storage.events(failed.result.run)).count("run_started") == 2


def test_what_is_told_too_often_is_thinned_out_and_the_last_of_it_kept(tmp_path: Path) -> None:
    log = working(tmp_path / "logs" / "events.jsonl")
    for step in range(1_000):
        log.node_progress("Trainer", Progress("training", fields={"step": step}))
    log.node_finished("Trainer", Outcome("Trainer", NodeState.DONE, ()))
    steps = [event["fields"]["step"] for event in progress(log.file)]
    assert steps[0] == 0
    assert steps[-1] == 999
    assert len(steps) < 100


def test_new_message_is_told_at_once(tmp_path: Path) -> None:
    log = working(tmp_path / "events.jsonl")
    for message in ("loading", "training", "exporting"):
        log.node_progress("Trainer", Progress(message))
    assert [event["message"] for event in progress(log.file)] == ["loading", "training", "exporting"]


def test_event_that_is_not_whole_yet_is_read_the_next_time(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b'{"event": "note", "text": "a"}\nnot json\n{"event": "no')
    events, offset = read_events(file)
    assert [event["text"] for event in events] == ["a"]
    with file.open("ab") as stream:
        stream.write(b'te", "text": "b"}\n')
    later, end = read_events(file, offset)
    assert [event["text"] for event in later] == ["b"]
    assert end == file.stat().st_size


def test_file_that_cannot_be_written_harms_nothing(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where a folder should be")
    log = working(tmp_path / "logs" / "events.jsonl")
    log.note("a")
    assert read_events(log.file) == ([], 0)


def test_gap_between_events_grows_with_the_age_of_a_node(tmp_path: Path) -> None:
    log = working(tmp_path / "events.jsonl")
    log.node_progress("Trainer", Progress("training"))
    log._nodes["Trainer"].born = time.monotonic() - 40_000
    log._nodes["Trainer"]._next = 0
    log.node_progress("Trainer", Progress("training"))
    assert log._nodes["Trainer"]._next - time.monotonic() > 90
