"""What is counted of the rows for metrics and plots that TensorFlow Model Analysis (TFMA) has not: sums per bucket, on columns.

A tally says to which bucket a row belongs and what it adds there. Buckets of different rows, files and workers merge in any order to the
same result. Scores are kept in buckets by their exact value as long as these are few, and else by their leading bits, so that memory
is bounded and areas under curves are exact where they can be.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError

Vector = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

EXACT_VALUES = 1 << 15
"""So many different scores of a class are told apart in each slice; of more, neighbours share a bucket."""

COARSE_VALUES = 1 << 11
_TRUTH_BITS = 20
_MAX_RANK = 100


@dataclass(frozen=True)
class Buckets:
    """The buckets that occur, and their sums for the rows and for each sample of them.

    Attributes:
        ids: Their numbers, ascending, `(buckets,)`.
        sums: `(1 + samples, buckets, width)`.
        limit: How many there may be; None for any number.
        level: How many of the trailing bits of the numbers are left out to keep the limit.
    """

    ids: Ids
    sums: Floats
    limit: int | None = None
    level: int = 0

    def merged(self, other: Buckets) -> Buckets:
        """Returns the buckets of the rows of both; the level is the lowest that keeps the limit, whatever the order of merging."""
        level = max(self.level, other.level)
        ids = np.concatenate([part.ids >> (level - part.level) for part in (self, other)])
        return _reduced(ids, np.concatenate([self.sums, other.sums], axis=1), self.limit, level)

    def within_limit(self) -> Buckets:
        """Returns the buckets with as many bits left out as the limit asks for."""
        return self if self.limit is None or len(self.ids) <= self.limit else _reduced(self.ids, self.sums, self.limit, self.level)


def _reduced(ids: Ids, sums: Floats, limit: int | None, level: int) -> Buckets:
    """Adds up equal buckets. Sorted once, the numbers stay sorted when bits are left out; runs that are sorted sort in linear time."""
    if not len(ids):
        return Buckets(ids, sums, limit, level)
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    starts = _starts(ids)
    while limit is not None and len(starts) > limit:
        ids, level = ids >> 1, level + 1
        starts = _starts(ids)
    total: Floats = np.add.reduceat(sums[:, order], starts, axis=1)
    return Buckets(ids[starts], total, limit, level)


def _starts(ids: Ids) -> Ids:
    starts: Ids = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    return starts


@dataclass(frozen=True)
class Tally(ABC):
    """What is counted. Labels are `(rows,)` or `(rows, classes or steps)`, predictions likewise, weights `(rows,)`."""

    name: ClassVar[str]
    width: ClassVar[int]
    limit: ClassVar[int | None] = None

    @abstractmethod
    def entries(self, labels: Vector, predictions: Vector, weights: Floats, origin: float) -> tuple[Ids, Floats]:
        """Returns the bucket of each row, or of each value of a row, and what it adds: `(rows[, values])`, and with `width` at the end.

        `origin` is a value near the mean of the labels, from which squares are taken so that no digits are lost.
        """


def truth_and_scores(labels: Vector, predictions: Vector) -> tuple[Ids, Floats]:
    """Returns the number of the true class `(rows,)` and the scores `(rows, classes)`; one score is that of the second of two classes.

    Raises:
        DataError: If the scores are no probabilities, or a label is none of the classes.
    """
    scores = predictions.astype(np.float64)
    outside = scores.size and not (np.nanmin(scores) >= -1e-6 and np.nanmax(scores) <= 1 + 1e-6)
    if outside and not np.isnan(scores).all():
        raise DataError(
            f"The scores of a classification must be probabilities from 0 to 1. Received: {np.nanmin(scores):g} to {np.nanmax(scores):g}.",
            hint="Are they logits? Let the served model end with softmax or sigmoid, or name another output: prediction=...",
        )
    if scores.ndim == 1:
        scores = np.stack([1.0 - scores, scores], axis=1)
    truth = labels.astype(np.float64).reshape(len(labels), -1)
    truth = truth.argmax(axis=1).astype(np.float64) if truth.shape == scores.shape else truth[:, 0]
    wrong = np.flatnonzero((truth != np.floor(truth)) | (truth < 0) | (truth >= scores.shape[1]))
    if len(wrong):
        raise DataError(
            f"The label {truth[wrong[0]]:g} is none of the model's {scores.shape[1]} classes, which are numbered from 0.",
            hint="Let the transform number the label from 0, or use metrics of a regression.",
        )
    return truth.astype(np.int64), scores


def predicted_classes(scores: Floats) -> Ids:
    """Returns the class with the highest score; of two classes the second only if its score is above one half."""
    if scores.shape[1] == 2:
        return (scores[:, 1] > scores[:, 0]).astype(np.int64)
    found: Ids = scores.argmax(axis=1)
    return found


def value_ids(values: Vector) -> Ids:
    """Returns whole numbers from 0 in the order of the values, made of the bits of single precision; equal ones for equal values."""
    bits = (np.nan_to_num(values.astype(np.float32)) + np.float32(0)).view(np.int32).astype(np.int64)
    ids: Ids = np.where(bits >= 0, bits + (1 << 31), (1 << 31) - 1 - (bits & 0x7FFFFFFF))
    return ids


class ClassMatrix(Tally):
    """Rows by true and predicted class."""

    name = "_class_matrix"
    width = 1

    def entries(self, labels: Vector, predictions: Vector, weights: Floats, origin: float) -> tuple[Ids, Floats]:
        """See `Tally`."""
        truth, scores = truth_and_scores(labels, predictions)
        return (truth << _TRUTH_BITS) + predicted_classes(scores), weights[:, None]


def matrix_of(ids: Ids, sums: Floats, classes: int) -> Floats:
    """Returns a `ClassMatrix` as a table, `(true classes, predicted classes)`."""
    matrix = np.zeros((classes, classes))
    matrix[ids >> _TRUTH_BITS, ids & ((1 << _TRUTH_BITS) - 1)] = sums[:, 0]
    return matrix


@dataclass(frozen=True)
class Scores(Tally):
    """Positive and all rows by the score of one class, for curves and the areas below them."""

    name = "_scores"
    width = 2
    limit = EXACT_VALUES

    class_id: int

    def entries(self, labels: Vector, predictions: Vector, weights: Floats, origin: float) -> tuple[Ids, Floats]:
        """See `Tally`."""
        truth, scores = truth_and_scores(labels, predictions)
        own = scores[:, self.class_id] if self.class_id < scores.shape[1] else np.zeros(len(scores))
        return value_ids(own), np.stack([(truth == self.class_id) * weights, weights], axis=1)


class Ranks(Tally):
    """Rows by how many classes have a higher score than the true one."""

    name = "_ranks"
    width = 1

    def entries(self, labels: Vector, predictions: Vector, weights: Floats, origin: float) -> tuple[Ids, Floats]:
        """See `Tally`."""
        truth, scores = truth_and_scores(labels, predictions)
        higher = (scores > scores[np.arange(len(truth)), truth][:, None]).sum(axis=1)
        return np.minimum(higher, _MAX_RANK).astype(np.int64), weights[:, None]


class LogLosses(Tally):
    """The sum of minus the logarithm of the true class' score, and of the weights."""

    name = "_log_losses"
    width = 2

    def entries(self, labels: Vector, predictions: Vector, weights: Floats, origin: float) -> tuple[Ids, Floats]:
        """See `Tally`."""
        losses = log_losses(*truth_and_scores(labels, predictions))
        return np.zeros(len(losses), np.int64), np.stack([losses * weights, weights], axis=1)


def log_losses(truth: Ids, scores: Floats) -> Floats:
    """Returns minus the logarithm of the score of the true class, a score of 0 taken for the least that double precision tells from 1."""
    least = np.finfo(np.float64).eps
    losses: Floats = -np.log(np.clip(scores[np.arange(len(truth)), truth], least, 1.0 - least))
    return losses


@dataclass(frozen=True)
class Reliability(Tally):
    """Sums of probability, of what came true, and of weights, in bins of equal width from 0 to 1, as scikit-learn's `calibration_curve`.

    Of two classes it is the probability of the second; of more, that of the predicted class.
    """

    name = "_reliability"
    width = 3

    bins: int

    def entries(self, labels: Vector, predictions: Vector, weights: Floats, origin: float) -> tuple[Ids, Floats]:
        """See `Tally`."""
        truth, scores = truth_and_scores(labels, predictions)
        judged = predicted_classes(scores) if scores.shape[1] > 2 else np.ones(len(truth), np.int64)
        probability, right = np.nan_to_num(scores[np.arange(len(truth)), judged]), truth == judged
        bins = np.searchsorted(np.linspace(0.0, 1.0, self.bins + 1)[1:-1], probability)
        return bins.astype(np.int64), np.stack([probability * weights, right * weights, weights], axis=1)


def pair_of_numbers(labels: Vector, predictions: Vector) -> tuple[Floats, Floats]:
    """Returns labels and predictions as `(rows, steps)`.

    Raises:
        DataError: If they are not as many.
    """
    pair = [values.astype(np.float64).reshape(len(values), -1) for values in (labels, predictions)]
    if pair[0].shape != pair[1].shape:
        received = f"Received: {pair[0].shape[1]} labels and {pair[1].shape[1]} predictions per row."
        raise DataError(f"The metric needs a prediction for each label. {received}")
    return pair[0], pair[1]


class Errors(Tally):
    """All that the metrics of a forecast follow from, by step of the horizon.

    Sums of: weights; the label's distance from the origin, and its square; the squared, the absolute and the plain error (label minus
    prediction); the weights of labels other than 0; the absolute error as a share of these.
    """

    name = "_errors"
    width = 8

    def entries(self, labels: Vector, predictions: Vector, weights: Floats, origin: float) -> tuple[Ids, Floats]:
        """See `Tally`."""
        truth, predicted = pair_of_numbers(labels, predictions)
        errors, distances = truth - predicted, truth - origin
        shares = np.divide(abs(errors), abs(truth), out=np.zeros_like(errors), where=truth != 0)
        columns = [np.ones_like(errors), distances, distances**2, errors**2, abs(errors), errors, truth != 0, shares]
        ids = np.broadcast_to(np.arange(errors.shape[1], dtype=np.int64), errors.shape)
        return ids, np.stack(columns, axis=2) * weights[:, None, None]


class Residuals(Tally):
    """Sums of weights and of residuals, by residual."""

    name = "_residuals"
    width = 2
    limit = COARSE_VALUES

    def entries(self, labels: Vector, predictions: Vector, weights: Floats, origin: float) -> tuple[Ids, Floats]:
        """See `Tally`."""
        truth, predicted = pair_of_numbers(labels, predictions)
        residuals = np.nan_to_num(truth - predicted)
        return value_ids(residuals), np.stack([np.ones_like(residuals), residuals], axis=2) * weights[:, None, None]


class ByPrediction(Tally):
    """Sums of weights, predictions, residuals and their squares, by prediction."""

    name = "_by_prediction"
    width = 4
    limit = COARSE_VALUES

    def entries(self, labels: Vector, predictions: Vector, weights: Floats, origin: float) -> tuple[Ids, Floats]:
        """See `Tally`."""
        truth, predicted = pair_of_numbers(labels, predictions)
        residuals = np.nan_to_num(truth - predicted)
        columns = [np.ones_like(residuals), np.nan_to_num(predicted), residuals, residuals**2]
        return value_ids(predicted), np.stack(columns, axis=2) * weights[:, None, None]
