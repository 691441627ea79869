"""`cauce gc`."""

from __future__ import annotations

import pytest

from pipeline.errors import UsageError
from pipeline.records import RunState
from tests.cli import cauce
from tests.fakes import Source
from tests.light import Halver
from tests.project import Project


def test_without_apply_it_shows_what_would_go_and_why_the_rest_stays_and_removes_nothing(project: Project) -> None:
    runs = [project.run(Halver(Source(values=(number,)))).result.run for number in range(2)]
    said = cauce("gc", "--keep", 1, root=project.root)
    assert said.code == 0
    log = sum(file.stat().st_size for file in (project.root / "logs" / runs[0]).iterdir())
    assert (
        said.plain(project.folder, runs)
        == f"""\
kept, because  artifacts  size  ids
run RUN2 is one of the last of 'fake'  2  6 B  3, 4

would go  size  because
FakeNumbers 1  3 B  no kept run, blessed or pushed model needs it
FakeNumbers 2  3 B  no kept run, blessed or pushed model needs it
logs/RUN1  {log} B  its run is not kept
locks/RUN1.lock  0 B  its run is not kept

Would go: 2 artifacts and 2 leftovers, {6 + log} B. To remove them, add --apply."""
    )
    assert len(project.published()) == 4


def test_with_apply_it_goes_and_the_second_time_there_is_nothing_left(project: Project) -> None:
    for number in range(2):
        project.run(Halver(Source(values=(number,))))
    said = cauce("gc", "--keep", 1, "--apply", root=project.root)
    assert (said.code, "\nRemoved: 2 artifacts and " in said.out) == (0, True)
    assert len(project.published()) == 2
    assert [row["state"] for row in cauce("artifacts", "--json", root=project.root).json("artifacts-list")] == [
        "DELETED",
        "DELETED",
        "LIVE",
        "LIVE",
    ]
    assert cauce("gc", "--keep", 1, "--apply", root=project.root).out.endswith("\n\nThere is nothing to remove.\n")


def test_the_last_5_runs_are_kept_without_options(project: Project) -> None:
    for number in range(6):
        project.run(Source(values=(number,)))
    found = cauce("gc", "--json", root=project.root).json("gc")
    assert ([row["id"] for row in found["remove"]], [row["id"] for row in found["keep"]]) == ([1], [2, 3, 4, 5, 6])
    assert (found["applied"], found["size_bytes"] >= 3) == (False, True)


def test_while_a_run_goes_on_nothing_is_removed(project: Project) -> None:
    project.run(Source(values=(1,)))
    run = project.run(Source(values=(2,))).result.run
    project.store.update_run(run, {"state": RunState.RUNNING.value, "host": "another machine"})
    said = cauce("gc", "--keep", 0, "--apply", root=project.root)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"error: Run {run} of 'fake' goes on")
    assert len(project.published()) == 2
    assert cauce("gc", "--keep", 0, root=project.root).code == 0


def test_without_a_store_there_is_nothing_to_remove(project: Project) -> None:
    said = cauce("gc", "--apply", root=project.root)
    assert (said.code, said.out) == (0, "There is nothing to remove.\n")
    assert not project.root.exists()


def test_wrong_numbers_are_refused(project: Project) -> None:
    for words in (("--keep", "-1"), ("--older-than", "-2"), ("--keep", "few")):
        said = cauce("gc", *words, root=project.root)
        assert (said.code, f"Invalid value for '{words[0]}'" in said.err) == (2, True)


def test_a_run_and_the_removal_of_files_keep_each_other_out(project: Project) -> None:
    project.run(Source(values=(1,)))
    with project.storage.in_use():
        said = cauce("gc", "--keep", 0, "--apply", root=project.root)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"error: A run is going on below {project.root}.")
    with project.storage.unused(), pytest.raises(UsageError, match="is removing files"):
        project.run(Source(values=(2,)))
    assert len(project.published()) == 1
