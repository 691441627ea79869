"""Following a run: what it told, read once, and the stream that says that there is something new."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from pipeline.metadata import MetadataStore
from pipeline.records import RunState
from pipeline.storage import Storage
from pipeline.ui import live
from pipeline.ui.live import _follow
from pipeline.ui.pages import plots_of
from pipeline.ui.site import NotThereError, Site
from pipeline.ui.views.activity import MOST_POINTS, Activities
from tests.fakes import Source
from tests.project import Project


@pytest.fixture
def running(project: Project) -> tuple[Project, Site]:
    """A run that goes on, and the site that shows it."""
    project.run(Source())
    project.store.begin_run("fake", "going", {"started": 1, "host": "another"})
    return project, Site(MetadataStore(project.url), Storage(project.root))


def tell(project: Project, *events: dict[str, object]) -> None:
    file = project.storage.events("going")
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as stream:
        stream.writelines(json.dumps(event) + "\n" for event in events)


def progress(step: int, **fields: object) -> dict[str, object]:
    return {
        "event": "node_progress",
        "node": "Trainer",
        "message": "training",
        "rows": None,
        "fields": {"step": step, "steps": 10, **fields},
    }


def test_what_a_run_tells_is_gathered_as_it_grows(running: tuple[Project, Site]) -> None:
    project, site = running
    activities = Activities(site)
    assert activities.of("going") == {}
    tell(project, progress(1, loss=0.9), {"event": "node_memory", "node": "Trainer", "bytes": 5})
    assert activities.of("going")["Trainer"].share == 0.1
    tell(project, progress(5, loss=0.4, note="text"), {"event": "node_retried", "node": "Trainer", "error": "no space"})
    told = activities.of("going")["Trainer"]
    assert (told.share, told.memory, told.retries) == (0.5, 5, ("no space",))
    assert [(series.name, series.steps, series.values) for series in told.series] == [("loss", (1.0, 5.0), (0.9, 0.4))]
    (chart,) = plots_of(told)
    assert (chart.title, chart.x, chart.words) == ("Loss", (1.0, 5.0), "loss from 0.9 to 0.4")


def test_node_that_is_begun_anew_begins_its_curve_anew(running: tuple[Project, Site]) -> None:
    project, site = running
    tell(project, progress(5, loss=0.4), {"event": "node_decided", "node": "Trainer", "action": "run"}, progress(1, loss=0.8))
    (series,) = Activities(site).of("going")["Trainer"].series
    assert series.steps == (1.0,)


def test_long_curves_are_thinned_and_keep_their_ends(running: tuple[Project, Site]) -> None:
    project, site = running
    tell(project, *(progress(step, loss=step / 2) for step in range(5 * MOST_POINTS)))
    (series,) = Activities(site).of("going")["Trainer"].series
    assert len(series.steps) <= 2 * MOST_POINTS
    assert (series.steps[0], series.steps[-1]) == (0.0, 5.0 * MOST_POINTS - 1)


def test_events_of_any_form_harm_nothing(running: tuple[Project, Site]) -> None:
    project, site = running
    odd: list[object] = [None, 3, [], {}, "x", {"step": None}, {"step": 1, "steps": 0, "loss": True}]
    tell(project, *({"event": "node_progress", "node": "Trainer", "message": None, "rows": "many", "fields": fields} for fields in odd))
    assert Activities(site).of("going")["Trainer"].series == ()


def test_stream_tells_of_changes_and_of_the_end(running: tuple[Project, Site], monkeypatch: pytest.MonkeyPatch) -> None:
    project, site = running
    monkeypatch.setattr(live, "_LOOK_EVERY", 0.01)
    monkeypatch.setattr(live, "_TELL_EVERY", 0.02)

    async def follow() -> list[str]:
        heard = []
        async for text in _follow(site, "going"):
            heard.append(text.partition("\n")[0])
            if heard[-1] == "event: changed" and heard.count("event: changed") == 1:
                tell(project, progress(1))
            elif heard[-1] == "event: changed":
                project.store.update_run("going", {"state": RunState.DONE.value, "ended": 2})
        return heard

    heard = asyncio.run(asyncio.wait_for(follow(), 20))
    assert heard == ["retry: 2000", "event: changed", "event: changed", "event: ended"]


def test_run_that_is_not_there_has_no_stream(running: tuple[Project, Site]) -> None:
    with pytest.raises(NotThereError):
        live.changes(running[1], "nothing")


def test_store_that_is_made_later_is_found(tmp_path: Path) -> None:
    from pipeline.metadata import EMPTY

    project = Project(tmp_path)
    site = Site(MetadataStore(EMPTY), Storage(project.root, create=False), project.url)
    assert site.runs() == []
    run = project.run(Source()).result.run
    assert [found.id for found in site.runs()] == [run]


def test_run_whose_process_is_gone_does_not_stay_running(project: Project) -> None:
    run = project.run(Source()).result.run
    project.store.update_run(run, {"state": RunState.RUNNING.value, "ended": 0})
    (found,) = Site(MetadataStore(project.url), Storage(project.root)).runs()
    assert found.state is RunState.INTERRUPTED
