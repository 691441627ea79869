"""Resolver: what it selects from earlier runs, through the engine and a store."""

from __future__ import annotations

from typing import Any

import pytest

from components.resolver import Resolver
from pipeline.artifacts import Examples, Model, ModelBlessing
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


class MakeExamples(Component):
    """Examples of a span, which are one number."""

    isolated = False

    def execute(self, context: Context, examples: Output[Examples], *, span: int, version: int = 1) -> None:
        (examples.path / "number").write_text(f"{span}.{version}")
        examples.properties |= {"span": span, "version": version}


class Count(Component):
    """Notes which examples it gets."""

    isolated = False

    def execute(self, context: Context, examples: Input[list[Examples]], noted: Output[Model]) -> None:
        (noted.path / "number").write_text(" ".join((one.path / "number").read_text() for one in examples))


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
        ({"artifact_type": "Model"}, "that one takes none"),
        ({"strategy": "span_range", "artifact_type": "Model"}, "span_range needs span="),
        ({"strategy": "rolling_window", "artifact_type": "Model", "window": 2, "span": 1}, "span_range needs span=..., and only it"),
        ({"strategy": "rolling_window", "artifact_type": "Model", "window": 0}, "window must be 1 or more"),
        ({"strategy": "span_range", "artifact_type": "Model", "span": "a..b"}, "span expects a range such as"),
        ({"where": {"a": 1}}, "takes neither node nor where"),
        ({"strategy": "latest_artifact", "artifact_type": "Modle"}, "no artifact type 'Modle'. Did you mean 'Model'"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        Resolver(**given)


def make_spans(project: Project, *spans: tuple[int, int]) -> None:
    for span, version in spans:
        project.run(MakeExamples(span=span, version=version, id="Gen"))
    project.run(MakeExamples(span=99, id="Other"))


def noted(ran: Ran) -> str:
    return (ran.output("Count").path / "number").read_text()


def test_rolling_window_selects_the_highest_version_of_each_of_the_last_spans(project: Project) -> None:
    make_spans(project, (1, 1), (2, 2), (3, 1), (2, 1), (5, 1))
    window = Resolver("rolling_window", artifact_type="Examples", node="Gen", window=3)
    ran = project.run(Count(window.artifact))
    assert (noted(ran), ran.reasons("Resolver")) == ("2.2 3.1 5.1", ("spans 2, 3, 5 are the last 3",))
    execution = project.executions(ran.result.run)["Resolver"]
    assert {event.kind for event in project.store.events_of_executions([execution.id])} == {EventKind.INTERNAL_OUTPUT}
    wide = project.run(Count(Resolver("rolling_window", artifact_type="Examples", node="Gen", window=30).artifact))
    assert wide.reasons("Resolver") == ("spans 1, 2, 3, 5 are the last 4 of 30",)


@pytest.mark.parametrize(
    ("span", "expected", "reason"),
    [
        ("2..4", "2.1 3.1", "spans 2, 3 are those of 2..4; spans 4 are missing"),
        ("3..", "3.1 5.1", "spans 3, 5 are those of 3..; spans 4 are missing"),
        (2, "2.1", "spans 2 are those of 2"),
    ],
)
def test_span_range_selects_its_spans_and_names_those_it_lacks(project: Project, span: Any, expected: str, reason: str) -> None:
    make_spans(project, (2, 1), (3, 1), (5, 1))
    ran = project.run(Count(Resolver("span_range", artifact_type="Examples", node="Gen", span=span).artifact))
    assert (noted(ran), ran.reasons("Resolver")) == (expected, (reason,))


def test_range_without_any_span_selects_nothing_and_says_which_there_are(project: Project) -> None:
    make_spans(project, (2, 1), (3, 1))
    ran = project.run(Resolver("span_range", artifact_type="Examples", node="Gen", span="7..9"))
    assert ran.reasons("Resolver") == ("'fake' has no Examples made by Gen of spans 7..9; there are spans 2, 3",)


def test_damaged_span_is_replaced_by_its_version_before(project: Project) -> None:
    make_spans(project, (1, 1))
    broken = project.run(MakeExamples(span=1, version=2, id="Gen")).output("Gen")
    (broken.path / "number").unlink()
    ran = project.run(Count(Resolver("rolling_window", artifact_type="Examples", node="Gen", window=1).artifact))
    assert noted(ran) == "1.1"
    assert f"Examples {broken.id} was passed over: " in ran.reasons("Resolver")[0]


def test_artifact_is_selected_by_its_properties(project: Project) -> None:
    make_spans(project, (4, 1), (4, 2), (4, 3))
    ran = project.run(Count(Resolver("latest_artifact", artifact_type="Examples", where={"span": 4, "version": 2}).artifact))
    assert noted(ran) == "4.2"
    assert ran.reasons("Resolver")[0].endswith("is the latest of 'fake' with span=4, version=2")
    nothing = project.run(Resolver("latest_artifact", artifact_type="Examples", where={"span": 8}))
    assert nothing.reasons("Resolver") == ("'fake' has no Examples with span=8 yet",)


STRATEGY = """
from components.strategies import Selection

def odd(history, query):
    found = [one for one in query.candidates(history) if one.properties["span"] % 2 == query.config["rest"]]
    return Selection(found, f"{len(found)} spans leave {query.config['rest']}")

def wrong(history, query):
    return []

def failing(history, query):
    return query.config["absent"]
"""


def test_strategy_of_the_users_selects(project: Project) -> None:
    make_spans(project, (1, 1), (2, 1), (3, 1))
    project.write("strategies.py", STRATEGY)
    resolver = Resolver("strategies:odd", artifact_type="Examples", node="Gen", config={"rest": 1})
    ran = project.run(Count(resolver.artifact))
    assert (noted(ran), ran.reasons("Resolver")) == ("3.1 1.1", ("2 spans leave 1",))
    wrong = project.run(Resolver("strategies:wrong", artifact_type="Examples"))
    assert "strategies:wrong must return a components.strategies.Selection. Received: []" in str(wrong.result["Resolver"].error)
    failing = project.run(Resolver("strategies:failing", artifact_type="Examples"))
    assert "strategies.py:11 failing raised KeyError" in str(failing.result["Resolver"].error)
