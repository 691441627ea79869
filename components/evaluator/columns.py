"""TFMA's metric computations over many rows at once.

TFMA adds row after row in Python. For the combiners below the same sums are taken over columns: what a row adds is a row of a
matrix, a slice is the sum of its rows, and TFMA's own combiner makes the metric from the sums. Whatever is not listed here is left
to TFMA. Combiners are known by their class name, since TFMA keeps them private.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from components.evaluator.rows import Rows
from components.evaluator.tally import Buckets, Tally
from pipeline.errors import DataError

Matrix = npt.NDArray[np.float64]

Metrics = dict[Any, Any]
"""Values by TFMA's `MetricKey`."""


@dataclass(frozen=True)
class Sums:
    """A computation whose result depends on sums over rows only.

    Attributes:
        width: Number of sums.
        columns: Returns what each row adds, `(rows, width)`.
        result: Returns the metrics of some sums.
    """

    width: int
    columns: Callable[[Rows], Matrix]
    result: Callable[[Matrix], Metrics]


@dataclass(frozen=True)
class Histogram:
    """A computation whose result depends on sums per bucket.

    Attributes:
        key: Its key.
        width: Number of sums per bucket.
        entries: Returns the bucket of each row and what it adds, `(rows,)` and `(rows, width)`; of several values per row
            `(rows, values)` and `(rows, values, width)`.
        value: Returns what the metrics that follow take for it.
        limit: How many buckets there may be; see `Buckets`.
    """

    key: Any
    width: int
    entries: Callable[[Rows], tuple[npt.NDArray[np.int64], Matrix]]
    value: Callable[[Buckets], Any]
    limit: int | None = None


def vectorise(combiner: Any, models: Mapping[str, int]) -> Sums | Histogram | None:
    """Returns a combiner's computation over columns; None if it is not known, or has options that are left to TFMA."""
    build = _KNOWN.get(type(combiner).__name__)
    if build is None or any(getattr(combiner, option, None) for option in _LEFT_TO_TFMA):
        return None
    key = _key_of(combiner)
    if key is not None and (key.output_name or (key.sub_key and key.sub_key.class_id is None)):
        return None
    name = key.model_name if key is not None else combiner._model_name
    return build(combiner, models[name])


_LEFT_TO_TFMA = ("_aggregation_type", "_class_weights", "_example_id_key", "_sub_key")


def _key_of(combiner: Any) -> Any | None:
    return getattr(combiner, "_key", None) or getattr(combiner, "_metric_key", None)


def _pair(rows: Rows, model: int, combiner: Any) -> tuple[Matrix, Matrix, Matrix]:
    """Returns labels, predictions and weights of a model, `(rows,)` each; of one class or value of a row if the key says so."""
    labels, predictions = rows.labels[model], rows.predictions[model]
    sub_key = getattr(_key_of(combiner), "sub_key", None)
    if sub_key:
        labels, predictions = _of_class(labels, predictions, sub_key.class_id)
    if labels.ndim != 1 or predictions.ndim != 1:
        raise DataError(
            f"The metric needs one label and one prediction per row. Received: {labels[0].size} and {predictions[0].size} values per row.",
            hint="For several classes ask for SparseCategoricalAccuracy, or name metrics with their options in eval_config.",
        )
    return labels.astype(np.float64), predictions.astype(np.float64), _weights(rows, combiner._example_weighted)


def _of_class(labels: Any, predictions: Any, class_id: int) -> tuple[Any, Any]:
    """Returns the label and the prediction of one class; a label that is the number of a class becomes 1 or 0."""
    predictions = predictions.reshape(len(predictions), -1)
    if not 0 <= class_id < predictions.shape[1]:
        raise DataError(f"The metric is of class or step {class_id}. Expected one from 0 to {predictions.shape[1] - 1}.")
    if labels.ndim == 1 and predictions.shape[1] > 1:
        return labels == class_id, predictions[:, class_id]
    return labels.reshape(len(labels), -1)[:, class_id], predictions[:, class_id]


def _weights(rows: Rows, weighted: bool) -> Matrix:
    return rows.weights if weighted and rows.weights is not None else np.ones(rows.count)


def _count(combiner: Any, model: int) -> Sums:
    def columns(rows: Rows) -> Matrix:
        return _weights(rows, combiner._example_weighted)[:, None]

    return Sums(1, columns, lambda sums: combiner.extract_output(float(sums[0])))


def _weighted_means(combiner: Any, model: int) -> Sums:
    def columns(rows: Rows) -> Matrix:
        labels, predictions, weights = _pair(rows, model, combiner)
        return np.stack([labels * weights, predictions * weights, weights], axis=1)

    def result(sums: Matrix) -> Metrics:
        total = combiner.create_accumulator()
        total.total_weighted_labels, total.total_weighted_predictions, total.total_weighted_examples = sums.tolist()
        return combiner.extract_output(total)  # type: ignore[no-any-return]

    return Sums(3, columns, result)


def _regression(error: Callable[[Matrix, Matrix], Matrix]) -> Callable[[Any, int], Sums]:
    def build(combiner: Any, model: int) -> Sums:
        def columns(rows: Rows) -> Matrix:
            labels, predictions, weights = _pair(rows, model, combiner)
            with np.errstate(all="ignore"):
                errors = error(labels, predictions)
            defined = ~np.isnan(errors)
            return np.stack([np.where(defined, errors, 0.0) * weights, weights * defined], axis=1)

        def result(sums: Matrix) -> Metrics:
            total = combiner.create_accumulator()
            total.total_regression_error, total.total_example_weights = sums.tolist()
            return combiner.extract_output(total)  # type: ignore[no-any-return]

        return Sums(2, columns, result)

    return build


def _moments(combiner: Any, model: int) -> Sums:
    """Sums of powers of the label's distance from a value near its mean, so that no digits are lost; see `tfma_metrics.Moments`."""

    def columns(rows: Rows) -> Matrix:
        labels, predictions, weights = _pair(rows, model, combiner)
        distances = labels - rows.origins[model]
        return np.stack([weights, weights * distances, weights * distances**2, weights * (predictions - labels) ** 2], axis=1)

    def result(sums: Matrix) -> Metrics:
        weight, first, second, error = sums.tolist()
        total = combiner.create_accumulator()
        if weight:
            total.weight, total.error = weight, error
            total.spread = max(0.0, second - first * first / weight)
        return combiner.extract_output(total)  # type: ignore[no-any-return]

    return Sums(4, columns, result)


def _confusion(combiner: Any, model: int) -> Sums:
    from tensorflow_model_analysis.contrib.aggregates import binary_confusion_matrices as aggregates

    engine = combiner._binary_confusion_matrices
    thresholds = list(engine._thresholds)
    fractional = combiner._enable_fractional_labels

    def columns(rows: Rows) -> Matrix:
        labels, predictions, weights = _pair(rows, model, combiner)
        if fractional:
            _check_fractions(labels)
        parts = []
        for threshold in thresholds:
            true = labels if fractional else labels > threshold
            positive = predictions > threshold
            parts += [true * positive, (1 - true) * ~positive, (1 - true) * positive, true * ~positive]
        weighted: Matrix = np.stack(parts, axis=1) * weights[:, None]
        return weighted

    def result(sums: Matrix) -> Metrics:
        matrices = combiner.create_accumulator()
        for threshold, entry in zip(thresholds, sums.reshape(-1, 4).tolist(), strict=True):
            matrices[threshold] = aggregates._ThresholdEntry(aggregates.Matrix(*entry), [], [], [], [])
        return combiner.extract_output(matrices)  # type: ignore[no-any-return]

    return Sums(4 * len(thresholds), columns, result)


def _check_fractions(labels: Matrix) -> None:
    if len(labels) and (labels.min() < 0 or labels.max() > 1):
        raise DataError(f"The metric needs labels from 0 to 1. Received: {labels.min():g} to {labels.max():g}.")


def _keras(combiner: Any, model: int) -> Sums | None:
    """Means of a function of label and prediction, as most Keras metrics are."""
    from tensorflow_model_analysis.metrics import metric_types
    from tensorflow_model_analysis.utils.keras_lib import tf_keras

    if combiner._output_names != [""]:
        return None
    combiner.setup()
    metrics = combiner._metrics[""]
    if not all(isinstance(metric, tf_keras.metrics.MeanMetricWrapper) for metric in metrics):
        return None
    names = [type(metric).__name__ for metric in metrics]
    keys = [
        metric_types.MetricKey(name=metric.name, model_name=combiner._model_name, example_weighted=combiner._example_weighted)
        for metric in metrics
    ]

    def columns(rows: Rows) -> Matrix:
        pair = [values.astype(np.float32).reshape(rows.count, -1) for values in (rows.labels[model], rows.predictions[model])]
        _check_widths(pair[0].shape[1], pair[1].shape[1], names)
        weights = _weights(rows, combiner._example_weighted)
        found = (np.asarray(metric._fn(*pair, **metric._fn_kwargs)).reshape(rows.count, -1).mean(axis=1) for metric in metrics)
        return np.stack([*(values * weights for values in found), weights], axis=1)

    def result(sums: Matrix) -> Metrics:
        *totals, weight = sums.tolist()
        return {key: np.float64(total / weight if weight else 0.0) for key, total in zip(keys, totals, strict=True)}

    return Sums(len(metrics) + 1, columns, result)


def _check_widths(labels: int, predictions: int, metrics: list[str]) -> None:
    """Raises an error where Keras would compare what cannot be compared."""
    received = f"Received: {labels} and {predictions}."
    for name in metrics:
        if name.startswith("Sparse") and (labels != 1 or predictions == 1):
            hint = "A single prediction per row is judged by BinaryAccuracy and the like."
            raise DataError(f"{name} needs one label, and a prediction per class, in each row. {received}", hint=hint)
        if not name.startswith("Sparse") and labels != predictions:
            hint = "A label that is the number of a class is judged by SparseCategoricalAccuracy and the like."
            raise DataError(f"{name} needs as many labels as predictions in each row. {received}", hint=hint)


def _histogram(combiner: Any, model: int) -> Histogram:
    last = combiner._num_buckets + 1

    def entries(rows: Rows) -> tuple[npt.NDArray[np.int64], Matrix]:
        labels, predictions, weights = _pair(rows, model, combiner)
        if combiner._fractional_labels:
            _check_fractions(labels)
        values = predictions if combiner._prediction_based_bucketing else labels
        places = (np.nan_to_num(values, nan=0.0) - combiner._left) / combiner._range * combiner._num_buckets + 1
        weighted: Matrix = np.stack([labels, predictions, np.ones(rows.count)], axis=1) * weights[:, None]
        return np.clip(places, 0, last).astype(np.int64), weighted

    def value(buckets: Buckets) -> list[Any]:
        from tensorflow_model_analysis.metrics.calibration_histogram import Bucket

        return [Bucket(number, *values) for number, values in zip(buckets.ids.tolist(), buckets.sums[0].tolist(), strict=True)]

    return Histogram(combiner._key, 3, entries, value)


def _class_matrices(combiner: Any, model: int) -> Histogram | None:
    """TFMA's confusion matrices of several classes, at thresholds below which no class is predicted."""
    thresholds = combiner._thresholds
    if sorted(thresholds) != list(thresholds):
        return None

    def entries(rows: Rows) -> tuple[npt.NDArray[np.int64], Matrix]:
        labels, scores = rows.labels[model], rows.predictions[model]
        if scores.ndim != 2:
            raise DataError("The metric needs a score for each of several classes. Received: one prediction per row.")
        truth = (labels if labels.ndim == 1 else labels.argmax(axis=1)).astype(np.int64)
        best = scores.argmax(axis=1)
        below = scores[np.arange(rows.count), best][:, None] <= np.array(thresholds)
        ids = (np.arange(len(thresholds)) << 2 * _CLASS_BITS) + (truth[:, None] << _CLASS_BITS) + np.where(below, 0, best[:, None] + 1)
        weights = _weights(rows, combiner._example_weighted)
        return ids, np.broadcast_to(weights[:, None, None], (*ids.shape, 1))

    def value(buckets: Buckets) -> Any:
        from tensorflow_model_analysis.metrics import multi_class_confusion_matrix_metrics as tfma

        matrices = tfma.Matrices()
        for number, (count,) in zip(buckets.ids.tolist(), buckets.sums[0].tolist(), strict=True):
            place, truth, predicted = number >> 2 * _CLASS_BITS, number >> _CLASS_BITS & _CLASS_MASK, number & _CLASS_MASK
            matrices.setdefault(thresholds[place], {})[tfma.MatrixEntryKey(truth, predicted - 1)] = count
        return matrices

    return Histogram(combiner._key, 1, entries, value)


_CLASS_BITS = 20
_CLASS_MASK = (1 << _CLASS_BITS) - 1


def _tally(combiner: Any, model: int) -> Histogram:
    return tally_histogram(combiner._key, combiner.tally, model)


def tally_histogram(key: Any, tally: Tally, model: int) -> Histogram:
    """Returns the computation of a tally; `key` tells whether rows are weighted."""

    def entries(rows: Rows) -> tuple[npt.NDArray[np.int64], Matrix]:
        return tally.entries(rows.labels[model], rows.predictions[model], _weights(rows, key.example_weighted), rows.origins[model])

    return Histogram(key, tally.width, entries, lambda buckets: buckets, tally.limit)


_KNOWN: Mapping[str, Callable[[Any, int], Sums | Histogram | None]] = {
    "_ExampleCountCombiner": _count,
    "_WeightedLabelsPredictionsExamplesCombiner": _weighted_means,
    "_MeanAbsoluteErrorCombiner": _regression(lambda labels, predictions: abs(labels - predictions)),
    "_MeanSquaredErrorCombiner": _regression(lambda labels, predictions: (labels - predictions) ** 2),
    "_MeanAbsolutePercentageErrorCombiner": _regression(
        lambda labels, predictions: np.where(labels == 0, np.nan, 100 * abs((labels - predictions) / labels))
    ),
    "_MeanSquaredLogarithmicErrorCombiner": _regression(lambda labels, predictions: (np.log(labels + 1) - np.log(predictions + 1)) ** 2),
    "MomentsCombiner": _moments,
    "_BinaryConfusionMatrixCombiner": _confusion,
    "_CompilableMetricsCombiner": _keras,
    "_CalibrationHistogramCombiner": _histogram,
    "_MultiClassConfusionMatrixCombiner": _class_matrices,
    "TallyCombiner": _tally,
}
