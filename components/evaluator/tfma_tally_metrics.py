"""Metrics of classifications and forecasts, as metrics of TensorFlow Model Analysis (TFMA).

Each follows from a tally: TFMA's own pipeline counts it row by row with `TallyCombiner`, the engine over columns. TFMA imports this module
by name from an `EvalConfig`; nothing else may but the plan, because it imports TFMA. The class, or the step of a horizon, that a metric is
of is TFMA's `class_id` (`binarize { class_ids { values: 3 } }`); steps count from 0 there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

from components.evaluator import measures
from components.evaluator.tally import Buckets, ClassMatrix, Errors, LogLosses, Ranks, Reliability, Scores, Tally, matrix_of

_WAITING_ROWS = 1024

Computations = list[Any]
Tallies = Mapping[Any, "Buckets"]


@dataclass
class Counted:
    """Buckets, and rows that wait to be counted together."""

    buckets: Buckets | None = None
    waiting: list[tuple[Any, Any, float]] = field(default_factory=list)


class TallyCombiner(beam.CombineFn):  # type: ignore[misc]
    """Counts a tally row by row; the result is its `Buckets`."""

    def __init__(self, key: metric_types.MetricKey, tally: Tally, eval_config: Any) -> None:
        self._key = key
        self._eval_config = eval_config
        self._example_weighted = key.example_weighted
        self.tally = tally

    def create_accumulator(self) -> Counted:
        """Returns no rows."""
        return Counted()

    def add_input(self, accumulator: Counted, element: metric_types.StandardMetricInputs) -> Counted:
        """Adds one row."""
        label, prediction, weight = next(
            metric_util.to_label_prediction_example_weight(
                element,
                eval_config=self._eval_config,
                model_name=self._key.model_name,
                example_weighted=self._example_weighted,
                flatten=False,
                require_single_example_weight=True,
            )
        )
        accumulator.waiting.append((label.reshape(-1), prediction.reshape(-1), float(weight.reshape(-1)[0])))
        return accumulator if len(accumulator.waiting) < _WAITING_ROWS else self.compact(accumulator)

    def merge_accumulators(self, accumulators: Iterable[Counted]) -> Counted:
        """Merges all."""
        found = [counted.buckets for counted in map(self.compact, accumulators) if counted.buckets is not None]
        return Counted(functools.reduce(Buckets.merged, found) if found else None)

    def compact(self, accumulator: Counted) -> Counted:
        """Counts the rows that wait."""
        if not accumulator.waiting:
            return accumulator
        labels, predictions, weights = zip(*accumulator.waiting, strict=True)
        rows = [values[:, 0] if values.shape[1] == 1 else values for values in (np.stack(labels), np.stack(predictions))]
        ids, columns = self.tally.entries(rows[0], rows[1], np.array(weights), 0.0)
        counted = Buckets(ids.reshape(-1), columns.reshape(1, -1, self.tally.width), self.tally.limit)
        total = counted if accumulator.buckets is None else accumulator.buckets
        nothing = Buckets(counted.ids[:0], counted.sums[:, :0], self.tally.limit)
        return Counted(total.merged(nothing if accumulator.buckets is None else counted))

    def extract_output(self, accumulator: Counted) -> dict[metric_types.MetricKey, Buckets]:
        """Returns the buckets of all rows."""
        found = self.compact(accumulator).buckets
        return {self._key: found or Buckets(np.zeros(0, np.int64), np.zeros((1, 0, self.tally.width)), self.tally.limit)}


def tally_computation(tally: Tally, eval_config: Any, model_name: str, example_weighted: bool) -> metric_types.MetricComputation:
    """Returns the computation that counts a tally; equal ones are counted once, whatever metrics need them."""
    options = "_".join(str(value) for value in vars(tally).values())
    key = _key(f"{tally.name}_{options}" if options else tally.name, model_name, None, example_weighted)
    return metric_types.MetricComputation([key], None, TallyCombiner(key, tally, eval_config))


def _derived(key: Any, tallies: list[Any], value: Callable[[list[Buckets]], float]) -> Computations:
    """Returns the computations of some tallies, and of a metric from their buckets."""
    sources = [computation.keys[0] for computation in tallies]

    def result(found: Tallies) -> dict[Any, float]:
        return {key: value([found[source] for source in sources])}

    return [*tallies, metric_types.DerivedMetricComputation([key], result)]


def _key(name: str, model_name: str, sub_key: Any, example_weighted: bool) -> metric_types.MetricKey:
    return metric_types.MetricKey(name=name, model_name=model_name, sub_key=sub_key, example_weighted=example_weighted)


def _of_matrix(
    name: str,
    eval_config: Any = None,
    model_name: str = "",
    sub_key: Any = None,
    example_weighted: bool = False,
    average: str | None = None,
    classes: int | None = None,
    measure: str = "",
) -> Computations:
    """A measure of one class, or an average over the classes, from the confusion matrix."""
    _check(measure, average, sub_key)

    def value(found: list[Buckets]) -> float:
        buckets = found[0]
        occurring = int(max((buckets.ids >> 20).max(initial=0), (buckets.ids & 0xFFFFF).max(initial=0))) + 1
        matrix = matrix_of(buckets.ids, buckets.sums[0], max(classes or 2, occurring, 0 if sub_key is None else sub_key.class_id + 1))
        if measure == "accuracy":
            return float(matrix.trace() / matrix.sum()) if matrix.sum() else measures.NAN
        if measure == "balanced_accuracy":
            recalls, true = measures.class_measures(matrix, "recall"), matrix.sum(axis=1)
            return measures.weighted_mean(np.where(true > 0, recalls, np.nan), np.ones(len(recalls)))
        if average == "micro":
            return measures.pooled_measure(matrix, measure)
        values = measures.class_measures(matrix, measure)
        return measures.average(values, matrix, average) if average else float(values[sub_key.class_id])

    tally = tally_computation(ClassMatrix(), eval_config, model_name, example_weighted)
    return _derived(_key(name, model_name, sub_key, example_weighted), [tally], value)


def _check(measure: str, average: str | None, sub_key: Any) -> None:
    if measure.endswith("accuracy"):
        return
    if average not in (None, "macro", "micro", "weighted"):
        raise ValueError(f"{measure}: average must be 'macro', 'micro' or 'weighted'. Received: {average!r}.")
    if (average is None) == (sub_key is None or sub_key.class_id is None):
        raise ValueError(f"{measure} is of one class (binarize with class_ids), or an average (average='macro'): give exactly one.")


def _of_scores(
    name: str,
    eval_config: Any = None,
    model_name: str = "",
    sub_key: Any = None,
    example_weighted: bool = False,
    average: str | None = None,
    classes: int | None = None,
    measure: str = "",
) -> Computations:
    """An area below a curve: of one class against the rest, or an average over the classes."""
    wanted = [1] if average is None and sub_key is None else range(classes or 2) if average else [sub_key.class_id]
    tallies = [tally_computation(Scores(number), eval_config, model_name, example_weighted) for number in wanted]

    def value(found: list[Buckets]) -> float:
        if average == "micro":
            return _area(functools.reduce(Buckets.merged, found), measure)
        areas, sizes = np.array([_area(one, measure) for one in found]), np.array([one.sums[0, :, 0].sum() for one in found])
        return measures.weighted_mean(areas, sizes if average == "weighted" else np.ones(len(areas)))

    return _derived(_key(name, model_name, sub_key, example_weighted), tallies, value)


def _area(buckets: Buckets, measure: str) -> float:
    ranking = measures.Ranking.of(buckets.sums[0])
    return ranking.roc_area() if measure == "roc_auc" else ranking.average_precision()


def _of_ranks(name: str, eval_config: Any = None, model_name: str = "", example_weighted: bool = False, k: int = 1) -> Computations:
    tally = tally_computation(Ranks(), eval_config, model_name, example_weighted)

    def value(found: list[Buckets]) -> float:
        total = float(found[0].sums[0].sum())
        return float(found[0].sums[0, found[0].ids < k].sum() / total) if total else measures.NAN

    return _derived(_key(name, model_name, None, example_weighted), [tally], value)


def _of_losses(name: str, eval_config: Any = None, model_name: str = "", example_weighted: bool = False) -> Computations:
    tally = tally_computation(LogLosses(), eval_config, model_name, example_weighted)

    def value(found: list[Buckets]) -> float:
        loss, weight = found[0].sums[0].sum(axis=0).tolist()
        return float(loss / weight) if weight else measures.NAN

    return _derived(_key(name, model_name, None, example_weighted), [tally], value)


def _of_reliability(
    name: str, eval_config: Any = None, model_name: str = "", example_weighted: bool = False, bins: int = 15
) -> Computations:
    tally = tally_computation(Reliability(bins), eval_config, model_name, example_weighted)
    key = _key(name, model_name, None, example_weighted)
    return _derived(key, [tally], lambda found: measures.calibration_error(found[0].sums[0]))


def _of_errors(
    name: str, eval_config: Any = None, model_name: str = "", sub_key: Any = None, example_weighted: bool = False, measure: str = ""
) -> Computations:
    """A metric of all steps together, or of one."""
    tally = tally_computation(Errors(), eval_config, model_name, example_weighted)

    def value(found: list[Buckets]) -> float:
        kept = slice(None) if sub_key is None else found[0].ids == sub_key.class_id
        return measures.errors_measure(found[0].sums[0, kept].sum(axis=0), measure)

    return _derived(_key(name, model_name, sub_key, example_weighted), [tally], value)


class TallyMetric(metric_types.Metric):  # type: ignore[misc]
    """A metric of a tally.

    Attributes:
        measure: What is computed, and the default of its name.
        options: The options that it has, all with defaults.
        compute: Returns its computations.
    """

    measure: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()
    compute: ClassVar[Callable[..., Computations]]

    def __init__(self, name: str = "", **given: Any) -> None:
        unknown = sorted(set(given) - set(self.options))
        if unknown:
            known = ", ".join(self.options) or "none"
            raise ValueError(f"{type(self).__name__} has no option {', '.join(unknown)}. It has: {known}.")
        compute = type(self).compute
        if "measure" in compute.__annotations__:
            compute = functools.partial(compute, measure=self.measure)
        super().__init__(metric_util.merge_per_key_computations(compute), name=name or self.measure, **given)


_CLASS = ("average", "classes")


class ClassAccuracy(TallyMetric):
    """The share of rows whose predicted class is the true one."""

    measure = "accuracy"
    options = ("classes",)
    compute = staticmethod(_of_matrix)


class ClassBalancedAccuracy(TallyMetric):
    """The mean recall of the classes that occur."""

    measure = "balanced_accuracy"
    options = ("classes",)
    compute = staticmethod(_of_matrix)


class ClassPrecision(TallyMetric):
    """The share of the rows predicted as a class that are of it."""

    measure = "precision"
    options = _CLASS
    compute = staticmethod(_of_matrix)


class ClassRecall(TallyMetric):
    """The share of the rows of a class that are predicted as it."""

    measure = "recall"
    options = _CLASS
    compute = staticmethod(_of_matrix)


class ClassSpecificity(TallyMetric):
    """The share of the rows of other classes that are not predicted as it."""

    measure = "specificity"
    options = _CLASS
    compute = staticmethod(_of_matrix)


class ClassNegativePredictiveValue(TallyMetric):
    """The share of the rows not predicted as a class that are not of it."""

    measure = "negative_predictive_value"
    options = _CLASS
    compute = staticmethod(_of_matrix)


class ClassF1Score(TallyMetric):
    """The harmonic mean of precision and recall of a class."""

    measure = "f1_score"
    options = _CLASS
    compute = staticmethod(_of_matrix)


class ROCAUC(TallyMetric):
    """The area below the ROC curve, from all scores."""

    measure = "roc_auc"
    options = _CLASS
    compute = staticmethod(_of_scores)


class AveragePrecision(TallyMetric):
    """The area below the precision-recall curve, in steps."""

    measure = "average_precision"
    options = _CLASS
    compute = staticmethod(_of_scores)


class TopKAccuracy(TallyMetric):
    """The share of rows whose true class is among the k highest scores."""

    measure = "top_k_accuracy"
    options = ("k",)
    compute = staticmethod(_of_ranks)


class LogLoss(TallyMetric):
    """The mean of minus the logarithm of the score of the true class."""

    measure = "log_loss"
    compute = staticmethod(_of_losses)


class ExpectedCalibrationError(TallyMetric):
    """The mean distance of what came true from what was predicted."""

    measure = "expected_calibration_error"
    options = ("bins",)
    compute = staticmethod(_of_reliability)


class ForecastMeanError(TallyMetric):
    """The mean of label minus prediction."""

    measure = "mean_error"
    compute = staticmethod(_of_errors)


class ForecastMeanAbsoluteError(TallyMetric):
    """The mean of the absolute errors."""

    measure = "mean_absolute_error"
    compute = staticmethod(_of_errors)


class ForecastMeanSquaredError(TallyMetric):
    """The mean of the squared errors."""

    measure = "mean_squared_error"
    compute = staticmethod(_of_errors)


class ForecastRootMeanSquaredError(TallyMetric):
    """The root of the mean of the squared errors."""

    measure = "root_mean_squared_error"
    compute = staticmethod(_of_errors)


class ForecastMeanAbsolutePercentageError(TallyMetric):
    """The mean absolute error in percent of the labels that are not 0."""

    measure = "mean_absolute_percentage_error"
    compute = staticmethod(_of_errors)


class ForecastR2Score(TallyMetric):
    """The share of the variance of the labels that the forecast explains."""

    measure = "r2_score"
    compute = staticmethod(_of_errors)
