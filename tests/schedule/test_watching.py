"""What does not come by the clock: spans, files, artifacts, drift, the age of a model. Real files, a real metadata store."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from components.example_gen.spans import available
from pipeline.artifacts import Artifact, ArtifactState, ExampleAnomalies, PushedModel
from pipeline.metadata import MetadataStore
from pipeline.records import ExecutionState
from pipeline.schedule.model import Schedule, TickState
from pipeline.schedule.triggers import ArtifactMade, Cron, Drift, FileChanged, ModelAge, SpanArrived
from tests.schedule.world import World

Make = Callable[..., World]
DAY = 24 * 3600.0
PATTERN = "data/span-{SPAN}/*.csv"


def now_world(world: Make) -> World:
    """A scheduler whose clock begins at the machine's time: the times of files are compared with it."""
    there = world()
    there.clock.moment = time.time_ns() // 1_000_000
    return there


def put(there: World, name: str, text: str = "1\n", *, age: float = 60.0) -> Path:
    """Writes a file of an age, by the clock of the test."""
    file = there.folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    os.utime(file, (there.clock.now() / 1000 - age, there.clock.now() / 1000 - age))
    return file


def spans(there: World, ready: str | float = 0.5) -> SpanArrived:
    return SpanArrived(PATTERN, str(there.folder), ready)


def causes(there: World, name: str = "s") -> list[str]:
    return [tick.cause for tick in there.ticks(name)]


def push(
    there: World, pipeline: str, *, ago: float = 0.0, kind: type[Artifact] = PushedModel, summary: dict[str, object] | None = None
) -> int:
    """Records an artifact of a pipeline, as its publisher does."""
    store = MetadataStore(there.url)
    run = f"run-{len(store.all_artifacts()):04d}"
    store.begin_run(pipeline, run, {"started": there.clock.now()})
    execution = store.register(pipeline, run, "Node", "tests.Node", {}, {})
    made = kind(there.folder / run)
    made.path.mkdir()
    made.write_summary(summary or {})
    made.name, made.producer, made.digest, made.state = run, "Node", "0" * 64, ArtifactState.LIVE
    store.publish(execution, ExecutionState.COMPLETE, {}, {"made": [made]})
    return int(made.id or 0)


def test_new_span_makes_a_tick_and_what_was_there_makes_none(world: Make) -> None:
    there = now_world(world)
    put(there, "data/span-1/a.csv")
    there.add("s", spans(there))
    there.go(3)
    assert causes(there) == []
    put(there, "data/span-2/a.csv")
    there.go(30)
    assert causes(there) == ["span 2 is new"]
    there.go(600)
    there.restart()
    there.go(60)
    assert causes(there) == ["span 2 is new"]
    assert [tick.state for tick in there.ticks("s")] == [TickState.DONE]


def test_span_that_comes_while_no_daemon_works_is_found_by_the_next(world: Make) -> None:
    there = now_world(world)
    there.add("s", spans(there))
    there.go(5)
    there.restart()
    put(there, "data/span-1/a.csv")
    put(there, "data/span-2/a.csv")
    there.clock.move(3600)
    there.go(30)
    assert causes(there) == ["span 2 is new; span 1 is new"]


def test_span_that_is_being_written_waits_until_it_is_left_alone(world: Make) -> None:
    there = now_world(world)
    there.add("s", spans(there, 20.0))
    there.go(2)
    for _ in range(4):
        put(there, "data/span-1/a.csv", age=0)
        there.go(10)
        assert causes(there) == []
    problem = there.state.cursors()[(1, spans(there).key)][1]
    assert problem.startswith("span 1 is not complete: written ")
    there.go(30)
    assert causes(there) == ["span 1 is new"]
    assert there.state.cursors()[(1, spans(there).key)][1] == ""


def test_span_with_a_marker_waits_for_it(world: Make) -> None:
    there = now_world(world)
    there.add("s", spans(there, "_SUCCESS"))
    put(there, "data/span-1/a.csv")
    there.go(60)
    assert causes(there) == []
    put(there, "data/span-1/_SUCCESS", "")
    there.go(60)
    assert causes(there) == ["span 1 is new"]


def test_corrected_span_makes_a_tick_again(world: Make) -> None:
    there = now_world(world)
    put(there, "data/span-1/a.csv")
    put(there, "data/span-2/a.csv")
    there.add("s", spans(there))
    there.go(5)
    put(there, "data/span-1/a.csv", "1\n2\n", age=1)
    there.go(120)
    assert causes(there) == ["span 1 was written again"]


def test_paused_schedule_finds_what_came_when_it_goes_on(world: Make) -> None:
    from pipeline.schedule import operations

    there = now_world(world)
    schedule = there.add("s", spans(there))
    there.state.pause(schedule, "not now")
    put(there, "data/span-1/a.csv")
    there.go(60)
    assert causes(there) == []
    operations.go_on(there.state, there.state.schedule("s"), there.clock.now())
    there.go(30)
    assert causes(there) == ["span 1 is new"]


def test_idle_folders_are_not_listed_again_and_again(world: Make) -> None:
    """What the cost of a thousand schedules rests on: nothing changed is a look at the times of a few folders."""
    there = now_world(world)
    for span in range(30):
        put(there, f"data/span-{span}/a.csv")
    there.add("s", spans(there))
    calls = []

    def counted(*given: object, **named: object) -> object:
        calls.append(there.clock.monotonic())
        return available(*given, **named)  # type: ignore[arg-type]

    there.watcher.list_spans = counted  # type: ignore[assignment]
    for folder in (there.folder / "data", *(there.folder / "data").iterdir()):
        os.utime(folder, (1, 1))
    there.go(300)
    assert 2 <= len(calls) <= 25
    before = len(calls)
    put(there, "data/span-30/a.csv")
    there.go(2)
    assert len(calls) > before
    assert causes(there) == ["span 30 is new"]


def test_pattern_that_matches_nothing_says_so(world: Make) -> None:
    there = now_world(world)
    there.add("s", spans(there))
    there.go(3)
    assert there.state.cursors()[(1, spans(there).key)][1] == f"nothing matches {PATTERN} in {there.folder}"


def test_file_that_appears_or_changes_makes_a_tick_when_it_is_left_alone(world: Make) -> None:
    there = now_world(world)
    file = there.folder / "labels.csv"
    there.add("s", FileChanged(str(file)))
    there.go(3)
    put(there, "labels.csv", age=0)
    there.step()
    assert causes(there) == []
    there.go(20)
    put(there, "labels.csv", "2\n", age=2)
    there.go(20)
    assert causes(there) == [f"{file} is there", f"{file} has changed"]
    file.unlink()
    there.go(5)
    assert there.state.cursors()[(1, f"file:{file}")][1] == f"there is no {file}" or len(f"file:{file}") > 100


def test_artifact_of_another_pipeline_makes_a_tick_and_one_of_a_third_none(world: Make) -> None:
    there = now_world(world)
    push(there, "taxi")
    there.add("s", ArtifactMade("taxi"))
    there.go(20)
    push(there, "bikes")
    push(there, "taxi", kind=ExampleAnomalies)
    there.go(20)
    assert causes(there) == []
    push(there, "taxi")
    newest = push(there, "taxi")
    there.go(20)
    assert causes(there) == [f"PushedModel {newest} of 'taxi' is new, the newest of 2"]


def test_hundreds_of_new_artifacts_are_all_looked_at(world: Make) -> None:
    there = now_world(world)
    there.add("s", ArtifactMade("taxi"))
    there.go(1)
    wanted = push(there, "taxi")
    for _ in range(130):
        push(there, "bikes")
    there.go(20)
    assert causes(there) == [f"PushedModel {wanted} of 'taxi' is new"]


def test_drift_over_its_threshold_makes_a_tick_that_names_the_feature(world: Make) -> None:
    there = now_world(world)
    there.add("s", Drift("taxi"))
    measure = {"feature": "fare", "value": 0.08, "threshold": 0.1, "exceeds": False}
    push(there, "taxi", kind=ExampleAnomalies, summary={"splits": {"train": {"drift": [measure]}}})
    there.go(20)
    assert causes(there) == []
    over = {"feature": "company", "value": 0.31, "threshold": 0.1, "exceeds": True}
    push(there, "taxi", kind=ExampleAnomalies, summary={"splits": {"train": {"drift": [measure, over]}}})
    there.go(20)
    assert causes(there) == ["'taxi' found drift: company 0.31 (at most 0.1)"]


def test_old_model_makes_a_tick_again_and_again_until_a_newer_one_is_pushed(world: Make) -> None:
    there = now_world(world)
    trigger = ModelAge("s", 7 * DAY)
    there.add("s", trigger, Cron("0 0 1 1 *"))
    there.go(120)
    assert there.state.cursors()[(1, trigger.key)][1] == "'s' has pushed no model yet"
    model = push(there, "s")
    for _ in range(3):
        there.clock.move(5 * DAY)
        there.go(120)
    assert causes(there) == [f"the pushed model {model} of 's' is older than {age}" for age in ("7d", "14d")]


@pytest.mark.parametrize("problem", ["a folder is not readable", "the pattern names an impossible date"])
def test_trouble_of_one_trigger_is_shown_and_holds_up_no_other(world: Make, problem: str) -> None:
    there = now_world(world)
    schedule: Schedule = there.add("s", SpanArrived("dates/{YYYY}-{MM}-{DD}.csv", str(there.folder)))
    there.add("other", FileChanged(str(there.folder / "labels.csv")))
    if problem == "the pattern names an impossible date":
        put(there, "dates/2026-02-31.csv")
        wanted = "2026-02-31"
    else:

        def refuse(*given: object, **named: object) -> object:
            raise PermissionError(13, "Permission denied")

        there.watcher.list_spans = refuse  # type: ignore[assignment]
        wanted = "Permission denied"
    put(there, "labels.csv")
    there.go(60)
    assert wanted in there.state.cursors()[(schedule.id, schedule.triggers[0].key)][1]
    assert len(causes(there, "other")) == 1
