"""Numbers and curves from tallies: of a confusion matrix, of scores, of a calibration, of errors. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

NAN = float("nan")
CLASS_MEASURES = ("precision", "recall", "specificity", "negative_predictive_value", "f1_score")


def class_measures(matrix: Floats, measure: str) -> Floats:
    """Returns a measure of each class, one class against the rest, `(classes,)`.

    As in scikit-learn precision, recall and F1 are 0 for a class that occurs and is never right; they are not a number for one that is
    neither true nor predicted in any row. Specificity and negative predictive value are not a number where there is no row to judge.

    Args:
        matrix: Rows by true and predicted class.
        measure: One of `CLASS_MEASURES`.
    """
    right, true, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    neither = matrix.sum() - true - predicted + right
    parts = {
        "precision": (right, predicted),
        "recall": (right, true),
        "f1_score": (2 * right, true + predicted),
        "specificity": (neither, matrix.sum() - true),
        "negative_predictive_value": (neither, matrix.sum() - predicted),
    }
    share, whole = parts[measure]
    values = np.divide(share, whole, out=np.full(len(matrix), NAN), where=whole > 0)
    if measure in ("precision", "recall"):
        values[(whole <= 0) & (true + predicted > 0)] = 0.0
    return values


def average(values: Floats, matrix: Floats, kind: str) -> float:
    """Returns the `macro` or (by true rows) `weighted` mean of the classes for which a measure is defined."""
    weights = matrix.sum(axis=1) if kind == "weighted" else np.ones(len(values))
    return weighted_mean(values, weights)


def weighted_mean(values: Floats, weights: Floats) -> float:
    """Returns the mean of the values that are numbers; not a number without any."""
    defined = ~np.isnan(values)
    total = float(weights[defined].sum())
    return float((values[defined] * weights[defined]).sum() / total) if total else NAN


def pooled_measure(matrix: Floats, measure: str) -> float:
    """Returns the `micro` average: of the counts of all classes, each against the rest."""
    total, right = float(matrix.sum()), float(matrix.trace())
    if not total:
        return NAN
    negatives = (len(matrix) - 1) * total
    return (negatives - total + right) / negatives if measure in ("specificity", "negative_predictive_value") else right / total


@dataclass(frozen=True)
class Ranking:
    """Rows by score, highest first.

    Attributes:
        positives: Sum of the positive rows with at least this score, ending with all.
        negatives: Likewise of the negative ones.
    """

    positives: Floats
    negatives: Floats

    @classmethod
    def of(cls, sums: Floats) -> Ranking:
        """Returns the ranking of a tally of scores, `(buckets, 2)`, by ascending score."""
        falling = sums[sums[:, 1] > 0][::-1]  # rows of weight 0, or that a sample leaves out, have no precision
        return cls(np.cumsum(falling[:, 0]), np.cumsum(falling[:, 1] - falling[:, 0]))

    @property
    def defined(self) -> bool:
        """Whether there are positive and negative rows."""
        return bool(len(self.positives) and self.positives[-1] > 0 and self.negatives[-1] > 0)

    def roc(self) -> tuple[Floats, Floats]:
        """Returns false and true positive rates, from (0, 0) to (1, 1)."""
        rates = [np.concatenate([[0.0], part / part[-1]]) for part in (self.negatives, self.positives)]
        return rates[0], rates[1]

    def precision_recall(self) -> tuple[Floats, Floats]:
        """Returns recall, ascending from 0, and precision."""
        precision = self.positives / (self.positives + self.negatives)
        return np.concatenate([[0.0], self.positives / self.positives[-1]]), np.concatenate([[1.0], precision])

    def roc_area(self) -> float:
        """Returns the area below the ROC curve, by the trapezoidal rule."""
        if not self.defined:
            return NAN
        false, true = self.roc()
        return float(np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2))

    def average_precision(self) -> float:
        """Returns the mean of the precisions, each weighed by the rise of recall, as scikit-learn's `average_precision_score`."""
        if not len(self.positives) or self.positives[-1] <= 0:
            return NAN
        recall, precision = self.precision_recall()
        return float(np.sum(np.diff(recall) * precision[1:]))


def calibration_error(sums: Floats) -> float:
    """Returns the expected calibration error: the mean distance of what came true from what was predicted, over all rows."""
    total = sums[:, 2].sum()
    return float(abs(sums[:, 0] - sums[:, 1]).sum() / total) if total else NAN


def errors_measure(sums: Floats, measure: str) -> float:
    """Returns a metric of the sums that `tally.Errors` takes, `(8,)`."""
    weight, first, second, squares, absolute, plain, nonzero, shares = sums.tolist()
    if not weight:
        return NAN
    if measure == "r2_score":
        spread = second - first * first / weight
        return float(1.0 - squares / spread) if spread > 0 else NAN
    if measure == "mean_absolute_percentage_error":
        return float(100.0 * shares / nonzero) if nonzero else NAN
    values = {
        "mean_absolute_error": absolute / weight,
        "mean_squared_error": squares / weight,
        "root_mean_squared_error": (squares / weight) ** 0.5,
        "mean_error": plain / weight,
    }
    return float(values[measure])


def thinned(x: Floats, y: Floats, points: int) -> tuple[list[float], list[float]]:
    """Returns at most `points` points of a curve, evenly spaced along it, the first and the last among them."""
    if len(x) > points:
        along = np.concatenate([[0.0], np.cumsum(abs(np.diff(x)) + abs(np.diff(y)))])
        kept = np.unique(np.searchsorted(along, np.linspace(0.0, along[-1], points)).clip(0, len(x) - 1))
        kept = np.union1d(kept[: points - 1], [len(x) - 1])[-points:]
        x, y = x[kept], y[kept]
    return [round(float(value), 6) for value in x], [round(float(value), 6) for value in y]
