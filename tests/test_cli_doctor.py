"""`cauce doctor`."""

from __future__ import annotations

import json
from typing import Any

from pipeline.records import RunState
from tests.cli import Said, cauce
from tests.fakes import Source
from tests.project import Project


def checks(said: Said) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in said.json("doctor")}


def test_a_sound_installation_has_nothing_to_do(project: Project) -> None:
    project.run(Source())
    said = cauce("doctor", "--json", root=project.root)
    found = checks(said)
    assert {name: check for name, check in found.items() if check["state"] != "ok"} == {}
    assert said.code == 0
    assert found["metadata store"]["detail"] == f"sqlite:///{project.root}/metadata.db: 1 run of 1 pipeline"
    assert found["root folder"]["detail"] == f"{project.root}, from --root"
    for name in ("python", "ml-metadata", "tensorflow", "free disk", "leftovers", "gpu"):
        assert name in found


def test_a_person_gets_a_table(project: Project) -> None:
    said = cauce("doctor", root=project.root)
    assert said.code == 0
    assert said.plain(project.folder).splitlines()[0] == "check  found  to do"
    assert "\nleftovers  ok  none\n" in said.plain(project.folder)
    assert not project.root.exists()


def test_a_store_that_cannot_be_opened_is_an_error(project: Project) -> None:
    project.root.mkdir()
    (project.root / "metadata.db").write_text("this is no database, and long enough to look like one" * 100)
    said = cauce("doctor", "--json", root=project.root)
    assert (said.code, checks(said)["metadata store"]["state"]) == (1, "error")


def test_a_root_of_a_newer_version_is_an_error_with_what_to_do(project: Project) -> None:
    project.run(Source())
    (project.root / "cauce.json").write_text(json.dumps({"layout": 99}))
    said = cauce("doctor", "--json", root=project.root)
    assert (said.code, "Install a newer cauce" in checks(said)["metadata store"]["hint"]) == (1, True)


def test_a_file_where_the_root_should_be_is_an_error(project: Project) -> None:
    project.root.write_text("a file")
    said = cauce("doctor", "--json", root=project.root)
    assert (said.code, checks(said)["root folder"]["detail"]) == (1, f"{project.root} is a file")


def test_leftovers_and_an_interrupted_run_are_warnings(project: Project) -> None:
    project.run(Source())
    run = project.run(Source()).result.run
    project.store.update_run(run, {"state": RunState.INTERRUPTED.value})
    (project.root / "staging" / "old.1").mkdir(parents=True)
    said = cauce("doctor", "--json", root=project.root)
    found = checks(said)
    assert said.code == 0
    assert (found["metadata store"]["state"], found["metadata store"]["hint"]) == ("warning", f"cauce resume {run}")
    assert (found["leftovers"]["state"], found["leftovers"]["hint"]) == ("warning", "Unless a run goes on: cauce gc --apply")
