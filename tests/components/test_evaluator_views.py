"""What an evaluation keeps besides its metrics: plots, pictures, and the rows to look at."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from sklearn import metrics as sklearn

from components.evaluator import Evaluator, rows, worst
from components.records import read_records, shard_files
from pipeline.artifacts import Examples, Model
from tests.components.evaluator_data import SPECIES, linear, logistic, make_columns, make_examples, save_model, softmax
from tests.harness import Outputs, run

pytestmark = pytest.mark.tensorflow

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas/summaries/ModelEvaluation.json").read_text())
ROWS = 300
COLUMNS = make_columns(ROWS)
X1, X2 = COLUMNS["x1"], COLUMNS["x2"]
TRUTH = np.array([SPECIES.index(name) for name in COLUMNS["species"]])
JPEG, WAV = b"\xff\xd8\xff\xe0 a picture", b"RIFF\x10\0\0\0WAVEfmt a sound"
COLUMNS |= {
    "name": np.array([f"row-{number:03d}" for number in range(ROWS)]),
    "long": np.array(["x" * 400] * ROWS),
    "horizon": [[float(x), float(x) + 1] for x in X1],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluator")


@pytest.fixture(scope="module")
def examples(folder: Path) -> Examples:
    return make_examples(folder / "examples", COLUMNS)


@pytest.fixture(scope="module")
def models(folder: Path) -> dict[str, Model]:
    def pair(x1: Any, x2: Any) -> dict[str, Any]:
        import tensorflow as tf

        return {"outputs": tf.stack([x1 + 0.5, x1 + x2], axis=1)}

    def nan_for_large(x1: Any, x2: Any) -> dict[str, Any]:
        import tensorflow as tf

        return {"outputs": tf.where(x1 > 2, float("nan"), tf.sigmoid(x1))}

    return {
        "binary": save_model(folder / "binary", logistic(1.0, -0.5)),
        "poor": save_model(folder / "poor", logistic(0.2, 0.3)),
        "nan": save_model(folder / "nan", nan_for_large),
        "classes": save_model(folder / "classes", softmax(1.5, classes=True)),
        "linear": save_model(folder / "linear", linear(19, -9)),
        "forecast": save_model(folder / "forecast", pair),
    }


def evaluate(tmp_path: Path, examples: Examples, model: Model, baseline: Model | None = None, **parameters: Any) -> Outputs:
    inputs = {"examples": examples, "model": model} | ({} if baseline is None else {"baseline_model": baseline})
    outputs = run(Evaluator, tmp_path, inputs=inputs, **({"pictures": False} | parameters))
    jsonschema.validate(outputs["evaluation"].summary(), SCHEMA)
    assert not (outputs["evaluation"].path / "views.json").exists()
    return outputs


def class_scores() -> Any:
    score = X1 - np.float32(0.5) * X2
    powers = np.exp(np.stack([-score, np.float32(0.3) - score * score, score], axis=1) * np.float32(1.5))
    return powers / powers.sum(axis=1, keepdims=True)


def test_rows_of_the_confusion_matrix_are_the_truth(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    summary = evaluate(tmp_path, examples, models["classes"], label="species", metrics=("Accuracy",))["evaluation"].summary()
    assert (summary["task"], summary["classes"], summary["steps"]) == ("classes", list(SPECIES), None)
    confusion = summary["plots"]["candidate"]["confusion"]
    assert confusion["classes"] == list(SPECIES)
    assert confusion["rows"] == sklearn.confusion_matrix(TRUTH, class_scores().argmax(axis=1)).tolist()


def test_curves_have_the_areas_of_all_scores(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    plots = evaluate(tmp_path, examples, models["classes"], label="species", metrics=("Accuracy",))["evaluation"].summary()["plots"]
    scores, hot = class_scores(), np.eye(3)[TRUTH]
    roc = {curve["name"]: curve for curve in plots["candidate"]["roc"]}
    assert list(roc) == ["macro average", "micro average", *SPECIES]
    for number, species in enumerate(SPECIES):
        assert roc[species]["area"] == pytest.approx(sklearn.roc_auc_score(hot[:, number], scores[:, number]), rel=1e-5)
    assert roc["micro average"]["area"] == pytest.approx(sklearn.roc_auc_score(hot, scores, average="micro"), rel=1e-5)
    for curve in roc.values():
        drawn = np.trapezoid if hasattr(np, "trapezoid") else np.trapz  # the name in NumPy 1
        assert drawn(curve["true_positive_rate"], curve["false_positive_rate"]) == pytest.approx(curve["area"], abs=0.01)
    recall = {curve["name"]: curve for curve in plots["candidate"]["precision_recall"]}
    expected = sklearn.average_precision_score(hot, scores, average="macro")
    assert recall["macro average"]["area"] == pytest.approx(expected, rel=1e-5)


def test_the_calibration_is_that_of_scikit_learn(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    from sklearn.calibration import calibration_curve

    summary = evaluate(tmp_path, examples, models["binary"], models["poor"], label="tip", metrics=("Accuracy",))["evaluation"].summary()
    assert summary["plots"].keys() == {"candidate", "baseline"}
    for role, (first, second) in {"candidate": (1.0, -0.5), "baseline": (0.2, 0.3)}.items():
        scores = 1 / (1 + np.exp(-(first * X1 + second * X2).astype(np.float64)))
        observed, predicted = calibration_curve(COLUMNS["tip"], scores, n_bins=15)
        found = summary["plots"][role]["calibration"]
        assert (found["of"], sum(found["rows"])) == ("1", ROWS)
        assert found["predicted"] == pytest.approx(predicted, rel=1e-4)
        assert found["observed"] == pytest.approx(observed, rel=1e-4)


def test_residuals_are_counted_and_grouped_by_prediction(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    outputs = evaluate(tmp_path, examples, models["linear"], label="amount", metrics="regression")
    plots = outputs["evaluation"].summary()["plots"]["candidate"]
    residuals = (COLUMNS["amount"] - (100 + 19 * X1 - 9 * X2)).astype(np.float64)
    found = plots["residuals"]
    assert sum(found["rows"]) == ROWS
    inside = np.histogram(residuals, np.array(found["edges"]))[0]
    assert np.abs(np.array(found["rows"][1:-1]) - inside[1:-1]).sum() <= 2  # the edges are rounded
    groups = plots["by_prediction"]
    assert sum(groups["rows"]) == ROWS and len(groups["rows"]) == 20
    assert groups["prediction"] == sorted(groups["prediction"])
    assert np.average(groups["residual"], weights=groups["rows"]) == pytest.approx(residuals.mean(), rel=1e-4)


def test_errors_are_shown_by_step(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    summary = evaluate(tmp_path, examples, models["forecast"], label="horizon", metrics="forecast")["evaluation"].summary()
    assert (summary["task"], summary["steps"]) == ("forecast", 2)
    steps = summary["plots"]["candidate"]["by_step"]
    assert steps["step"] == [1, 2]
    assert steps["mean_residual"] == pytest.approx([-0.5, float((1 - X2).mean())], rel=1e-4)
    assert steps["mean_absolute_error"] == pytest.approx([0.5, float(abs(1 - X2).mean())], rel=1e-4)
    step = summary["slices"][0]["metrics"]["mean_absolute_error at step 2"]
    assert (step["metric"], step["step"]) == ("mean_absolute_error", 2)


def test_pictures_are_drawn_and_named(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    from matplotlib.image import imread

    outputs = evaluate(tmp_path, examples, models["binary"], models["poor"], label="tip", metrics=("Accuracy",), pictures=True)
    forecast = evaluate(tmp_path, examples, models["forecast"], label="horizon", metrics="forecast", pictures=True)
    for found, plots in (
        (outputs, ["confusion", "roc", "precision_recall", "calibration"]),
        (forecast, ["residuals", "by_prediction", "by_step"]),
    ):
        pictures = found["evaluation"].summary()["pictures"]
        assert [picture["plot"] for picture in pictures] == plots
        for picture in pictures:
            pixels = imread(found["evaluation"].path / picture["file"])
            assert pixels.shape[:2] == (480, 640)
            assert len(np.unique(pixels[:, :, 0])) > 20


def test_tfma_loads_the_plots_of_a_bundle(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    import tensorflow_model_analysis as tfma

    arguments = {"classes": ("species", "classification"), "linear": ("amount", "regression"), "binary": ("tip", "classification")}
    keys = {}
    for name, (label, metrics) in arguments.items():
        outputs = evaluate(tmp_path, examples, models[name], label=label, metrics=metrics)
        ((_, plots),) = tfma.load_eval_result(str(outputs["evaluation"].path)).plots
        keys[name] = set(plots[""][""])
    assert keys == {
        "classes": {"multiClassConfusionMatrixAtThresholds"},
        "linear": {"calibrationHistogramBuckets"},
        "binary": {"confusionMatrixAtThresholds", "calibrationHistogramBuckets"},
    }


def test_the_worst_rows_are_those_with_the_highest_loss(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    outputs = evaluate(tmp_path, examples, models["classes"], label="species", metrics=("Accuracy",), key="name", worst_examples=7)
    found, scores = outputs["evaluation"].summary()["worst"], class_scores()
    losses, predicted = -np.log(scores[np.arange(ROWS), TRUTH]), scores.argmax(axis=1)
    assert found["measure"] == "log loss"
    assert [row["key"] for row in found["loss"]] == [f"row-{number:03d}" for number in np.argsort(-losses)[:7]]
    assert [row["loss"] for row in found["loss"]] == pytest.approx(sorted(losses)[::-1][:7], rel=1e-4)
    sure = np.where(predicted != TRUTH, scores.max(axis=1), 0)
    assert [row["key"] for row in found["mistakes"]] == [f"row-{number:03d}" for number in np.argsort(-sure)[:7]]
    first, number = found["mistakes"][0], int(np.argmax(sure))
    assert (first["truth"], first["prediction"]) == (SPECIES[TRUTH[number]], SPECIES[predicted[number]])
    assert first["confidence"] == pytest.approx(sure[number], rel=1e-4)
    assert {score["name"]: score["value"] for score in first["scores"]} == pytest.approx(
        dict(zip(SPECIES, scores[number].tolist(), strict=True)), rel=1e-4
    )
    assert first["features"]["payment"] == [COLUMNS["payment"][number]]
    assert first["features"]["long"] == ["x" * 299 + "…"]


def test_a_row_is_found_again_by_split_file_record_and_digest(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    outputs = evaluate(tmp_path, examples, models["binary"], label="tip", metrics=("Accuracy",), worst_examples=5)
    for row in outputs["evaluation"].summary()["worst"]["loss"]:
        records = [record for batch in read_records(examples.split_path(row["split"]) / row["file"]) for record in batch]
        record = records[row["record"] - 1]
        assert hashlib.sha256(record).hexdigest()[:16] == row["digest"]
        assert row["features"]["name"][0].encode() in record
        assert row["key"] is None


def test_forecasts_show_the_steps_with_the_largest_errors(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    outputs = evaluate(tmp_path, examples, models["forecast"], label="horizon", metrics="forecast", worst_examples=3, key="name")
    found = outputs["evaluation"].summary()["worst"]
    number = int(np.argmax((1 - X2) ** 2))
    first = found["loss"][0]
    assert (found["measure"], first["key"], first["confidence"], found["mistakes"]) == ("squared error", f"row-{number:03d}", None, [])
    assert first["truth"] == pytest.approx([float(X1[number]), float(X1[number]) + 1], rel=1e-4)
    assert [score["name"] for score in first["scores"]] == ["2", "1"]
    assert first["loss"] == pytest.approx((0.25 + (1 - X2[number]) ** 2) / 2, rel=1e-4)


def test_a_prediction_that_is_not_a_number_is_the_worst(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    outputs = evaluate(tmp_path, examples, models["nan"], label="tip", metrics=("Accuracy",), key="name")
    rows = outputs["evaluation"].summary()["worst"]["loss"]
    nan = {f"row-{number:03d}" for number in np.flatnonzero(X1 > 2)}
    assert 0 < len(nan) < 20
    assert {row["key"] for row in rows[: len(nan)]} == nan
    assert {(row["loss"], row["confidence"]) for row in rows[: len(nan)]} == {(None, None)}


def test_pictures_and_sounds_of_the_worst_rows_lie_beside_the_summary(
    tmp_path: Path, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa

    from components.records import write_split
    from tests.components.evaluator_data import _batch

    batch = _batch({name: COLUMNS[name] for name in ("x1", "x2", "tip", "name")})
    for name, data in (("image", JPEG), ("sound", WAV)):
        column = pa.array([[data + bytes([number % 7])] for number in range(ROWS)], pa.large_list(pa.large_binary()))
        batch = pa.RecordBatch.from_arrays([*batch.columns, column], [*batch.schema.names, name])
    examples = Examples(tmp_path / "media")
    (tmp_path / "media").mkdir()
    examples.set_splits(["eval"])
    write_split(examples.split_path("eval"), [batch], shards=1)
    outputs = evaluate(tmp_path, examples, models["binary"], label="tip", metrics=("Accuracy",), worst_examples=4)
    found = outputs["evaluation"].summary()["worst"]
    for row in (*found["loss"], *found["mistakes"]):
        assert row["features"].keys() == {"name", "tip", "x1", "x2"}
        number = int(row["features"]["name"][0].removeprefix("row-"))
        kept = {media["kind"]: (outputs["evaluation"].path / media["file"]).read_bytes() for media in row["media"]}
        assert kept == {"jpeg": JPEG + bytes([number % 7]), "wav": WAV + bytes([number % 7])}
    assert len(list((outputs["evaluation"].path / "worst").iterdir())) == 2 * len(
        {row["digest"] for kind in found.values() if isinstance(kind, list) for row in kind}
    )
    layout = rows.first_rows(shard_files(examples.split_path("eval")), _spec(), str(models["binary"].path / "Format-Serving"), None)[0]
    assert max(batch.count for batch in rows.read_rows(shard_files(examples.split_path("eval"))[0], layout)) <= rows.MEDIA_BATCH_ROWS
    monkeypatch.setattr(worst, "MAX_MEDIA_BYTES_TOGETHER", 2 * len(JPEG) + 3)
    outputs = evaluate(tmp_path, examples, models["binary"], label="tip", metrics=("Accuracy",), worst_examples=4)
    assert len(list((outputs["evaluation"].path / "worst").iterdir())) == 2


def _spec() -> Any:
    from tensorflow_model_analysis.proto import config_pb2

    return config_pb2.ModelSpec(label_key="tip", signature_name="serving_default")


def test_views_are_the_same_however_the_rows_are_read(
    tmp_path: Path, examples: Examples, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    def views() -> dict[str, Any]:
        summary = evaluate(tmp_path, examples, models["classes"], label="species", metrics=("Accuracy",), slices=("payment",))
        return {name: value for name, value in summary["evaluation"].summary().items() if name in ("plots", "worst", "task", "classes")}

    whole = views()
    monkeypatch.setattr("components.evaluator.evaluation.LOCAL_RUNNERS", ())  # so that the local runner is taken for another one
    assert views() == whole
    monkeypatch.undo()
    monkeypatch.setattr("components.evaluator.engine.BLOCK_ROWS", 50)
    monkeypatch.setattr("components.evaluator.rows.BATCH_ROWS", 30)
    pieces = views()
    assert pieces["plots"] == whole["plots"]
    assert [row["digest"] for row in pieces["worst"]["loss"]] == [row["digest"] for row in whole["worst"]["loss"]]


def test_nothing_is_kept_where_nothing_is_asked_for(tmp_path: Path, examples: Examples, models: dict[str, Model]) -> None:
    outputs = evaluate(tmp_path, examples, models["binary"], label="tip", metrics=("Accuracy",), worst_examples=0)
    assert "worst" not in outputs["evaluation"].summary()
    assert {file.suffix for file in outputs["evaluation"].path.rglob("*")} == {".tfrecord", ".json"}


@pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning")
def test_views_are_kept_where_tfma_computes_the_metrics(tmp_path: Path, examples: Examples, models: dict[str, Model], caplog: Any) -> None:
    (tmp_path / "eval.pbtxt").write_text(
        'model_specs { label_key: "tip" } metrics_specs { metrics { class_name: "SquaredPearsonCorrelation" }\n'
        'metrics { class_name: "TopKAccuracy" module: "components.evaluator.tfma_tally_metrics" } }'
    )
    by_tfma = evaluate(tmp_path, examples, models["binary"], eval_config="eval.pbtxt")["evaluation"].summary()
    assert "squared_pearson_correlation is computed row by row" in caplog.text
    ours = evaluate(tmp_path, examples, models["binary"], label="tip", metrics=("Accuracy",))["evaluation"].summary()
    assert (by_tfma["plots"], by_tfma["worst"]) == (ours["plots"], ours["worst"])
    accuracy = ours["slices"][0]["metrics"]["accuracy"]["candidate"]["value"]
    assert by_tfma["slices"][0]["metrics"]["top_k_accuracy"]["candidate"]["value"] == pytest.approx(accuracy, rel=1e-9)
