"""Warm start: a champion to start from is no reason to train."""

from __future__ import annotations

from typing import Any

from components import Importer, Resolver, Trainer
from components.trainer.warm_start import WarmStartDriver
from pipeline.artifacts import Model, ModelBlessing
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from tests.fakes import Numbers, Source, read
from tests.project import Project, Ran


class Train(Component):
    """A model that is the sum of numbers and of the model that it started from."""

    isolated = False
    driver = WarmStartDriver

    def execute(self, context: Context, numbers: Input[Numbers], model: Output[Model], base_model: Input[Model] | None = None) -> None:
        before = int((base_model.path / "sum").read_text()) if base_model is not None else 0
        (model.path / "sum").write_text(str(before + sum(read(numbers))))


class Bless(Component):
    """Blesses a model."""

    isolated = False

    def execute(self, context: Context, model: Input[Model], blessing: Output[ModelBlessing]) -> None:
        (blessing.path / "blessing.json").write_text("{}")
        blessing.properties |= {"blessed": 1, "current_model_id": model.id or 0}


def run(project: Project, *values: int) -> Ran:
    return project.run(Bless(Train(Source(values=values), base_model=Resolver().model)))


def trained(ran: Ran) -> str:
    return (ran.output("Train").path / "sum").read_text()


def test_training_goes_on_from_the_champion_with_new_data_and_not_without(project: Project) -> None:
    assert trained(run(project, 1)) == "1"
    again = run(project, 1)
    assert (again.state("Train"), trained(again)) == ("cached", "1")
    new = run(project, 10)
    assert (new.state("Train"), trained(new)) == ("done", "11")
    assert run(project, 10).state("Train") == "cached"


def test_a_base_model_that_is_named_is_a_reason_to_train(project: Project) -> None:
    def prepared(base: Any) -> frozenset[str]:
        node = Trainer(Importer(source="data", artifact_type="Examples"), base_model=base, label="y")
        return WarmStartDriver().prepare(node, {}, project.folder).left_out

    assert prepared(Resolver().model) == {"base_model"}
    assert prepared(Importer(source="model", artifact_type="Model", id="Base").result) == frozenset()
    assert Trainer.driver is WarmStartDriver
