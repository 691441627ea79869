"""The evaluator's metrics are those of TFMA's own `run_model_analysis`, and of scikit-learn, on the same rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.evaluator import Evaluator, Threshold
from components.evaluator.threshold import HIGHER_IS_BETTER, LOWER_IS_BETTER, PLOTS, TFMA_METRICS
from pipeline.artifacts import Examples, Model
from tests.components.evaluator_data import linear, logistic, make_columns, make_examples, save_model, softmax
from tests.harness import Outputs, run

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning"),  # TFMA's rows, on newer versions of NumPy
    pytest.mark.filterwarnings("ignore:(invalid value|divide by zero) encountered:RuntimeWarning"),
]

COLUMNS = make_columns(500)
BINARY = (
    "AUC",
    "AUCPrecisionRecall",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "Calibration",
    "F1Score",
    "FPR",
    "MeanLabel",
    "MeanPrediction",
    "MeanSquaredError",
    "Precision",
    "Recall",
    "TruePositives",
)
REGRESSION = (
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "LogCoshError",
    "R2Score",
    "RootMeanSquaredError",
)
CLASSES = ("SparseCategoricalAccuracy", "SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy")
SLICES = ("payment", "hour", "tags", ["hour", "payment"], ["tags", "payment=Cash"], "payment=Card")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluator")


@pytest.fixture(scope="module")
def examples(folder: Path) -> Examples:
    return make_examples(folder / "examples", COLUMNS)


@pytest.fixture(scope="module")
def models(folder: Path) -> dict[str, Model]:
    def label(features: dict[str, Any]) -> dict[str, Any]:
        import tensorflow as tf

        return {"big_amount": tf.cast(features["amount"] > 100, tf.int64), "late": features["hour"] // 3}

    return {
        "logistic": save_model(folder / "logistic", logistic(1.0, -0.5), label),
        "logistic baseline": save_model(folder / "logistic-baseline", logistic(0.2, 0.3), label),
        "linear": save_model(folder / "linear", linear(19, -9)),
        "linear baseline": save_model(folder / "linear-baseline", linear(10, -9)),
        "softmax": save_model(folder / "softmax", softmax(2.0, classes=True)),
    }


def evaluate_by_tfma(outputs: Outputs, examples: Examples, models: dict[str, Model], folder: Path) -> Any:
    """Runs TFMA's own pipeline with the config that the component wrote; returns its metrics like `read_metrics`."""
    import tensorflow_model_analysis as tfma

    config = tfma.load_eval_result(str(outputs["evaluation"].path), model_name=next(iter(models))).config
    shared = [
        tfma.default_eval_shared_model(eval_saved_model_path=str(model.path / "Format-Serving"), model_name=name, eval_config=config)
        for name, model in models.items()
    ]
    tfma.run_model_analysis(
        eval_shared_model=shared if len(shared) > 1 else shared[0],
        eval_config=config,
        data_location=str(examples.split_path("eval") / "*"),
        output_path=str(folder),
    )
    return read_metrics(folder)


def read_metrics(folder: Path) -> dict[tuple[Any, Any], float]:
    """Returns all values that are numbers by slice and metric key, read by TFMA."""
    from tensorflow_model_analysis.metrics.metric_types import MetricKey
    from tensorflow_model_analysis.slicer.slicer_lib import deserialize_slice_key
    from tensorflow_model_analysis.writers.metrics_plots_and_validations_writer import load_and_deserialize_metrics

    return {
        (deserialize_slice_key(message.slice_key), MetricKey.from_proto(item.key)): item.value.double_value.value
        for message in load_and_deserialize_metrics(str(folder))
        for item in message.metric_keys_and_values
        if item.value.WhichOneof("type") == "double_value"
    }


def assert_equal(ours: dict[Any, float], theirs: dict[Any, float], tolerance: float) -> None:
    assert ours.keys() == theirs.keys()
    different = {
        key: (ours[key], theirs[key])
        for key in ours
        if not (math.isnan(ours[key]) and math.isnan(theirs[key])) and ours[key] != pytest.approx(theirs[key], rel=tolerance, abs=tolerance)
    }
    assert not different


@pytest.mark.parametrize("weight", [None, "importance"])
def test_binary_metrics_equal_tfma_on_every_slice(
    weight: str | None, examples: Examples, models: dict[str, Model], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outputs = run(
        Evaluator,
        tmp_path,
        inputs={"examples": examples, "model": models["logistic"], "baseline_model": models["logistic baseline"]},
        label="tip",
        metrics=BINARY,
        slices=SLICES,
        weight=weight,
    )
    assert "row by row" not in caplog.text
    pair = {"candidate": models["logistic"], "baseline": models["logistic baseline"]}
    ours = read_metrics(outputs["evaluation"].path)
    assert len({key for key, _ in ours}) == 1 + 3 + 5 + 2 + 15 + 2 + 0
    assert_equal(ours, evaluate_by_tfma(outputs, examples, pair, tmp_path / "tfma"), 2e-6)


def test_a_label_and_a_slice_of_the_transform_equal_tfma(examples: Examples, models: dict[str, Model], tmp_path: Path) -> None:
    outputs = run(
        Evaluator,
        tmp_path,
        inputs={"examples": examples, "model": models["logistic"]},
        label="big_amount",
        metrics=("AUC",),
        slices=("late", ["late", "payment"]),
    )
    ours = read_metrics(outputs["evaluation"].path)
    assert_equal(ours, evaluate_by_tfma(outputs, examples, {"": models["logistic"]}, tmp_path / "tfma"), 1e-9)


def test_regression_metrics_equal_tfma_on_every_slice(examples: Examples, models: dict[str, Model], tmp_path: Path) -> None:
    outputs = run(
        Evaluator,
        tmp_path,
        inputs={"examples": examples, "model": models["linear"], "baseline_model": models["linear baseline"]},
        label="amount",
        metrics=REGRESSION,
        slices=SLICES,
        weight="importance",
    )
    pair = {"candidate": models["linear"], "baseline": models["linear baseline"]}
    ours = read_metrics(outputs["evaluation"].path)
    assert_equal(ours, evaluate_by_tfma(outputs, examples, pair, tmp_path / "tfma"), 2e-6)


def test_class_metrics_with_text_labels_equal_tfma(examples: Examples, models: dict[str, Model], tmp_path: Path) -> None:
    outputs = run(
        Evaluator,
        tmp_path,
        inputs={"examples": examples, "model": models["softmax"]},
        label="species",
        metrics=CLASSES,
        slices=("payment",),
    )
    ours = read_metrics(outputs["evaluation"].path)
    assert_equal(ours, evaluate_by_tfma(outputs, examples, {"": models["softmax"]}, tmp_path / "tfma"), 2e-6)


def test_plots_equal_tfma(examples: Examples, models: dict[str, Model], tmp_path: Path) -> None:
    import tensorflow_model_analysis as tfma

    outputs = run(
        Evaluator,
        tmp_path,
        inputs={"examples": examples, "model": models["logistic"]},
        label="tip",
        metrics=("AUC",),
        plots=("CalibrationPlot", "ConfusionMatrixPlot"),
    )
    evaluate_by_tfma(outputs, examples, {"": models["logistic"]}, tmp_path / "tfma")
    ours, theirs = (tfma.load_eval_result(str(path)).plots for path in (outputs["evaluation"].path, tmp_path / "tfma"))
    assert [key for key, _ in ours] == [key for key, _ in theirs] == [()]
    mine, other = ours[0][1][""][""], theirs[0][1][""][""]
    assert mine["confusionMatrixAtThresholds"] == other["confusionMatrixAtThresholds"]
    assert [list(bucket) for bucket in mine["calibrationHistogramBuckets"]["buckets"]] == [
        list(bucket) for bucket in other["calibrationHistogramBuckets"]["buckets"]
    ]


def test_values_are_those_of_the_textbook(examples: Examples, models: dict[str, Model], tmp_path: Path) -> None:
    x1, x2 = COLUMNS["x1"], COLUMNS["x2"]
    inputs = {"examples": examples, "model": models["logistic"]}
    probability = 1 / (1 + np.exp(-(x1 - 0.5 * x2).astype(np.float64)))
    binary = overall(run(Evaluator, tmp_path, inputs=inputs, label="tip", metrics=("AUC", "BinaryAccuracy")))
    pairs = probability[COLUMNS["tip"] == 1][:, None] - probability[COLUMNS["tip"] == 0][None, :]
    # TFMA interpolates between 10,000 thresholds
    assert binary["auc"] == pytest.approx(np.mean((pairs > 0) + 0.5 * (pairs == 0)), abs=1e-3)
    assert binary["binary_accuracy"] == np.mean((probability > 0.5) == COLUMNS["tip"])
    inputs["model"] = models["linear"]
    names = ("RootMeanSquaredError", "R2Score", "MeanAbsoluteError")
    regression = overall(run(Evaluator, tmp_path, inputs=inputs, label="amount", metrics=names))
    amount, predicted = COLUMNS["amount"].astype(np.float64), (100 + 19 * x1 - 9 * x2).astype(np.float64)
    errors = predicted - amount
    assert regression["root_mean_squared_error"] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-6)
    assert regression["r2_score"] == pytest.approx(1 - np.sum(errors**2) / np.sum((amount - amount.mean()) ** 2), rel=1e-6)
    assert regression["mean_absolute_error"] == pytest.approx(np.mean(np.abs(errors)), rel=1e-6)


def overall(outputs: Outputs) -> dict[str, float]:
    """Returns the candidate's metrics on all rows, from the summary."""
    metrics = outputs["evaluation"].summary()["slices"][0]["metrics"]
    return {name: values["candidate"]["value"] for name, values in metrics.items()}


@pytest.mark.parametrize("method", ["bootstrap", "jackknife"])
def test_confidence_intervals_are_as_wide_as_theory_says(method: str, examples: Examples, models: dict[str, Model], tmp_path: Path) -> None:
    arguments: dict[str, Any] = {
        "inputs": {"examples": examples, "model": models["logistic"]},
        "label": "tip",
        "metrics": ("BinaryAccuracy", "AUC"),
        "slices": ("payment",),
        "confidence_intervals": method,
    }
    outputs = run(Evaluator, tmp_path, **arguments)
    for found in outputs["evaluation"].summary()["slices"]:
        accuracy = found["metrics"]["binary_accuracy"]["candidate"]
        share = accuracy["value"]
        assert accuracy["lower"] < share < accuracy["upper"]
        error = (accuracy["upper"] - accuracy["lower"]) / (2 * 2.093)  # the t-distribution with 19 degrees of freedom
        assert error == pytest.approx(math.sqrt(share * (1 - share) / found["examples"]), rel=0.6)
        assert found["metrics"]["auc"]["candidate"]["lower"] < found["metrics"]["auc"]["candidate"]["value"]
    again = run(Evaluator, tmp_path, **arguments)
    assert again["evaluation"].summary() == outputs["evaluation"].summary()


def test_the_same_rows_give_the_same_bytes(examples: Examples, models: dict[str, Model], tmp_path: Path) -> None:
    from pipeline.hashing import digest_tree

    inputs = {"examples": examples, "model": models["logistic"], "baseline_model": models["logistic baseline"]}
    thresholds = (Threshold("AUC", at_least=0.5, not_worse_than_baseline_by=0.1),)
    first, second = (run(Evaluator, tmp_path, inputs=inputs, label="tip", thresholds=thresholds, slices=SLICES) for _ in range(2))
    assert digest_tree(first["evaluation"].path) == digest_tree(second["evaluation"].path)
    assert digest_tree(first["blessing"].path) == digest_tree(second["blessing"].path)


def test_another_runner_gives_the_same_values(
    examples: Examples, models: dict[str, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = {"examples": examples, "model": models["logistic"]}
    arguments: dict[str, Any] = {"label": "tip", "metrics": ("AUC",), "slices": SLICES}
    here = run(Evaluator, tmp_path, inputs=inputs, **arguments)
    monkeypatch.setattr("components.evaluator.evaluation.LOCAL_RUNNERS", ())  # so that the local runner is taken for another one
    there = run(Evaluator, tmp_path, inputs=inputs, **arguments)
    assert_equal(read_metrics(there["evaluation"].path), read_metrics(here["evaluation"].path), 1e-12)


def test_every_name_is_a_metric_of_tfma_or_keras_that_needs_no_options() -> None:
    from tensorflow_model_analysis.metrics import metric_specs
    from tensorflow_model_analysis.proto import config_pb2

    for name in TFMA_METRICS | PLOTS:
        assert metric_specs.metric_instance(config_pb2.MetricConfig(class_name=name)) is not None
    assert not HIGHER_IS_BETTER & LOWER_IS_BETTER


def test_what_columns_cannot_do_is_done_by_tfma(
    examples: Examples, models: dict[str, Model], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "eval.pbtxt").write_text(
        'model_specs { label_key: "tip" } slicing_specs {} slicing_specs { feature_keys: "payment" }\n'
        'metrics_specs { metrics { class_name: "PrecisionAtRecall" config: \'{"recall": 0.8}\'\n'
        "threshold { value_threshold { lower_bound { value: 0.5 }}}}\n"
        'metrics { class_name: "SquaredPearsonCorrelation" }}'
    )
    outputs = run(Evaluator, tmp_path, inputs={"examples": examples, "model": models["logistic"]}, eval_config="eval.pbtxt")
    assert "squared_pearson_correlation is computed row by row" in caplog.text
    assert outputs["blessing"].properties["blessed"] == 1
    assert len(outputs["blessing"].summary()["checks"]) == 4  # TFMA's threshold without slices holds on every slice
    x1, x2 = COLUMNS["x1"], COLUMNS["x2"]
    expected = np.corrcoef(COLUMNS["tip"], 1 / (1 + np.exp(-(x1 - 0.5 * x2))))[0, 1] ** 2
    assert overall(outputs)["squared_pearson_correlation"] == pytest.approx(expected, rel=1e-5)
