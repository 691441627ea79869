"""Champion and challenger: compared on the same rows, and better only if it is by more than chance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from components.evaluator import Evaluator, Threshold
from components.evaluator.subject import Subject
from components.evaluator.verdict import beyond_chance_of
from components.retraining import ChampionCheck
from pipeline.artifacts import Examples, Model
from pipeline.errors import DefinitionError
from tests.components.evaluator_data import linear, logistic, make_examples, save_model
from tests.harness import Outputs, run

pytestmark = pytest.mark.tensorflow

SCHEMAS = Path(__file__).parents[2] / "schemas" / "summaries"
GROUPS, ROWS = 150, 150


def make_groups() -> dict[str, Any]:
    """Many small data sets, one for each group: the label follows equally from both features, with noise."""
    random = np.random.default_rng(7)
    x = random.normal(size=(GROUPS * ROWS, 2)).astype(np.float32)
    score = x.sum(axis=1)
    return {
        "x1": x[:, 0],
        "x2": x[:, 1],
        "hour": np.repeat(np.arange(GROUPS), ROWS),
        "tip": (score + random.normal(size=len(x)) > 0).astype(np.int64),
        "amount": (100 + 20 * score + random.normal(scale=10, size=len(x))).astype(np.float32),
    }


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    return make_examples(tmp_path_factory.mktemp("challenger") / "examples", make_groups())


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "left": save_model(folder / "left", logistic(1.0, 0.0)),
        "both": save_model(folder / "both", logistic(1.0, 1.0)),
        "nearly both": save_model(folder / "nearly", logistic(1.0, 1.08)),
        "amount": save_model(folder / "amount", linear(20, 20)),
        "first amount": save_model(folder / "first", linear(20, 0)),
        "second amount": save_model(folder / "second", linear(0, 20)),
        "less": save_model(folder / "less", linear(15, 15)),
    }


def judged(tmp_path: Path, examples: Examples, candidate: Model, baseline: Model | None, *thresholds: Threshold, **more: Any) -> Outputs:
    inputs: dict[str, Any] = {"examples": examples, "model": candidate} | ({} if baseline is None else {"baseline_model": baseline})
    outputs = run(Evaluator, tmp_path, inputs=inputs, thresholds=thresholds, **({"label": "tip"} | more))
    jsonschema.validate(outputs["blessing"].summary(), json.loads((SCHEMAS / "ModelBlessing.json").read_text()))
    return outputs


BETTER = Threshold("AUC", better_than_baseline_by=0, beyond_chance=True)


@pytest.fixture(scope="module")
def equal(tmp_path_factory: pytest.TempPathFactory, examples: Examples, models: dict[str, Model]) -> list[dict[str, Any]]:
    """What is found of models that are equally good, in each group."""
    everywhere = Threshold("RootMeanSquaredError", better_than_baseline_by=0, beyond_chance=True, slices=("hour",))
    folder = tmp_path_factory.mktemp("equal")
    outputs = judged(folder, examples, models["first amount"], models["second amount"], everywhere, label="amount")
    checks: list[dict[str, Any]] = outputs["blessing"].summary()["checks"]
    assert len(checks) == GROUPS
    return checks


def test_models_that_are_equally_good_are_rarely_told_apart_and_a_better_one_nearly_always(
    tmp_path: Path, examples: Examples, models: dict[str, Model], equal: list[dict[str, Any]]
) -> None:
    """Each group of rows is a comparison of its own; 2.5 % of equal models are beyond a 95 % interval by chance."""
    assert np.mean([check["passed"] for check in equal]) <= 0.06
    assert np.mean([check["value"] < check["baseline"] for check in equal]) == pytest.approx(0.5, abs=0.12)
    everywhere = Threshold("RootMeanSquaredError", better_than_baseline_by=0, beyond_chance=True, slices=("hour",))
    better = judged(tmp_path, examples, models["amount"], models["second amount"], everywhere, label="amount")
    assert np.mean([check["passed"] for check in better["blessing"].summary()["checks"]]) >= 0.95


def test_a_better_value_alone_is_not_enough(
    tmp_path: Path, examples: Examples, models: dict[str, Model], equal: list[dict[str, Any]]
) -> None:
    check = next(check for check in equal if check["value"] < check["baseline"] and not check["passed"])
    difference, group = check["difference"], check["slice"]
    assert difference["lower"] < difference["value"] < 0 < difference["upper"]
    assert difference["value"] == pytest.approx(check["value"] - check["baseline"])
    assert check["text"] == (
        f"root_mean_squared_error on {group} is {check['value']:.5g}, the baseline's {check['baseline']:.5g}: {difference['value']:+.4g} "
        f"(95 %: {difference['lower']:+.4g} to {difference['upper']:+.4g}) on the same {ROWS} rows; it must be better than the baseline "
        "by more than 0, beyond chance."
    )
    pair = (models["first amount"], models["second amount"])
    for beyond_chance, verdict in ((True, "not blessed"), (False, "blessed")):
        threshold = Threshold("RootMeanSquaredError", better_than_baseline_by=0, beyond_chance=beyond_chance, slices=((group,),))
        found = judged(tmp_path, examples, *pair, threshold, label="amount").context.verdict
        assert found is not None and found.kind == verdict


def test_the_difference_on_the_same_rows_is_surer_than_the_values(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    not_worse = Threshold("AUC", not_worse_than_baseline_by=0.002, beyond_chance=True)
    (check,) = judged(tmp_path, examples, models["nearly both"], models["both"], not_worse)["blessing"].summary()["checks"]
    paired = check["difference"]["upper"] - check["difference"]["lower"]
    assert paired < (check["upper"] - check["lower"]) / 10
    assert check["passed"] and check["rule"] == "not worse than the baseline by more than 0.002, beyond chance"


def test_a_model_that_equals_the_champion_is_not_better(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    outputs = judged(tmp_path, examples, models["both"], models["both"], BETTER)
    (check,) = outputs["blessing"].summary()["checks"]
    assert (check["difference"], check["passed"]) == ({"value": 0.0, "lower": 0.0, "upper": 0.0}, False)
    same = Threshold("AUC", not_worse_than_baseline_by=0.0, beyond_chance=True)
    assert judged(tmp_path, examples, models["both"], models["both"], same)["blessing"].summary()["checks"][0]["passed"] is True


@pytest.mark.parametrize(("candidate", "baseline", "blessed"), [("amount", "less", True), ("less", "amount", False)])
def test_of_an_error_less_is_better_also_beyond_chance(
    candidate: str, baseline: str, blessed: bool, tmp_path: Path, examples: Examples, models: dict[str, Model]
) -> None:
    rmse = Threshold("RootMeanSquaredError", better_than_baseline_by=0.1, relative=True, beyond_chance=True)
    outputs = judged(tmp_path, examples, models[candidate], models[baseline], rmse, label="amount")
    assert outputs.context.verdict is not None
    assert (outputs.context.verdict.kind == "blessed") is blessed
    assert "better than the baseline by 10 %, beyond chance" in outputs.context.verdict.reasons[0]


def test_the_first_model_needs_no_champion(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    verdict = judged(tmp_path, examples, models["left"], None, BETTER).context.verdict
    assert verdict is not None and verdict.kind == "blessed"
    assert "There is no baseline model" in verdict.reasons[0]


CLASSES = Subject("classes", classes=("ant", "bee", "cow"))


@pytest.mark.parametrize(
    ("threshold", "asked", "others"),
    [
        (Threshold("BinaryAccuracy", better_than_baseline_by=0, beyond_chance=True), [("binary_accuracy", None)], [("auc", None)]),
        (Threshold("TopKAccuracy(k=2)", better_than_baseline_by=0, beyond_chance=True), [("top_2_accuracy", None)], [("accuracy", None)]),
        (
            Threshold("Recall", better_than_baseline_by=0, beyond_chance=True),
            [("macro_recall", None)],
            [("recall", 1), ("micro_recall", None), ("macro_precision", None)],
        ),
        (
            Threshold("Recall", class_="bee", better_than_baseline_by=0, beyond_chance=True),
            [("recall", 1)],
            [("recall", 0), ("recall", 2), ("macro_recall", None)],
        ),
    ],
)
def test_an_interval_is_asked_of_just_the_metric_the_class_and_the_average_that_a_threshold_names(
    threshold: Threshold, asked: list[tuple[str, int | None]], others: list[tuple[str, int | None]]
) -> None:
    from tensorflow_model_analysis.metrics import metric_types
    from tensorflow_model_analysis.proto import config_pb2

    def is_asked(name: str, class_id: int | None) -> bool:
        sub_key = None if class_id is None else metric_types.SubKey(class_id=class_id)
        key = metric_types.MetricKey(name=name, sub_key=sub_key)
        return any(one.is_asked(key, config_pb2.SlicingSpec()) for one in beyond_chance_of([threshold], CLASSES))

    assert all(is_asked(*one) for one in asked)
    assert not any(is_asked(*one) for one in others)


def test_beyond_chance_needs_a_bound_against_the_baseline() -> None:
    with pytest.raises(DefinitionError, match="beyond_chance=True needs a bound against the baseline"):
        Threshold("AUC", at_least=0.8, beyond_chance=True)


def test_a_champion_check_evaluates_and_judges_nothing(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    examples.properties["span"] = 12
    outputs = run(ChampionCheck, tmp_path, inputs={"examples": examples, "model": models["both"]}, label="tip", metrics=("AUC",))
    assert set(outputs.artifacts) == {"evaluation"}
    summary = outputs["evaluation"].summary()
    jsonschema.validate(summary, json.loads((SCHEMAS / "ModelEvaluation.json").read_text()))
    found = summary["slices"][0]["metrics"]["auc"]["candidate"]
    assert found["lower"] < found["value"] < found["upper"]
    verdict = outputs.context.verdict
    assert verdict is not None and verdict.kind == "evaluated"
    assert verdict.reasons == (
        f"Model None on {GROUPS * ROWS:,} rows of span 12: auc {found['value']:.5g} (95 %: {found['lower']:.5g} to {found['upper']:.5g}).",
    )
    del examples.properties["span"]


def test_a_champion_check_is_checked_as_an_evaluator_is() -> None:
    from tests.components.test_retraining import Rows, Train

    rows = Rows(span=1)
    with pytest.raises(DefinitionError, match="no metric 'AUV'"):
        ChampionCheck(rows, Train(rows), label="tip", metrics=["AUV"])
    with pytest.raises(DefinitionError, match="there is no metric to compute"):
        ChampionCheck(rows, Train(rows), label="tip", metrics=[])
