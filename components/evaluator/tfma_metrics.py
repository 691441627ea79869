"""Regression metrics in double precision, as metrics of TensorFlow Model Analysis (TFMA).

TFMA takes `RootMeanSquaredError` and `R2Score` from Keras, which adds up in single precision: with large labels their third
digit is noise. TFMA imports this module by name from an `EvalConfig`; nothing else may, because it imports TFMA.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from tensorflow_model_analysis.metrics import metric_types, metric_util


@dataclass
class Moments:
    """What both metrics follow from; merging two gives the moments of their union (Chan, Golub and LeVeque, 1979).

    Attributes:
        weight: Sum of the weights.
        mean: Weighted mean of the labels.
        spread: Weighted sum of squared distances of the labels from their mean.
        error: Weighted sum of squared distances of the predictions from their labels.
    """

    weight: float = 0.0
    mean: float = 0.0
    spread: float = 0.0
    error: float = 0.0

    def merge(self, other: Moments) -> None:
        """Adds the rows of `other`."""
        weight = self.weight + other.weight
        if weight:
            distance = other.mean - self.mean
            self.spread += other.spread + distance * distance * self.weight * other.weight / weight
            self.mean += distance * other.weight / weight
        self.error += other.error
        self.weight = weight

    def root_mean_squared_error(self) -> float:
        """Returns the root of the mean squared error; not a number without rows."""
        return float((self.error / self.weight) ** 0.5) if self.weight else float("nan")

    def r2_score(self) -> float:
        """Returns 1 - error / spread; not a number where all labels are equal, since there is nothing to explain."""
        return 1.0 - self.error / self.spread if self.spread > 0 else float("nan")


class MomentsCombiner(beam.CombineFn):  # type: ignore[misc]
    """Computes one metric from the moments of its rows."""

    def __init__(self, key: metric_types.MetricKey, eval_config: Any) -> None:
        self._key = key
        self._eval_config = eval_config
        self._example_weighted = key.example_weighted

    def create_accumulator(self) -> Moments:
        """Returns the moments of no rows."""
        return Moments()

    def add_input(self, accumulator: Moments, element: metric_types.StandardMetricInputs) -> Moments:
        """Adds one row."""
        for label, prediction, weight in metric_util.to_label_prediction_example_weight(
            element,
            eval_config=self._eval_config,
            model_name=self._key.model_name,
            example_weighted=self._example_weighted,
            flatten=True,
        ):
            value, weight = float(label.item()), float(weight.item())
            accumulator.merge(Moments(weight, value, 0.0, weight * (float(prediction.item()) - value) ** 2))
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Moments]) -> Moments:
        """Merges all."""
        result = Moments()
        for accumulator in accumulators:
            result.merge(accumulator)
        return result

    def extract_output(self, accumulator: Moments) -> dict[metric_types.MetricKey, float]:
        """Returns the metric's value."""
        return {self._key: getattr(accumulator, self._key.name)()}


def _computations(
    name: str, eval_config: Any = None, model_name: str = "", example_weighted: bool = False
) -> list[metric_types.MetricComputation]:
    key = metric_types.MetricKey(name=name, model_name=model_name, example_weighted=example_weighted)
    return [metric_types.MetricComputation([key], None, MomentsCombiner(key, eval_config))]


class RootMeanSquaredError(metric_types.Metric):  # type: ignore[misc]
    """The root of the weighted mean of squared errors."""

    def __init__(self, name: str = "root_mean_squared_error") -> None:
        super().__init__(metric_util.merge_per_key_computations(_computations), name=name)


class R2Score(metric_types.Metric):  # type: ignore[misc]
    """The coefficient of determination: the share of the labels' variance that the model explains; 1 is perfect."""

    def __init__(self, name: str = "r2_score") -> None:
        super().__init__(metric_util.merge_per_key_computations(_computations), name=name)
