"""The example `bikes`: the label leaks into two columns, and no model may see them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.examples.project import ExampleProject
from tests.examples.session import Session

pytestmark = pytest.mark.tensorflow

LEAK = {"casual", "registered"}


def test_label_is_the_sum_of_two_columns_that_the_served_model_does_not_take(bikes: Session) -> None:
    assert bikes.first.code == 0
    header, *rows = (line.split(",") for line in bikes.project.data.read_text().splitlines())
    casual, registered, label = (header.index(name) for name in ("casual", "registered", "cnt"))
    assert all(int(row[casual]) + int(row[registered]) == int(row[label]) for row in rows)
    needed = set(json.loads((bikes.project.only("Model") / "summary.json").read_text())["raw_features"])
    assert needed & {*LEAK, "cnt"} == set()
    assert {"hr", "temp", "weathersit"} <= needed


def test_trainer_refuses_a_model_that_asks_for_the_leak(tmp_path: Path) -> None:
    project = ExampleProject("bikes", tmp_path)
    before, returned, after = project.features.read_text().rpartition("    return outputs")
    project.features.write_text(f'{before}    outputs["registered"] = inputs["registered"]\n{returned}{after}')
    model = project.features.with_name("model.py")
    model.write_text(model.read_text().replace("context.inputs([", 'context.inputs(["registered", '))
    project.data.write_text("\n".join(project.data.read_text().splitlines()[:400]))
    ran = project.run("--to", "Trainer", "--set", "trainer.epochs=1")
    assert ran.code == 1
    assert project.states()["Trainer"] == "failed"
    assert "no feature 'registered'" in ran.out
    assert project.versions() == []
