"""The example `penguins`, the quickest: bad data, `kill -9` in the middle of each node, a full disk."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.disks import small_disk
from tests.examples.killing import killed_during, unknown_files
from tests.examples.project import ExampleProject
from tests.examples.session import Session

pytestmark = pytest.mark.tensorflow

ISOLATED = ["CsvExampleGen", "StatisticsGen", "Transform", "ExampleValidator", "Trainer", "Evaluator"]
"""Nodes with a process of their own, in the order in which they run."""

PUBLISHED = Counter(
    ["Schema", "Examples", "ExampleStatistics", "ExampleAnomalies", "TransformGraph", "Examples", "Model", "ModelRun"]
    + ["ModelEvaluation", "ModelBlessing", "PushedModel"]
)
"""The types of all artifacts of one run."""

ROOM = 180_000
"""Bytes: enough for the metadata of a run, not for a model."""


@pytest.fixture
def project(tmp_path: Path) -> ExampleProject:
    """The example, not run yet."""
    return ExampleProject("penguins", tmp_path)


def assert_put_right(project: ExampleProject) -> dict[str, Any]:
    """After any command nothing is RUNNING, and no files are there but those of live artifacts; returns the latest run."""
    run: dict[str, Any] = project.cauce("runs", "show", "--json").json("runs-show")
    assert run["state"] != "running"
    assert "running" not in {node["state"] for node in run["nodes"]}
    assert unknown_files(project) == set()
    assert list((project.root / "staging").iterdir()) == []
    return run


def test_run_that_is_killed_in_the_middle_of_each_node_in_turn_is_finished_by_resume(project: ExampleProject) -> None:
    assert project.run("--only", "ImportSchema").code == 0
    words = ["run", "examples/penguins"]
    for node in ISOLATED:
        assert killed_during(project, node, *words), node
        run = assert_put_right(project)
        assert run["state"] == "interrupted"
        (cut_short,) = [known for known in run["nodes"] if known["id"] == node]
        assert cut_short["state"] == "failed"
        assert cut_short["error"].startswith("interrupted: ")
        words = ["resume"]
    assert project.versions() == []
    resumed = project.cauce("resume")
    assert resumed.code == 0, resumed.err
    assert assert_put_right(project)["state"] == "done"
    assert len(project.cauce("runs", "list", "--json").json("runs-list")) == 2
    assert project.versions() == ["1"]
    assert Counter(artifact["type"] for artifact in project.cauce("artifacts", "list", "--json").json("artifacts-list")) == PUBLISHED


@pytest.mark.parametrize("node", ["ImportSchema", "Resolver", "Pusher"])
def test_run_that_is_killed_over_a_node_in_its_own_process_is_finished_by_resume(penguins: Session, node: str) -> None:
    assert penguins.changed
    project = penguins.project
    cut_short = 0
    for _ in range(3):
        if node == "Pusher":
            shutil.rmtree(project.serving)
        cut_short += killed_during(project, node, "run", "examples/penguins", "--only", node, "--rerun", node)
        assert_put_right(project)
        assert project.cauce("resume").code == 0
        assert_put_right(project)
        assert len(project.versions()) == 1 or node != "Pusher"
    assert cut_short or node == "Resolver"  # which has nothing to do but to say what it has found
    assert project.states() == {node: "selected" if node == "Resolver" else "done"}


def test_new_species_blocks_the_run_until_the_schema_accepts_it(project: ExampleProject) -> None:
    first_row = project.data.read_text().splitlines()[1]
    project.data.write_text(project.data.read_text().replace(first_row, first_row.replace("Adelie", "Emperor"), 1))
    ran = project.run()
    assert ran.code == 3
    assert "ExampleValidator: blocked" in ran.out
    assert "feature 'species'" in ran.out and "'Emperor'" in ran.out
    accept = "cauce schema accept schemas/penguins.pbtxt --feature species"
    assert accept in ran.out
    assert {name for name, state in project.states().items() if state == "not run"} == {"Trainer", "Evaluator", "Pusher"}
    assert project.versions() == []
    assert project.run().code == 3
    assert project.states()["ExampleValidator"] == "blocked"
    assert project.shell(accept).code == 0
    assert project.run("--to", "ExampleValidator").code == 0
    assert project.states()["ExampleValidator"] == "done"


def test_model_that_is_not_good_enough_is_not_pushed(project: ExampleProject) -> None:
    ran = project.run("--set", "trainer.epochs=1", "--require-push")
    assert ran.code == 4
    assert "Evaluator: not blessed" in ran.out
    assert "Pusher: not pushed\n  The model is not blessed." in ran.out
    assert "it must be at least 0.9." in ran.out
    blessing = re.search(r"^next: cauce artifacts show (\d+)$", ran.out, re.MULTILINE)
    assert blessing is not None
    assert "\nnot blessed\n" in project.shell(f"cauce artifacts show {blessing[1]}").out
    assert project.versions() == []


def test_disk_that_fills_up_while_the_trainer_writes_fails_the_node_and_resume_finishes_when_there_is_room(project: ExampleProject) -> None:
    with small_disk(project.root, "3m"):
        assert project.run("--to", "Transform").code == 0
        filler = project.root / "filler"
        filler.write_bytes(bytes(shutil.disk_usage(project.root).free - ROOM))
        ran = project.run("--to", "Trainer")
        assert ran.code == 1
        assert "Trainer failed: Node 'Trainer': the disk is full" in ran.out
        assert assert_put_right(project)["state"] == "failed"
        filler.unlink()
        assert project.cauce("resume").code == 0
        assert project.states()["Trainer"] == "done"
