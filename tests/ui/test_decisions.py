"""What persons decided, and what runs by itself: pins, withdrawn models, schedules."""

from __future__ import annotations

from pathlib import Path

from starlette.testclient import TestClient

from pipeline.metadata import MetadataStore
from pipeline.storage import Storage
from pipeline.ui.app import create_app
from pipeline.ui.site import Site
from tests.cli import cauce
from tests.project import Project
from tests.test_cli_models import push
from tests.ui.showcase import LOCAL


def client(project: Project) -> TestClient:
    return TestClient(create_app(Site(MetadataStore(project.url), Storage(project.root))), base_url=LOCAL)


def test_pins_and_withdrawn_models_are_told_with_their_reasons(project: Project) -> None:
    push(project, 1, 0.8)
    push(project, 2, 0.91)
    cauce("models", "rollback", project.folder / "serving/fake", 1, "--reason", "<b>alarms</b>", "--pin", root=project.root)
    browser = client(project)
    page = browser.get("/models").text
    assert "Pinned: no other model is pushed here. &lt;b&gt;alarms&lt;/b&gt;" in page
    assert page.count("withdrawn</span>") == 1
    (folder,) = browser.get("/models.json").json()["destinations"]
    assert (folder["pinned"], folder["withdrawn"]) == ("<b>alarms</b>", {"2": "<b>alarms</b>"})
    (project.folder / "serving/fake/.cauce.json").write_text("{")
    damaged = browser.get("/models")
    assert damaged.status_code == 200
    assert ".cauce.json is damaged" in damaged.text


def test_schedules_are_shown_with_their_next_times(tmp_path: Path) -> None:
    (tmp_path / "cauce.toml").write_text("")
    (tmp_path / "definition.py").write_text(
        "from pipeline import Pipeline\nfrom tests.fakes import Source\n\ndef create_pipeline():\n    return Pipeline('fake', [Source()])\n"
    )
    project = Project(tmp_path)
    assert cauce("run", tmp_path, root=project.root).code == 0
    assert cauce("schedule", "add", "nightly", tmp_path, "--cron", "0 6 * * *", root=project.root).code == 0
    browser = client(project)
    page = browser.get("/schedules").text
    assert "nightly" in page
    assert "No daemon works" in page
    (schedule,) = browser.get("/schedules.json").json()["schedules"]
    assert len(schedule["next"]) == 5
    assert schedule["next"][0]["due"][:16].replace("T", " ") in page
    assert cauce("schedule", "pause", "nightly", "--reason", "<i>holidays</i>", root=project.root).code == 0
    assert "&lt;i&gt;holidays&lt;/i&gt;" in browser.get("/schedules").text
