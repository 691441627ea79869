"""What the examples of pictures, text, sound and time promise, from the file to the served model, after a short training."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Said
from tests.examples.project import REPOSITORY, ExampleProject
from tests.sessions import sessions

pytestmark = pytest.mark.tensorflow

SHORT = {"signs": 1, "spam": 2, "air_quality": 2, "spoken_digits": 2}
"""Epochs of each example: enough to go all the way, too few to be good."""

ROWS = {"signs": 360, "spam": 5_574, "air_quality": 5_899, "spoken_digits": 320}
SERVED = {
    "signs": ["image/encoded"],
    "spam": ["text"],
    "spoken_digits": ["audio/encoded"],
    "air_quality": [*(f"history/{name}" for name in ("DEWP", "Ir", "Is", "Iws", "PRES", "TEMP", "cbwd", "pm2.5")), "window/origin"],
}
"""What is to be told to the served model, and nothing else."""

DIGITS = [str(digit) for digit in range(10)]
CLASSES = {"signs": DIGITS, "spoken_digits": DIGITS, "spam": ["ham", "spam"], "air_quality": []}


@dataclass
class Short:
    """An example that was run once, with few epochs."""

    project: ExampleProject

    @property
    def options(self) -> tuple[str, ...]:
        """What shortens its training."""
        return ("--set", f"Trainer.epochs={SHORT[self.project.name]}")

    @cached_property
    def first(self) -> Said:
        """The run."""
        return self.project.run(*self.options)

    @cached_property
    def nodes(self) -> dict[str, dict[str, Any]]:
        """What is recorded of its nodes."""
        assert self.first.code == 0, self.first.err
        return {node["id"]: node for node in self.project.nodes()}

    @cached_property
    def paths(self) -> dict[str, Any]:
        """What the exported model and the training path say of the same rows."""
        assert self.nodes
        examples = self.project.live("Examples")
        given = {
            "raw": examples[0],
            "trained_on": examples[-1],
            "model": self.project.live("Model")[-1],
            "graph": self.project.live("TransformGraph")[-1],
            "schema": self.project.live("Schema")[-1],
            "folder": str(self.project.folder),
        }
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("training_path.py")), f"examples/{self.project.name}"],
            input=json.dumps(given),
            cwd=self.project.folder,
            env=self.project.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        said: dict[str, Any] = json.loads(done.stdout)
        return said


@pytest.fixture(scope="module", params=list(SHORT))
def short(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Short:
    """Each example in turn."""
    return Short(ExampleProject(request.param, tmp_path_factory.mktemp(request.param)))


def test_every_node_is_done_and_no_row_is_lost(short: Short) -> None:
    states = {name: node["state"] for name, node in short.nodes.items()}
    assert states == {name: "selected" if name == "Resolver" else "done" for name in states}
    generator = next(node for name, node in short.nodes.items() if name.endswith("ExampleGen"))
    rows = generator["rows"]
    assert sum(rows["written"].values()) == ROWS[short.project.name]
    assert rows["read"] == sum(rows["written"].values()) + sum(rows.get("dropped", {}).values())
    assert short.nodes["ExampleValidator"]["verdict"]["kind"] == "valid"


def test_served_model_takes_the_bytes_alone_and_says_what_training_says(short: Short) -> None:
    name, said = short.project.name, short.paths
    assert sorted(said["features"]) == sorted(SERVED[name])
    assert len(said["served"]) == len(said["trained"]) > 0
    scale = 100.0 if name == "air_quality" else 1.0
    for served, trained in zip(said["served"], said["trained"], strict=True):
        assert served == pytest.approx(trained, abs=1e-5 * scale)


def test_served_model_names_its_classes(short: Short) -> None:
    said, classes = short.paths, CLASSES[short.project.name]
    assert all(sorted(row) == classes for row in said["classes"])
    assert len(said["classes"]) == len(said["predicted"]) == (len(said["served"]) if classes else 0)
    for scores, names, predicted in zip(said["served"], said["classes"], said["predicted"], strict=False):
        likely = max(range(len(scores)), key=scores.__getitem__) if len(scores) > 1 else int(scores[0] > 0.5)
        assert names[likely] == predicted


def test_second_run_reuses_everything(short: Short) -> None:
    assert short.nodes
    again = short.project.run(*short.options)
    assert again.code == 0, again.err
    assert ": nothing changed" in again.out.rpartition("run ")[2]


def test_readme_shows_the_nodes_and_rows_of_a_run(short: Short) -> None:
    name = short.project.name
    readme = sessions(REPOSITORY / "examples" / name / "README.md")
    (shown,) = readme["run"]
    assert shown.command == f"cauce run examples/{name}"
    listed = re.findall(r"^[✓=] +(\w+) ", shown.printed, re.MULTILINE)
    assert set(listed) == set(short.nodes)
    (rows,) = re.findall(r"^rows +.*$", short.first.out, re.MULTILINE)
    assert rows in shown.printed
    assert "Pusher: pushed" in shown.printed


def test_equal_messages_are_in_one_split(tmp_path: Path) -> None:
    project = ExampleProject("spam", tmp_path)
    assert project.run("--to", "CsvExampleGen").code == 0
    (examples,) = project.live("Examples")
    duplicates = json.loads((Path(examples["uri"]) / "summary.json").read_text())["duplicates"]
    assert duplicates["across"] == 0
    assert sum(duplicates["within"].values()) == 403


def test_archive_that_is_not_there_is_named_before_anything_is_done(tmp_path: Path) -> None:
    project = ExampleProject("cifar10", tmp_path)
    ran = project.run()
    assert ran.code != 0
    assert "data/cifar10/train.tar.gz" in ran.err + ran.out
    assert "matches no file" in ran.err + ran.out
