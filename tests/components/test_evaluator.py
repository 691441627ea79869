"""The Evaluator's verdict, its files, and its errors."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from components.evaluator import Evaluator, Threshold
from components.evaluator.results import SliceResult, Value
from components.evaluator.verdict import judge
from pipeline.artifacts import Examples, Model, Schema
from pipeline.errors import CauceError, DataError, ExecutionError, StorageError
from tests.components.evaluator_data import SPECIES, linear, logistic, make_columns, make_examples, save_model, softmax
from tests.harness import Outputs, run

pytestmark = pytest.mark.tensorflow

SCHEMAS = Path(__file__).parents[2] / "schemas" / "summaries"
COLUMNS = make_columns(400)
GOOD = Threshold("AUC", at_least=0.7)
SPARSE = ("SparseCategoricalAccuracy",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluator")


@pytest.fixture(scope="module")
def examples(folder: Path) -> Examples:
    return make_examples(folder / "examples", COLUMNS)


@pytest.fixture(scope="module")
def models(folder: Path) -> dict[str, Model]:
    def nan_for_large(x1: Any, x2: Any) -> dict[str, Any]:
        import tensorflow as tf

        return {"outputs": tf.where(x1 > 1.5, math.nan, tf.sigmoid(x1))}

    return {
        "good": save_model(folder / "good", logistic(1.0, -0.5)),
        "poor": save_model(folder / "poor", logistic(0.3, 0.3)),
        "nan": save_model(folder / "nan", nan_for_large),
        "linear": save_model(folder / "linear", linear(19, -9)),
        "two outputs": save_model(folder / "two", lambda x1, x2: {"mean": x1, "deviation": x2}),
        "classes": save_model(folder / "classes", softmax(2.0, classes=True)),
        "no classes": save_model(folder / "no-classes", softmax(2.0, classes=False)),
    }


def evaluate(tmp_path: Path, examples: Examples, model: Model, baseline: Model | None = None, **parameters: Any) -> Outputs:
    inputs: dict[str, Any] = {"examples": examples, "model": model} | ({} if baseline is None else {"baseline_model": baseline})
    return run(Evaluator, tmp_path, inputs=inputs, **({"label": "tip"} | parameters))


def verdict_of(outputs: Outputs) -> tuple[str, tuple[str, ...]]:
    """Returns the verdict, once everything that says it agrees: files, properties, and TFMA's own validation."""
    import tensorflow_model_analysis as tfma

    blessing, found = outputs["blessing"], outputs.context.verdict
    assert found is not None
    blessed = found.kind == "blessed"
    assert {file.name for file in blessing.path.iterdir()} == {"BLESSED" if blessed else "NOT_BLESSED", "blessing.json", "summary.json"}
    assert blessing.properties["blessed"] == int(blessed)
    written = json.loads((blessing.path / "blessing.json").read_text())
    assert written == blessing.summary()
    assert (written["verdict"], tuple(written["reasons"])) == (found.kind, found.reasons)
    jsonschema.validate(written, json.loads((SCHEMAS / "ModelBlessing.json").read_text()))
    jsonschema.validate(outputs["evaluation"].summary(), json.loads((SCHEMAS / "ModelEvaluation.json").read_text()))
    assert tfma.load_validation_result(str(outputs["evaluation"].path)).validation_ok is blessed
    return found.kind, found.reasons


def test_the_first_model_is_judged_by_values_alone_and_the_verdict_says_so(
    tmp_path: Path, examples: Examples, models: dict[str, Model]
) -> None:
    threshold = Threshold("AUC", at_least=0.7, better_than_baseline_by=0.5)
    kind, reasons = verdict_of(evaluate(tmp_path, examples, models["good"], thresholds=(threshold,)))
    assert kind == "blessed"
    assert reasons[0].startswith("auc on all rows is 0.") and reasons[0].endswith(", which is at least 0.7.")
    assert reasons[1] == "There is no baseline model, so the bounds against it are not judged."


def test_a_first_model_with_bounds_against_a_baseline_only_is_blessed(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    kind, reasons = verdict_of(evaluate(tmp_path, examples, models["poor"], thresholds=(Threshold("AUC", better_than_baseline_by=0.5),)))
    assert (kind, reasons) == ("blessed", ("There is no baseline model, so the bounds against it are not judged.",))


def test_without_thresholds_there_is_no_blessing_and_the_verdict_says_so(
    tmp_path: Path, examples: Examples, models: dict[str, Model]
) -> None:
    kind, reasons = verdict_of(evaluate(tmp_path, examples, models["good"], metrics=("AUC",)))
    assert (kind, reasons) == ("not blessed", ("No thresholds are given, so there is nothing that could bless the model.",))


@pytest.mark.parametrize(
    ("candidate", "baseline", "threshold", "blessed"),
    [
        ("good", "poor", Threshold("AUC", not_worse_than_baseline_by=0.0), True),
        ("good", "good", Threshold("AUC", not_worse_than_baseline_by=0.0), True),
        ("poor", "good", Threshold("AUC", not_worse_than_baseline_by=0.01), False),
        ("poor", "good", Threshold("AUC", not_worse_than_baseline_by=0.9, relative=True), True),
        ("poor", "good", Threshold("AUC", not_worse_than_baseline_by=0.01, relative=True), False),
        ("good", "poor", Threshold("AUC", better_than_baseline_by=0.05), True),
        ("good", "good", Threshold("AUC", better_than_baseline_by=0.05), False),
        ("poor", "good", Threshold("BinaryCrossentropy", not_worse_than_baseline_by=0.01), False),
        ("good", "poor", Threshold("BinaryCrossentropy", better_than_baseline_by=0.01, relative=True), True),
        ("good", "poor", Threshold("AUC", at_least=0.99, better_than_baseline_by=0.01), False),
        ("good", "poor", Threshold("AUC", at_most=0.5), False),
    ],
)
def test_a_model_is_judged_against_the_baseline(
    candidate: str, baseline: str, threshold: Threshold, blessed: bool, tmp_path: Path, examples: Examples, models: dict[str, Model]
) -> None:
    outputs = evaluate(tmp_path, examples, models[candidate], models[baseline], thresholds=(threshold,))
    assert verdict_of(outputs)[0] == ("blessed" if blessed else "not blessed")


def test_a_model_that_is_worse_than_the_baseline_is_told_by_how_much(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    threshold = Threshold("AUC", not_worse_than_baseline_by=0.02, relative=True)
    outputs = evaluate(tmp_path, examples, models["poor"], models["good"], thresholds=(threshold,))
    values = outputs["evaluation"].summary()["slices"][0]["metrics"]["auc"]
    assert verdict_of(outputs)[1] == (
        f"auc on all rows is {values['candidate']['value']:.5g} (baseline: {values['baseline']['value']:.5g}); "
        "it must be not worse than the baseline by more than 2 %.",
    )
    check = outputs["blessing"].summary()["checks"][0]
    assert (check["value"], check["baseline"]) == (values["candidate"]["value"], values["baseline"]["value"])
    assert values["difference"]["value"] == pytest.approx(check["value"] - check["baseline"])


def test_a_threshold_holds_on_each_value_of_its_slices(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    outputs = evaluate(tmp_path, examples, models["good"], thresholds=(Threshold("AUC", at_least=0.999, slices=("payment", ["hour=3"])),))
    kind, reasons = verdict_of(outputs)
    assert kind == "not blessed"
    assert [reason.partition(" is ")[0] for reason in reasons] == [
        "auc on payment=Card",
        "auc on payment=Cash",
        "auc on payment=Prcard",
        "auc on hour=3",
    ]


def test_a_slice_without_rows_fails_with_that_reason(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    outputs = evaluate(tmp_path, examples, models["good"], thresholds=(GOOD, Threshold("AUC", at_least=0.1, slices=["payment=Bitcoin"])))
    assert verdict_of(outputs) == ("not blessed", ("auc on payment=Bitcoin cannot be judged: there are no such rows.",))


def test_slices_that_are_too_small_are_not_judged_unless_all_are(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    size = int((COLUMNS["payment"] == "Prcard").sum()) + 1
    threshold = Threshold("AUC", at_least=0.1, slices=["payment"])
    outputs = evaluate(tmp_path, examples, models["good"], thresholds=(threshold,), min_slice_size=size)
    assert verdict_of(outputs)[0] == "blessed"
    assert [check["slice"] for check in outputs["blessing"].summary()["checks"]] == ["payment=Card", "payment=Cash"]
    small = next(found for found in outputs["evaluation"].summary()["slices"] if found["name"] == "payment=Prcard")
    assert (small["metrics"], small["examples"]) == ({}, None)
    assert f"minimum required value: {size}" in small["error"]
    outputs = evaluate(tmp_path, examples, models["good"], thresholds=(threshold,), min_slice_size=1000)
    kind, reasons = verdict_of(outputs)
    assert kind == "not blessed"
    assert "each slice of it is too small" in reasons[0]


def test_predictions_that_are_not_numbers_make_the_metric_fail(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    metrics = ("AUC", "MeanSquaredError", "BinaryAccuracy", "BinaryCrossentropy")
    outputs = evaluate(tmp_path, examples, models["nan"], metrics=metrics, thresholds=(GOOD, Threshold("MeanSquaredError", at_most=1)))
    kind, reasons = verdict_of(outputs)
    assert kind == "not blessed"
    assert all("the model's value is not a number. Are predictions NaN" in reason for reason in reasons)
    overall = outputs["evaluation"].summary()["slices"][0]
    assert {values["candidate"]["value"] for values in overall["metrics"].values()} == {None}
    assert overall["examples"] == 400


def test_a_metric_that_was_not_computed_fails_with_that_reason(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    from tensorflow_model_analysis.metrics.metric_types import MetricKey
    from tensorflow_model_analysis.proto import config_pb2

    bound = config_pb2.GenericValueThreshold()
    bound.lower_bound.value = 0.5
    results = [SliceResult((), {MetricKey("recall", example_weighted=False): Value(0.9)})]
    thresholds = {MetricKey("auc", example_weighted=False): [(config_pb2.SlicingSpec(), bound)]}
    decided = judge(thresholds, results, baseline=None, against_baseline=False)
    assert (decided.blessed, decided.reasons) == (False, ("auc on all rows was not computed.",))


def test_the_blessing_names_its_models_as_in_tfx(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    candidate, baseline = (Model(models[name].path, id=id, digest=name) for id, name in ((7, "good"), (5, "poor")))
    outputs = evaluate(tmp_path, examples, candidate, baseline, thresholds=(GOOD,))
    assert outputs["blessing"].properties == {
        "blessed": 1,
        "current_model": str(candidate.path),
        "current_model_id": 7,
        "current_model_digest": "good",
        "baseline_model": str(baseline.path),
        "baseline_model_id": 5,
    }
    assert "baseline_model" not in evaluate(tmp_path, examples, candidate, thresholds=(GOOD,))["blessing"].properties


def test_tfma_reads_the_results(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    import tensorflow_model_analysis as tfma

    outputs = evaluate(tmp_path, examples, models["good"], models["poor"], metrics=("AUC",), slices=("payment",))
    result = tfma.load_eval_result(str(outputs["evaluation"].path), model_name="candidate")
    assert {key for key, _ in result.slicing_metrics} == {(), *((("payment", kind),) for kind in ("Card", "Cash", "Prcard"))}
    assert str(tmp_path) not in (outputs["evaluation"].path / "eval_config.json").read_text()


def test_a_schema_changes_no_value(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    (tmp_path / "schema").mkdir()
    kinds = {"x1": "FLOAT", "x2": "FLOAT", "hour": "INT", "payment": "BYTES", "importance": "FLOAT", "tip": "INT"}
    lines = (f'feature {{ name: "{name}" type: {kind} presence {{ min_count: 0 }} }}' for name, kind in kinds.items())
    (tmp_path / "schema/schema.pbtxt").write_text("\n".join(lines))
    arguments: dict[str, Any] = {"label": "tip", "metrics": ("AUC",), "slices": ("hour", "payment"), "weight": "importance"}
    inputs: dict[str, Any] = {"examples": examples, "model": models["good"]}
    without = run(Evaluator, tmp_path, inputs=inputs, **arguments)
    with_schema = run(Evaluator, tmp_path, inputs=inputs | {"schema": Schema(tmp_path / "schema")}, **arguments)
    assert with_schema["evaluation"].summary() == without["evaluation"].summary()


def test_several_splits_are_evaluated_together(tmp_path: Path, models: dict[str, Model]) -> None:
    examples = make_examples(tmp_path / "examples", COLUMNS, split="eval")
    make_examples(tmp_path / "examples", make_columns(100, seed=2), split="test")
    examples.set_splits(["eval", "test"])
    outputs = evaluate(tmp_path, examples, models["good"], metrics=("AUC",), splits=("eval", "test"))
    assert outputs["evaluation"].summary()["examples"] == 500
    with pytest.raises(DataError, match=r"has no split 'valid'\. It has: eval, test"):
        evaluate(tmp_path, examples, models["good"], metrics=("AUC",), splits=("valid",))


def test_text_labels_are_found_among_the_classes_of_the_model(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    outputs = evaluate(tmp_path, examples, models["classes"], label="species", metrics=("SparseCategoricalAccuracy",))
    score = COLUMNS["x1"] - 0.5 * COLUMNS["x2"]
    predicted = np.argmax(np.stack([-score, 0.3 - score * score, score], axis=1), axis=1)
    accuracy = float(np.mean(np.array(SPECIES)[predicted] == COLUMNS["species"]))
    found = outputs["evaluation"].summary()["slices"][0]["metrics"]["sparse_categorical_accuracy"]["candidate"]
    assert found["value"] == pytest.approx(accuracy)


@pytest.mark.parametrize(
    ("model", "parameters", "kind", "message"),
    [
        ("good", {"label": "tipp"}, DataError, "The label 'tipp' is neither a feature of the examples nor .* Did you mean 'tip'?"),
        ("good", {"slices": ("paiment",)}, DataError, "'paiment' is neither a feature .* Did you mean 'payment'?"),
        ("good", {"weight": "weights"}, DataError, "'weights' is neither a feature"),
        ("good", {"label": "amount"}, DataError, "needs labels from 0 to 1. Received: "),
        ("good", {"label": "hour"}, DataError, r"record \d+: expected 1 value of 'hour'. Received: 0. \d+ of \d+ records"),
        ("good", {"prediction": "probabilitie"}, DataError, "has no output 'probabilitie'. Did you mean 'probability'?"),
        ("two outputs", {}, DataError, "has several outputs: deviation, mean"),
        ("classes", {"label": "species"}, DataError, "needs one label and one prediction per row. Received: 1 and 3"),
        ("no classes", {"label": "species", "metrics": SPARSE}, DataError, "the model does not tell its classes"),
        ("classes", {"label": "payment", "metrics": SPARSE}, DataError, "record 1: the label '.*' is none of the model's"),
        (
            "good",
            {"metrics": SPARSE},
            DataError,
            "SparseCategoricalAccuracy needs one label, and a prediction per class, .* Received: 1 and 1",
        ),
        (
            "classes",
            {"metrics": ("CategoricalAccuracy",)},
            DataError,
            "CategoricalAccuracy needs as many labels as predictions .* Received: 1 and 3",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_named(
    model: str,
    parameters: dict[str, Any],
    kind: type[CauceError],
    message: str,
    tmp_path: Path,
    examples: Examples,
    models: dict[str, Model],
) -> None:
    with pytest.raises(kind, match=message):
        evaluate(tmp_path, examples, models[model], **({"metrics": ("AUC",)} | parameters))


def test_an_output_is_chosen_by_name(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    outputs = evaluate(tmp_path, examples, models["two outputs"], label="x2", prediction="deviation", metrics=("MeanAbsoluteError",))
    assert outputs["evaluation"].summary()["slices"][0]["metrics"]["mean_absolute_error"]["candidate"]["value"] == 0.0


def test_an_empty_split_is_an_error(tmp_path: Path, models: dict[str, Model]) -> None:
    examples = make_examples(tmp_path / "examples", {name: values[:0] for name, values in COLUMNS.items()})
    with pytest.raises(DataError, match="There are no rows to evaluate"):
        evaluate(tmp_path, examples, models["good"], metrics=("AUC",))


def test_a_model_that_cannot_read_the_examples_is_named(tmp_path: Path, models: dict[str, Model]) -> None:
    columns = {name: values for name, values in COLUMNS.items() if name != "x2"}
    with pytest.raises(ExecutionError, match=r"fails on the examples, in its signature 'serving_default'.*x2"):
        evaluate(tmp_path, make_examples(tmp_path / "examples", columns), models["good"], metrics=("AUC",))


def test_a_model_without_a_saved_model_is_an_error(tmp_path: Path, examples: Examples) -> None:
    with pytest.raises(StorageError, match="holds no SavedModel"):
        evaluate(tmp_path, examples, Model(tmp_path), metrics=("AUC",))


def test_a_damaged_eval_config_is_named_with_its_line(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    (tmp_path / "eval.pbtxt").write_text("model_specs {}\nmetric_spec {}\n")
    with pytest.raises(DataError, match=r"eval.pbtxt is not an EvalConfig of TFMA as text: 2:1"):
        evaluate(tmp_path, examples, models["good"], label="", eval_config="eval.pbtxt")


def test_rows_of_many_blocks_add_up_to_the_same_values(
    tmp_path: Path, examples: Examples, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: dict[str, Any] = {"metrics": ("AUC", "Recall", "MeanSquaredError"), "slices": ("hour", ["hour", "payment"])}
    whole = evaluate(tmp_path, examples, models["good"], **arguments)["evaluation"].summary()
    monkeypatch.setattr("components.evaluator.engine.BLOCK_ROWS", 50)
    monkeypatch.setattr("components.evaluator.rows.BATCH_ROWS", 30)
    pieces = evaluate(tmp_path, examples, models["good"], **arguments)["evaluation"].summary()
    assert [found["name"] for found in pieces["slices"]] == [found["name"] for found in whole["slices"]]
    for piece, expected in zip(pieces["slices"], whole["slices"], strict=True):
        for name, values in expected["metrics"].items():
            assert piece["metrics"][name]["candidate"]["value"] == pytest.approx(values["candidate"]["value"], rel=1e-6)


def test_r2_keeps_its_digits_where_labels_are_far_from_zero(tmp_path: Path, folder: Path) -> None:
    import tensorflow as tf

    columns = COLUMNS | {"amount": (COLUMNS["x1"] * 64).round().astype(np.float32) + np.float32(2**23)}
    model = save_model(tmp_path / "model", lambda x1, x2: {"outputs": tf.round(x1 * 60) + 2.0**23})
    outputs = evaluate(tmp_path, make_examples(tmp_path / "examples", columns), model, label="amount", metrics=("R2Score",))
    labels = columns["amount"].astype(np.float64)
    predicted = (columns["x1"] * np.float32(60)).round().astype(np.float64) + 2.0**23
    expected = 1 - np.sum((labels - predicted) ** 2) / np.sum((labels - labels.mean()) ** 2)
    found = outputs["evaluation"].summary()["slices"][0]["metrics"]["r2_score"]["candidate"]["value"]
    assert found == pytest.approx(expected, rel=1e-9)


def test_a_label_that_is_not_a_number_spoils_only_its_own_slices(tmp_path: Path) -> None:
    columns = COLUMNS | {"amount": COLUMNS["amount"].copy()}
    columns["amount"][0] = np.nan
    model = save_model(tmp_path / "model", linear(19, -9))
    outputs = evaluate(
        tmp_path, make_examples(tmp_path / "examples", columns), model, label="amount", metrics=("R2Score",), slices=("payment",)
    )
    found = {one["name"]: one["metrics"]["r2_score"]["candidate"]["value"] for one in outputs["evaluation"].summary()["slices"]}
    labels, predicted = columns["amount"].astype(np.float64), (100 + 19 * COLUMNS["x1"] - 9 * COLUMNS["x2"]).astype(np.float64)
    for payment in ("Cash", "Card", "Prcard"):
        rows = COLUMNS["payment"] == payment
        errors, spread = labels[rows] - predicted[rows], labels[rows] - labels[rows].mean()
        expected = None if rows[0] else pytest.approx(1 - np.sum(errors**2) / np.sum(spread**2), rel=1e-5)
        assert found[f"payment={payment}"] == expected
    assert found["all rows"] is None
