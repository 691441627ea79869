"""Metrics of classifications, regressions and forecasts are those of scikit-learn, and of TFMA where it has them, on the same rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sklearn

from components.evaluator import Evaluator, Threshold
from pipeline.artifacts import Examples, Model
from pipeline.errors import DataError
from tests.components.evaluator_data import SPECIES, linear, logistic, make_columns, make_examples, save_model, softmax
from tests.components.test_evaluator_agrees_with_tfma import assert_equal, evaluate_by_tfma, read_metrics
from tests.harness import Outputs, run

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning"),  # TFMA's rows, on newer versions of NumPy
]

ROWS = 400
STEPS = 3
COLUMNS = make_columns(ROWS)
X1, X2 = COLUMNS["x1"], COLUMNS["x2"]
SPECIES_IDS = np.array([SPECIES.index(name) for name in COLUMNS["species"]])
RANDOM = np.random.default_rng(3)
COLUMNS["species_id"] = SPECIES_IDS.astype(np.int64)
COLUMNS["one_hot"] = [[int(place == number) for place in range(3)] for number in SPECIES_IDS]
HORIZON = (np.stack([X1 + step * X2 for step in range(STEPS)], axis=1) + RANDOM.normal(size=(ROWS, STEPS)) + 5).astype(np.float32)
COLUMNS["horizon"] = [[float(value) for value in row] for row in HORIZON]
SLICES = {"all rows": np.ones(ROWS, bool)} | {f"payment={name}": COLUMNS["payment"] == name for name in ("Card", "Cash", "Prcard")}


def close(value: Any) -> Any:
    return pytest.approx(value, rel=1e-6, abs=1e-6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluator")


@pytest.fixture(scope="module")
def examples(folder: Path) -> Examples:
    return make_examples(folder / "examples", COLUMNS)


@pytest.fixture(scope="module")
def models(folder: Path) -> dict[str, Model]:
    def forecast(x1: Any, x2: Any) -> dict[str, Any]:
        import tensorflow as tf

        return {"outputs": tf.stack([x1 + 5, x1 + x2 + 5.5, x1 + 1.5 * x2 + 5], axis=1)}

    def logits(x1: Any, x2: Any) -> dict[str, Any]:
        import tensorflow as tf

        return {"scores": tf.stack([-x1, x2, x1], axis=1) * 3}

    def named(x1: Any, x2: Any) -> dict[str, Any]:
        import tensorflow as tf

        return logistic(1.0, -0.5)(x1, x2) | {"classes": tf.repeat(tf.constant([["no", "yes"]]), tf.shape(x1)[0], axis=0)}

    return {
        "binary": save_model(folder / "binary", named),
        "classes": save_model(folder / "classes", softmax(1.5, classes=True)),
        "nameless": save_model(folder / "nameless", softmax(1.5, classes=False)),
        "logits": save_model(folder / "logits", logits),
        "linear": save_model(folder / "linear", linear(19, -9)),
        "forecast": save_model(folder / "forecast", forecast),
        "deep forecast": save_model(folder / "deep", lambda x1, x2: {"outputs": forecast(x1, x2)["outputs"][:, :, None]}),
    }


def evaluate(tmp_path: Path, examples: Examples, model: Model, baseline: Model | None = None, **parameters: Any) -> Outputs:
    inputs = {"examples": examples, "model": model} | ({} if baseline is None else {"baseline_model": baseline})
    return run(Evaluator, tmp_path, inputs=inputs, **({"pictures": False} | parameters))


def values_of(outputs: Outputs) -> dict[str, dict[str, Any]]:
    """Returns the candidate's values by slice and metric, without what says that they are weighted."""
    return {
        found["name"]: {
            name.removesuffix(" (weighted)"): math.nan if values["candidate"]["value"] is None else values["candidate"]["value"]
            for name, values in found["metrics"].items()
        }
        for found in outputs["evaluation"].summary()["slices"]
    }


def binary_scores() -> Any:
    return 1 / (1 + np.exp(-(X1 - np.float32(0.5) * X2), dtype=np.float32))


def class_scores() -> Any:
    score = X1 - np.float32(0.5) * X2
    powers = np.exp(np.stack([-score, np.float32(0.3) - score * score, score], axis=1) * np.float32(1.5))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("weight", [None, "importance"])
def test_binary_metrics_equal_scikit_learn(weight: str | None, examples: Examples, models: dict[str, Model], tmp_path: Path) -> None:
    names = ("classification", "Recall(class_='no')", "Precision(class_='no')", "F1Score(average='macro')", "ROCAUC(class_='no')")
    outputs = evaluate(tmp_path, examples, models["binary"], label="tip", metrics=names, slices=("payment",), weight=weight)
    found, scores, weights = values_of(outputs), binary_scores(), COLUMNS["importance"] if weight else np.ones(ROWS)
    assert found.keys() == SLICES.keys()
    for name, rows in SLICES.items():
        truth, score = COLUMNS["tip"][rows], scores[rows]
        predicted, w = score > 0.5, weights[rows]
        expected = {
            "accuracy": sklearn.accuracy_score(truth, predicted, sample_weight=w),
            "balanced_accuracy": sklearn.balanced_accuracy_score(truth, predicted, sample_weight=w),
            "precision": sklearn.precision_score(truth, predicted, sample_weight=w),
            "recall": sklearn.recall_score(truth, predicted, sample_weight=w),
            "specificity": sklearn.recall_score(truth, predicted, sample_weight=w, pos_label=0),
            "recall of no": sklearn.recall_score(truth, predicted, sample_weight=w, pos_label=0),
            "negative_predictive_value": sklearn.precision_score(truth, predicted, sample_weight=w, pos_label=0),
            "precision of no": sklearn.precision_score(truth, predicted, sample_weight=w, pos_label=0),
            "f1_score": sklearn.f1_score(truth, predicted, sample_weight=w),
            "macro_f1_score": sklearn.f1_score(truth, predicted, sample_weight=w, average="macro"),
            "roc_auc": sklearn.roc_auc_score(truth, score, sample_weight=w),
            "roc_auc of no": sklearn.roc_auc_score(1 - truth, -score, sample_weight=w),
            "average_precision": sklearn.average_precision_score(truth, score, sample_weight=w),
            "log_loss": sklearn.log_loss(truth, score.astype(np.float64), sample_weight=w),
            "expected_calibration_error": calibration_error(truth, score.astype(np.float64), w),
        }
        assert found[name] == {metric: close(value) for metric, value in expected.items()}


def calibration_error(right: Any, probability: Any, weights: Any) -> float:
    """The textbook's formula, over the bins of scikit-learn's `calibration_curve`."""
    bins = np.searchsorted(np.linspace(0, 1, 16)[1:-1], probability)
    return float(sum(abs(((right - probability) * weights)[bins == number].sum()) for number in range(15)) / weights.sum())


@pytest.mark.parametrize(("label", "weight"), [("species", None), ("species_id", "importance"), ("one_hot", None)])
def test_class_metrics_equal_scikit_learn(
    label: str, weight: str | None, examples: Examples, models: dict[str, Model], tmp_path: Path
) -> None:
    averages = [f"{name}(average='{kind}')" for name in ("Recall", "Precision", "F1Score") for kind in ("micro", "weighted")]
    areas = [f"{name}(average='{kind}')" for name in ("ROCAUC", "AveragePrecision") for kind in ("micro", "weighted")]
    names = ("classification", "TopKAccuracy(k=2)", *averages, *areas)
    outputs = evaluate(tmp_path, examples, models["classes"], label=label, metrics=names, slices=("payment",), weight=weight)
    found, scores, weights = values_of(outputs), class_scores(), COLUMNS["importance"] if weight else np.ones(ROWS)
    assert found.keys() == SLICES.keys()
    for name, rows in SLICES.items():
        expected = expected_of_classes(SPECIES_IDS[rows], scores[rows], weights[rows])
        assert found[name] == {metric: close(value) for metric, value in expected.items()}


def expected_of_classes(truth: Any, scores: Any, w: Any) -> dict[str, float]:
    predicted, hot = scores.argmax(axis=1), np.eye(3)[truth]
    doubles = scores.astype(np.float64)
    expected = {
        "accuracy": sklearn.accuracy_score(truth, predicted, sample_weight=w),
        "balanced_accuracy": sklearn.balanced_accuracy_score(truth, predicted, sample_weight=w),
        "top_2_accuracy": sklearn.top_k_accuracy_score(truth, scores, k=2, sample_weight=w),
        "log_loss": sklearn.log_loss(truth, doubles / doubles.sum(axis=1, keepdims=True), sample_weight=w),
        "expected_calibration_error": calibration_error(predicted == truth, doubles.max(axis=1), w),
    }
    for average in ("macro", "micro", "weighted"):
        options: dict[str, Any] = {"average": average, "sample_weight": w, "zero_division": 0}
        expected[f"{average}_precision"] = sklearn.precision_score(truth, predicted, **options)
        expected[f"{average}_recall"] = sklearn.recall_score(truth, predicted, **options)
        expected[f"{average}_f1_score"] = sklearn.f1_score(truth, predicted, **options)
        expected[f"{average}_roc_auc"] = sklearn.roc_auc_score(hot, scores, average=average, sample_weight=w)
        expected[f"{average}_average_precision"] = sklearn.average_precision_score(hot, scores, average=average, sample_weight=w)
    specificities, negatives = [], []
    for number, species in enumerate(SPECIES):
        other, rest = truth != number, predicted != number
        specificities.append(sklearn.recall_score(other, rest, sample_weight=w))
        negatives.append(sklearn.precision_score(other, rest, sample_weight=w))
        expected[f"specificity of {species}"] = specificities[-1]
        expected[f"negative_predictive_value of {species}"] = negatives[-1]
        expected[f"precision of {species}"] = sklearn.precision_score(~other, ~rest, sample_weight=w)
        expected[f"recall of {species}"] = sklearn.recall_score(~other, ~rest, sample_weight=w)
        expected[f"f1_score of {species}"] = sklearn.f1_score(~other, ~rest, sample_weight=w)
        expected[f"roc_auc of {species}"] = sklearn.roc_auc_score(~other, scores[:, number], sample_weight=w)
        expected[f"average_precision of {species}"] = sklearn.average_precision_score(~other, scores[:, number], sample_weight=w)
    return expected | {
        "macro_specificity": float(np.mean(specificities)),
        "macro_negative_predictive_value": float(np.mean(negatives)),
    }


@pytest.mark.parametrize(("model", "weight"), [("forecast", None), ("deep forecast", "importance")])
def test_forecast_metrics_equal_scikit_learn(
    model: str, weight: str | None, examples: Examples, models: dict[str, Model], tmp_path: Path
) -> None:
    steps = ("MeanSquaredError(step='*')", "R2Score(step=2)", "MeanError(step=3)", "MeanAbsolutePercentageError(step=1)")
    names = ("forecast", "MeanSquaredError", *steps)
    outputs = evaluate(tmp_path, examples, models[model], label="horizon", metrics=names, slices=("payment",), weight=weight)
    found, weights = values_of(outputs), COLUMNS["importance"] if weight else np.ones(ROWS)
    forecast = np.stack([X1 + np.float32(5), X1 + X2 + np.float32(5.5), X1 + np.float32(1.5) * X2 + np.float32(5)], axis=1)
    assert found.keys() == SLICES.keys()
    for name, rows in SLICES.items():
        truth, predicted = HORIZON[rows].astype(np.float64), forecast[rows].astype(np.float64)
        w = np.repeat(weights[rows], STEPS)
        expected = expected_of_regression(truth.reshape(-1), predicted.reshape(-1), w)
        for step in range(STEPS):
            one = expected_of_regression(truth[:, step], predicted[:, step], weights[rows])
            for metric in ("root_mean_squared_error", "mean_absolute_error", "mean_squared_error"):
                expected[f"{metric} at step {step + 1}"] = one[metric]
            chosen = {0: "mean_absolute_percentage_error", 1: "r2_score", 2: "mean_error"}[step]
            expected[f"{chosen} at step {step + 1}"] = one[chosen]
        assert found[name] == {metric: close(value) for metric, value in expected.items()}


def expected_of_regression(truth: Any, predicted: Any, w: Any) -> dict[str, float]:
    return {
        "mean_absolute_error": sklearn.mean_absolute_error(truth, predicted, sample_weight=w),
        "mean_squared_error": sklearn.mean_squared_error(truth, predicted, sample_weight=w),
        "root_mean_squared_error": sklearn.root_mean_squared_error(truth, predicted, sample_weight=w),
        "mean_absolute_percentage_error": 100 * sklearn.mean_absolute_percentage_error(truth, predicted, sample_weight=w),
        "r2_score": sklearn.r2_score(truth, predicted, sample_weight=w),
        "mean_error": float(np.average(truth - predicted, weights=w)),
    }


def test_regression_metrics_equal_scikit_learn(examples: Examples, models: dict[str, Model], tmp_path: Path) -> None:
    outputs = evaluate(tmp_path, examples, models["linear"], label="amount", metrics="regression", slices=("payment",))
    found, predicted = values_of(outputs), (100 + 19 * X1 - 9 * X2).astype(np.float64)
    for name, rows in SLICES.items():
        expected = expected_of_regression(COLUMNS["amount"][rows].astype(np.float64), predicted[rows], np.ones(rows.sum()))
        del expected["mean_squared_error"]
        assert found[name] == {metric: pytest.approx(value, rel=2e-6, abs=2e-6) for metric, value in expected.items()}


def test_columns_equal_tfmas_own_pipeline(examples: Examples, models: dict[str, Model], tmp_path: Path, caplog: Any) -> None:
    names = ("classification", "TopKAccuracy(k=2)", "ROCAUC(average='micro')", "Recall(average='weighted')")
    outputs = evaluate(tmp_path, examples, models["classes"], label="species", metrics=names, slices=("payment",))
    assert "row by row" not in caplog.text
    ours = read_metrics(outputs["evaluation"].path)
    assert len(ours) == 4 * (1 + 5 + 7 * 3 + 7 + 2)
    assert_equal(ours, evaluate_by_tfma(outputs, examples, {"": models["classes"]}, tmp_path / "tfma"), 1e-9)


def test_steps_equal_tfmas_own_metrics(examples: Examples, models: dict[str, Model], tmp_path: Path, caplog: Any) -> None:
    (tmp_path / "eval.pbtxt").write_text(
        'model_specs { label_key: "horizon" } slicing_specs {} slicing_specs { feature_keys: "payment" }\n'
        "metrics_specs { binarize { class_ids { values: [0, 1, 2] } }\n"
        'metrics { class_name: "MeanAbsoluteError" } metrics { class_name: "MeanSquaredError" }\n'
        'metrics { class_name: "MeanAbsolutePercentageError" } }'
    )
    theirs = evaluate(tmp_path, examples, models["forecast"], eval_config="eval.pbtxt")
    assert "row by row" not in caplog.text
    names = tuple(f"{name}(step='*')" for name in ("MeanAbsoluteError", "MeanSquaredError", "MeanAbsolutePercentageError"))
    ours = evaluate(tmp_path, examples, models["forecast"], label="horizon", metrics=names, slices=("payment",))
    assert_equal(read_metrics(ours["evaluation"].path), read_metrics(theirs["evaluation"].path), 1e-9)
    assert_equal(
        read_metrics(theirs["evaluation"].path), evaluate_by_tfma(theirs, examples, {"": models["forecast"]}, tmp_path / "tfma"), 1e-6
    )


def test_metrics_of_tfma_that_are_binarized_equal_tfma(
    examples: Examples, models: dict[str, Model], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "eval.pbtxt").write_text(
        'model_specs { label_key: "species_id" } slicing_specs {}\n'
        "metrics_specs { binarize { class_ids { values: [0, 2] } } aggregate { macro_average: true class_weights { key: 0 value: 1 }\n"
        "class_weights { key: 2 value: 1 } }\n"
        'metrics { class_name: "AUC" } metrics { class_name: "Precision" } }\n'
        'metrics_specs { binarize { class_ids { values: [0, 2] } } metrics { class_name: "CalibrationPlot" } }\n'
        'metrics_specs { metrics { class_name: "MultiClassConfusionMatrixPlot" config: \'{"num_thresholds": 4}\' } }'
    )
    import tensorflow_model_analysis as tfma

    outputs = evaluate(tmp_path, examples, models["nameless"], eval_config="eval.pbtxt")
    assert "row by row" not in caplog.text
    theirs = evaluate_by_tfma(outputs, examples, {"": models["nameless"]}, tmp_path / "tfma")
    assert_equal(read_metrics(outputs["evaluation"].path), theirs, 2e-6)
    ours, other = (tfma.load_eval_result(str(path)).plots[0][1][""] for path in (outputs["evaluation"].path, tmp_path / "tfma"))
    assert ours.keys() == other.keys() == {"", "classId:0", "classId:2"}
    assert ours[""]["multiClassConfusionMatrixAtThresholds"] == other[""]["multiClassConfusionMatrixAtThresholds"]


@pytest.mark.parametrize("method", ["bootstrap", "jackknife"])
def test_confidence_intervals_are_as_wide_as_theory_says(method: str, examples: Examples, models: dict[str, Model], tmp_path: Path) -> None:
    names = ("Accuracy", "Recall", "ROCAUC(class_='Gentoo')", "AveragePrecision", "LogLoss", "ExpectedCalibrationError")
    outputs = evaluate(tmp_path, examples, models["classes"], label="species", metrics=names, confidence_intervals=method)
    metrics = {name: values["candidate"] for name, values in outputs["evaluation"].summary()["slices"][0]["metrics"].items()}
    assert metrics.keys() >= {"accuracy", "macro_recall", "recall of Gentoo", "roc_auc of Gentoo", "log_loss"}
    assert all(found["lower"] < found["value"] < found["upper"] for name, found in metrics.items() if name != "expected_calibration_error")
    assert all(found["upper"] - found["lower"] < 0.2 for name, found in metrics.items() if name != "log_loss")
    gentoos = int((SPECIES_IDS == 2).sum())
    for name, rows in (("accuracy", ROWS), ("recall of Gentoo", gentoos)):
        share = metrics[name]["value"]
        error = (metrics[name]["upper"] - metrics[name]["lower"]) / (2 * 2.093)  # the t-distribution with 19 degrees of freedom
        assert error == pytest.approx(math.sqrt(share * (1 - share) / rows), rel=0.6)


def test_thresholds_hold_on_classes_and_slices(examples: Examples, models: dict[str, Model], tmp_path: Path) -> None:
    thresholds = (
        Threshold("Recall", class_="Gentoo", at_least=0.5, slices=((), ("payment=Cash",))),
        Threshold("Precision", class_="*", at_least=0.99),
        Threshold("F1Score", at_least=0.999),
        Threshold("TopKAccuracy(k=2)", at_least=0.5, not_worse_than_baseline_by=0.01),
    )
    outputs = evaluate(tmp_path, examples, models["classes"], models["nameless"], label="species_id", thresholds=thresholds)
    checks = outputs["blessing"].summary()["checks"]
    assert sorted((check["metric"], check["slice"], check["passed"]) for check in checks) == [
        ("macro_f1_score", "all rows", False),
        *((f"precision of {species}", "all rows", False) for species in SPECIES),
        ("recall of Gentoo", "all rows", True),
        ("recall of Gentoo", "payment=Cash", True),
        ("top_2_accuracy", "all rows", True),
        ("top_2_accuracy", "all rows", True),
    ]
    assert any(
        reason.startswith("precision of Adelie on all rows is 0.") and reason.endswith("; it must be at least 0.99.")
        for reason in outputs["blessing"].summary()["reasons"]
    )
    import tensorflow_model_analysis as tfma

    assert tfma.load_validation_result(str(outputs["evaluation"].path)).validation_ok is False


def test_thresholds_hold_on_steps(examples: Examples, models: dict[str, Model], tmp_path: Path) -> None:
    thresholds = (Threshold("MeanAbsoluteError", step=3, at_most=0.01), Threshold("RootMeanSquaredError", step="*", at_most=50))
    outputs = evaluate(tmp_path, examples, models["forecast"], label="horizon", thresholds=thresholds)
    checks = {(check["metric"], check["passed"]) for check in outputs["blessing"].summary()["checks"]}
    assert checks == {
        ("mean_absolute_error at step 3", False),
        *((f"root_mean_squared_error at step {step}", True) for step in (1, 2, 3)),
    }


@pytest.mark.parametrize(
    ("model", "label", "metrics", "message"),
    [
        (
            "classes",
            "species",
            ("Recall(class_='Gento')",),
            r"The model has no class 'Gento'. Did you mean 'Gentoo'\?",
        ),
        ("classes", "species", ("Recall(class_=3)",), "The model has no class '3'"),
        (
            "classes",
            "species",
            "regression",
            "metrics='regression' needs a model that predicts one number.*1 label and 3 values of 'scores'",
        ),
        ("linear", "amount", ("ROCAUC",), "ROCAUC is a metric of a classification. By its first rows the model is a regression"),
        ("linear", "amount", ("MeanAbsoluteError(step=2)",), "is of a step of a forecast. By its first rows the model is a regression"),
        ("classes", "species", ("MeanError",), "MeanError is a metric of a regression or a forecast"),
        ("forecast", "horizon", ("MeanAbsoluteError(step=4)",), "there is no step 4. The forecast has 3 steps"),
        ("logits", "species_id", "classification", r"must be probabilities from 0 to 1. Received: -.*"),
        ("linear", "horizon", "forecast", "metrics='forecast' needs a model that predicts as many numbers as the label has"),
    ],
)
def test_what_a_metric_cannot_be_of_is_named(
    model: str, label: str, metrics: Any, message: str, examples: Examples, models: dict[str, Model], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        evaluate(tmp_path, examples, models[model], label=label, metrics=metrics)


def test_a_model_of_logits_is_still_judged_by_metrics_that_take_them(examples: Examples, models: dict[str, Model], tmp_path: Path) -> None:
    outputs = evaluate(tmp_path, examples, models["logits"], label="species_id", metrics=("SparseCategoricalAccuracy",))
    predicted = np.stack([-X1, X2, X1], axis=1).argmax(axis=1)
    assert values_of(outputs)["all rows"]["sparse_categorical_accuracy"] == pytest.approx(np.mean(predicted == SPECIES_IDS))
    assert outputs["evaluation"].summary()["task"] == "other"


def test_a_class_that_a_slice_lacks_spoils_no_average(models: dict[str, Model], tmp_path: Path) -> None:
    rows = SPECIES_IDS != 1
    columns: dict[str, Any] = {name: [value for value, kept in zip(values, rows, strict=True) if kept] for name, values in COLUMNS.items()}
    columns |= {name: np.array(columns[name]) for name in ("x1", "x2", "payment", "importance", "tip", "amount", "species", "species_id")}
    names = ("Recall", "ROCAUC", "Precision")
    outputs = evaluate(tmp_path, make_examples(tmp_path / "examples", columns), models["classes"], label="species", metrics=names)
    found, truth, scores = values_of(outputs)["all rows"], SPECIES_IDS[rows], class_scores()[rows]
    assert math.isnan(found["roc_auc of Chinstrap"])
    areas = [sklearn.roc_auc_score(truth == number, scores[:, number]) for number in (0, 2)]
    assert found["macro_roc_auc"] == close(np.mean(areas))
    expected = sklearn.precision_recall_fscore_support(truth, scores.argmax(axis=1), average="macro", zero_division=0)
    assert (found["macro_precision"], found["macro_recall"]) == close(expected[:2])


@pytest.mark.parametrize("label", ["species", "species_id"])
def test_classes_of_the_baseline_are_matched_by_name(label: str, examples: Examples, models: dict[str, Model], tmp_path: Path) -> None:
    def shuffled(x1: Any, x2: Any) -> dict[str, Any]:
        import tensorflow as tf

        outputs = softmax(1.5, classes=True)(x1, x2)
        return {"scores": tf.gather(outputs["scores"], [2, 0, 1], axis=1), "classes": tf.gather(outputs["classes"], [2, 0, 1], axis=1)}

    def numbered(features: dict[str, Any]) -> dict[str, Any]:
        import tensorflow as tf

        names = tf.constant([SPECIES[place] for place in (2, 0, 1)])
        return {"species_id": tf.argmax(tf.equal(features["species"][:, None], names[None, :]), axis=1)}

    baseline = save_model(tmp_path / "shuffled", shuffled, numbered)
    names = ("Recall(class_='*')", "ROCAUC(class_='Gentoo')", "Accuracy")
    outputs = evaluate(tmp_path, examples, models["classes"], baseline, label=label, metrics=names, slices=("payment",))
    for found in outputs["evaluation"].summary()["slices"]:
        for values in found["metrics"].values():
            assert values["baseline"]["value"] == pytest.approx(values["candidate"]["value"], abs=1e-6)
    plots = outputs["evaluation"].summary()["plots"]
    assert plots["baseline"]["confusion"] == plots["candidate"]["confusion"]


def test_a_class_that_the_baseline_does_not_know_is_its_mistake(examples: Examples, models: dict[str, Model], tmp_path: Path) -> None:
    def two_of_three(x1: Any, x2: Any) -> dict[str, Any]:
        import tensorflow as tf

        scores = softmax(1.5, classes=True)(x1, x2)["scores"]
        names = tf.repeat(tf.constant([["Gentoo", "Adelie"]]), tf.shape(x1)[0], axis=0)
        return {"scores": tf.gather(scores, [2, 0], axis=1), "classes": names}

    baseline = save_model(tmp_path / "two", two_of_three)
    outputs = evaluate(tmp_path, examples, models["classes"], baseline, label="species", metrics=("Recall(class_='*')", "Accuracy"))
    metrics = outputs["evaluation"].summary()["slices"][0]["metrics"]
    predicted = np.where(class_scores()[:, 2] > class_scores()[:, 0], 2, 0)
    assert metrics["accuracy"]["baseline"]["value"] == close(np.mean(predicted == SPECIES_IDS))
    assert metrics["recall of Chinstrap"]["baseline"]["value"] == 0.0
    assert metrics["recall of Gentoo"]["baseline"]["value"] == close(np.mean(predicted[SPECIES_IDS == 2] == 2))
