"""The retraining policy: what its rules say, and what a run does with it. TensorFlow is not needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from components.resolver import Resolver
from components.retraining import Always, ChampionWorse, DriftAbove, ModelOlderThan, NewData, RetrainingPolicy
from components.retraining.rules import Data, Facts, Rule
from pipeline.artifacts import ExampleAnomalies, Examples, Model, ModelBlessing, ModelEvaluation
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from pipeline.errors import DataError, DefinitionError
from pipeline.outcome import NodeState
from tests.cli import cauce
from tests.project import Project, Ran

NEW = NewData()
SCHEMA = json.loads((Path(__file__).parents[2] / "schemas/summaries/RetrainingDecision.json").read_text())


class Rows(Component):
    """Examples of a span."""

    isolated = False

    def execute(self, context: Context, examples: Output[Examples], *, span: int, rows: int = 100) -> None:
        (examples.path / "rows").write_text(f"{span} {rows}")
        examples.set_record_counts({"train": rows})
        examples.properties["span"] = span


class Prepare(Component):
    """Transformed examples."""

    isolated = False

    def execute(self, context: Context, examples: Input[Examples], transformed: Output[Examples]) -> None:
        (transformed.path / "rows").write_text(f"transformed {(examples.path / 'rows').read_text()}")


class Train(Component):
    """A model of the examples."""

    isolated = False

    def execute(self, context: Context, examples: Input[Examples], model: Output[Model], *, units: int = 1) -> None:
        (model.path / "model").write_text(f"{units} {(examples.path / 'rows').read_text()}")


class Judge(Component):
    """An evaluation with a value of AUC, and a blessing."""

    isolated = False

    def execute(
        self,
        context: Context,
        model: Input[Model],
        evaluation: Output[ModelEvaluation],
        blessing: Output[ModelBlessing],
        *,
        auc: float = 0.9,
    ) -> None:
        evaluation.write_summary(evaluated(auc))
        blessing.write_summary({"reasons": ["as it is"]})
        blessing.properties |= {"blessed": 1, "current_model_id": model.id or 0}


class Measure(Component):
    """Anomalies with a distance."""

    isolated = False

    def execute(self, context: Context, examples: Input[Examples], anomalies: Output[ExampleAnomalies], *, distance: float) -> None:
        anomalies.write_summary(drifted(distance))


def evaluated(auc: float | None, **more: float) -> dict[str, Any]:
    return {"slices": [{"slice": {}, "examples": 500, "metrics": {"auc": {"candidate": {"value": auc, **more}}}}]}


def drifted(distance: float, p_value: float | None = 0.001, feature: str = "company", kind: str = "drift") -> dict[str, Any]:
    chance = None if p_value is None else {"p_value": p_value}
    one = {"feature": feature, "kind": kind, "value": distance, "threshold": 0.1, "chance": chance}
    return {"splits": {"train": {"drift": [one]}}}


def run(project: Project, span: int, *, rule: Rule = NEW, units: int = 1, auc: float = 0.9, rows: int = 100, force: bool = False) -> Ran:
    """Trains on a span if the policy says so."""
    examples = Rows(span=span, rows=rows)
    champion = Resolver()
    check = Judge(champion.model, id="Check", auc=auc)
    anomalies = Measure(examples, distance=0.2)
    gate = RetrainingPolicy(
        examples,
        anomalies.outputs["anomalies"],
        champion.model,
        check.outputs["evaluation"],
        retrain_if=rule,
        force=force,
    )
    model = Train(Prepare(examples).outputs["transformed"], units=units, when=gate.passed)
    return project.run(Judge(model.outputs["model"]), parallel=1)


def decision(ran: Ran) -> tuple[str, str]:
    verdict = ran.result["RetrainingPolicy"].verdict
    assert verdict is not None
    return verdict.kind, verdict.reasons[0]


def test_the_first_model_is_trained_whatever_the_rules_say(project: Project) -> None:
    ran = run(project, 1, rule=DriftAbove(0.9))
    assert decision(ran) == ("retrain", "No model has been trained yet.")
    assert ran.state("Train") == "done"


def test_where_no_rule_asks_for_training_the_rest_is_skipped_with_the_reason_and_the_run_is_done(project: Project) -> None:
    run(project, 1)
    ran = run(project, 1)
    assert decision(ran) == ("no retraining", "No data are new since model 5.")
    assert (ran.state("Train"), ran.state("Judge")) == ("skipped", "skipped")
    assert ran.reasons("Train") == ("RetrainingPolicy: No data are new since model 5.",)
    assert ran.reasons("Judge") == ("Train was skipped: RetrainingPolicy: No data are new since model 5.",)
    assert (ran.result.state.value, ran.result.exit_code) == ("done", 0)
    assert ran.result.reason == "Train, Judge skipped: RetrainingPolicy: No data are new since model 5."


def test_the_decision_is_recorded_with_what_it_looked_at(project: Project) -> None:
    run(project, 1)
    ran = run(project, 2, rule=NewData() & ModelOlderThan(days=30))
    execution = project.executions(ran.result.run)["RetrainingPolicy"]
    assert (execution.verdict, execution.verdict_reasons[1]) == ("no retraining", "The policy: new data and model older than 30 days.")
    inputs = project.store.inputs_of(execution.id)
    assert {"examples", "anomalies", "champion", "last_model", "trained_examples"} <= set(inputs)
    assert [one.properties.get("span") for one in inputs["trained_examples"]] == [1, None]
    (found,) = ran.result["RetrainingPolicy"].outputs["decision"]
    assert (found.type_name, found.properties["retrain"]) == ("RetrainingDecision", 0)
    jsonschema.validate(found.summary(), SCHEMA)
    assert [rule["holds"] for rule in found.summary()["rules"]] == [True, False]
    skipped = project.executions(ran.result.run)["Train"]
    assert (skipped.verdict, skipped.reasons) == ("skipped", ran.reasons("Train"))
    shown = cauce("runs", "show", ran.result.run, "--json", root=project.root).json("runs-show")
    assert shown["reason"] == ran.result.reason
    assert {node["id"]: node["state"] for node in shown["nodes"]}["Judge"] == NodeState.SKIPPED.value


def test_new_data_are_those_that_the_last_model_was_not_trained_on(project: Project) -> None:
    run(project, 1)
    assert decision(run(project, 2)) == ("retrain", "100 rows of span 2 are new since model 5.")
    assert decision(run(project, 2))[0] == "no retraining"
    few = run(project, 3, rule=NewData(rows=500))
    assert decision(few)[1].startswith("100 rows of span 3 are new since model")
    assert decision(few)[1].endswith("fewer than 500.")


def test_changed_code_alone_is_no_reason_but_can_be_forced(project: Project) -> None:
    run(project, 1)
    assert run(project, 1, units=2).state("Train") == "skipped"
    forced = run(project, 1, units=2, force=True)
    assert (decision(forced), forced.state("Train")) == (("retrain", "Asked for with force."), "done")


def test_a_failed_training_does_not_make_the_data_old(project: Project) -> None:
    run(project, 1)
    examples = Rows(span=2)
    gate = RetrainingPolicy(examples)
    broken = Broken(examples, when=gate.passed)
    assert project.run(broken).state("Broken") == "failed"
    assert decision(run(project, 2))[0] == "retrain"


class Broken(Component):
    """Fails."""

    isolated = False

    def execute(self, context: Context, examples: Input[Examples], model: Output[Model]) -> None:
        raise DataError("no")


def test_a_champion_that_became_worse_than_when_it_was_blessed_is_replaced(project: Project) -> None:
    run(project, 1)
    rule = ChampionWorse("AUC", by=0.05)
    worse = run(project, 1, rule=rule, auc=0.8)
    assert decision(worse) == (
        "retrain",
        "AUC of model 5 on the 500 new rows is 0.8, worse than 0.85 (0.9 when it was blessed).",
    )
    kept = run(project, 1, rule=rule, auc=0.87)
    assert decision(kept) == (
        "no retraining",
        "AUC of model 5 on the 500 new rows is 0.87, not worse than 0.85 (0.9 when it was blessed).",
    )


FACTS = Facts(
    data=(Data("b", 30, 2), Data("c", 50, 3), Data("a", 20, 1)),
    trained_on=frozenset("a"),
    last_model=7,
    champion=5,
    age=50.0,
    anomalies=drifted(0.2),
    metrics=evaluated(0.8, lower=0.7, upper=0.9)["slices"][0]["metrics"],
    rows=500,
)


def test_spans_of_months_are_named_as_their_paths_are() -> None:
    data = (Data("b", 30, 494, "2011-03"), Data("c", 50, 493, "2011-02"), Data("a", 20, 492, "2011-01"))
    facts = Facts(data=data, trained_on=frozenset("a"), last_model=7)
    assert NewData().opinion(facts).text == "80 rows of spans 2011-02, 2011-03 are new since model 7"


@pytest.mark.parametrize(
    ("rule", "holds", "text"),
    [
        (Always(), True, "the policy is to train always"),
        (NewData(), True, "80 rows of spans 2, 3 are new since model 7"),
        (ModelOlderThan(hours=49), True, "model 5 is 2.08 days old, more than 2.04 days"),
        (ModelOlderThan(days=3), False, "model 5 is 2.08 days old, not more than 3 days"),
        (DriftAbove(), True, "'company' in train has a drift of 0.2, above 0.1 (chance makes as much in 0.1% of all cases)"),
        (DriftAbove(0.3), False, "'company' in train has a drift of 0.2, not above 0.3 (chance makes as much in 0.1% of all cases)"),
        (DriftAbove(features=["fare"]), False, "no drift was measured"),
        (DriftAbove(kind="skew"), False, "no skew was measured"),
        (ChampionWorse("AUC", than=0.85), True, "AUC of model 5 on the 500 new rows is 0.8 (95 %: 0.7 to 0.9), worse than 0.85"),
        (
            ChampionWorse("AUC", than=0.85, sure=True),
            False,
            "AUC of model 5 on the 500 new rows is 0.8 (95 %: 0.7 to 0.9), not worse than 0.85",
        ),
        (ChampionWorse("AUC", by=0.01), False, "model 5 has no AUC from when it was blessed"),
    ],
)
def test_each_rule_says_what_is_so(rule: Rule, holds: bool, text: str) -> None:
    assert rule.judge(FACTS) == (holds, rule.judge(FACTS)[1])
    assert [opinion.text for opinion in rule.judge(FACTS)[1]] == [text]


def test_drift_that_chance_explains_does_not_count() -> None:
    facts = Facts(anomalies=drifted(0.2, p_value=0.3))
    held, (opinion,) = DriftAbove().judge(facts)
    assert not held and opinion.text.endswith("(chance makes as much in 30.0% of all cases), which is not sure enough")
    assert DriftAbove(confidence=0).judge(facts)[0]
    assert DriftAbove().judge(Facts(anomalies=drifted(0.2, p_value=None)))[0]


def test_a_metric_where_lower_is_better_is_worse_above() -> None:
    metrics = {"root_mean_squared_error": {"candidate": {"value": 80.0}}}
    facts = Facts(champion=5, metrics=metrics, rows=9)
    assert ChampionWorse("RootMeanSquaredError", than=70).judge(facts)[0]
    assert not ChampionWorse("RootMeanSquaredError", than=90).judge(facts)[0]
    nan = Facts(champion=5, metrics={"root_mean_squared_error": {"candidate": {"value": None}}})
    assert ChampionWorse("RootMeanSquaredError", than=90).judge(nan)[0]
    with pytest.raises(DataError, match=r"has no AUC. It has: root_mean_squared_error"):
        ChampionWorse("AUC", than=0.5).judge(facts)


@pytest.mark.parametrize(
    ("rule", "holds", "words"),
    [
        (NewData() & ModelOlderThan(days=3), False, "new data and model older than 3 days"),
        (NewData() | ModelOlderThan(days=3), True, "new data or model older than 3 days"),
        (
            NewData(900) | (DriftAbove() & ModelOlderThan(hours=1)),
            True,
            "900 new rows or (drift above its threshold and model older than 1 hours)",
        ),
        ((NewData(900) | DriftAbove(0.3)) & Always(), False, "(900 new rows or drift above 0.3) and always"),
    ],
)
def test_rules_are_combined(rule: Rule, holds: bool, words: str) -> None:
    assert (rule.judge(FACTS)[0], str(rule)) == (holds, words)


def test_what_cannot_be_judged_is_refused_when_it_is_built() -> None:
    examples = Rows(span=1)
    with pytest.raises(DefinitionError, match=r"the rule 'drift above its threshold' needs the input 'anomalies'"):
        RetrainingPolicy(examples, retrain_if=NewData() | DriftAbove())
    with pytest.raises(DefinitionError, match=r"needs the input 'champion'"):
        RetrainingPolicy(examples, retrain_if=ChampionWorse("AUC", than=0.8))
    with pytest.raises(DefinitionError, match=r"'last_model' is found in history"):
        RetrainingPolicy(examples, last_model=Train(examples))
    for build, message in (
        (lambda: ModelOlderThan(), "more than nothing"),
        (lambda: NewData(0), "1 or more"),
        (lambda: DriftAbove(kind="shift"), "Did you mean|Known"),
        (lambda: DriftAbove(features="fare"), "list of names"),
        (lambda: ChampionWorse("AUC"), "give than or by"),
        (lambda: ChampionWorse("AUV", than=1), "Did you mean 'AUC'"),
        (lambda: ChampionWorse("MeanLabel", than=1), "neither higher nor lower"),
    ):
        with pytest.raises(DefinitionError, match=message):
            build()
