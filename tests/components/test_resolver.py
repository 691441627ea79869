"""Resolver: what it selects from earlier runs, through the engine and a store."""

from __future__ import annotations

import pytest

from components.resolver import Resolver
from pipeline.artifacts import Model, ModelBlessing
from pipeline.channel import Channel
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from pipeline.errors import DefinitionError
from pipeline.records import EventKind, ExecutionState
from tests.project import Project, Ran


class MakeModel(Component):
    """A model that is one number."""

    isolated = False

    def execute(self, context: Context, model: Output[Model], *, number: int) -> None:
        (model.path / "number").write_text(str(number))


class Bless(Component):
    """Blesses a model, or does not."""

    isolated = False

    def execute(self, context: Context, model: Input[Model], blessing: Output[ModelBlessing], *, good: bool = True) -> None:
        (blessing.path / "blessing.json").write_text("{}")
        blessing.properties |= {"blessed": int(good), "current_model_id": model.id or 0}


def judge(project: Project, number: int, *, good: bool = True) -> Ran:
    """Makes and judges a model, after a champion was looked for."""
    model = MakeModel(number=number)
    return project.run(Bless(model.outputs["model"], good=good), Resolver())


def selected(ran: Ran) -> str:
    """The content of the model that the Resolver has selected."""
    (model,) = ran.result["Resolver"].outputs["model"]
    return (model.path / "number").read_text()


def test_nothing_is_selected_before_a_model_is_blessed(project: Project) -> None:
    judge(project, 1, good=False)
    ran = project.run(Resolver())
    assert not any(ran.result["Resolver"].outputs.values())
    assert "no model of 'fake' has been blessed yet" in " ".join(ran.reasons("Resolver"))


def test_model_that_was_blessed_last_is_selected_with_its_blessing(project: Project) -> None:
    judge(project, 1)
    judge(project, 2)
    judge(project, 3, good=False)
    ran = project.run(Resolver())
    assert selected(ran) == "2"
    (model,), (blessing,) = (ran.result["Resolver"].outputs[name] for name in ("model", "blessing"))
    assert blessing.properties["current_model_id"] == model.id


def test_blessing_that_was_a_cache_hit_counts_as_the_last_one(project: Project) -> None:
    judge(project, 1)
    judge(project, 2)
    assert judge(project, 1).state("Bless") == "cached"
    assert selected(project.run(Resolver())) == "1"


def test_to_be_selected_is_not_to_be_blessed_again(project: Project) -> None:
    """A Resolver that ran after the new model was judged, but looked before that, selected the old one."""
    (old,) = judge(project, 1).result["Bless"].outputs["blessing"]
    judge(project, 2)
    selection = {"blessing": [old]}
    kind = EventKind.INTERNAL_OUTPUT
    project.store.register("fake", "late", "Resolver", "Resolver", {}, {}, state=ExecutionState.COMPLETE, outputs=selection, kind=kind)
    assert selected(project.run(Resolver())) == "2"


def test_damaged_model_is_passed_over_and_the_reason_says_so(project: Project) -> None:
    judge(project, 1)
    (model,) = judge(project, 2).result["MakeModel"].outputs["model"]
    (model.path / "number").unlink()
    ran = project.run(Resolver())
    assert selected(ran) == "1"
    assert f"Model {model.id} was passed over" in " ".join(ran.reasons("Resolver"))


def test_latest_artifact_of_another_pipeline_can_be_selected(project: Project) -> None:
    project.run(MakeModel(number=7), name="other")
    resolver = Resolver("latest_artifact", artifact_type="Model", pipeline="other")
    assert isinstance(resolver.outputs["artifact"], Channel)
    (model,) = project.run(resolver).result["Resolver"].outputs["artifact"]
    assert (model.path / "number").read_text() == "7"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"strategy": "latest_blessed"}, "no strategy 'latest_blessed'. Did you mean 'latest_blessed_model'"),
        ({"strategy": "latest_artifact"}, "needs artifact_type"),
        ({"artifact_type": "Model"}, "only it takes one"),
        ({"strategy": "latest_artifact", "artifact_type": "Modle"}, "no artifact type 'Modle'. Did you mean 'Model'"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        Resolver(**given)
