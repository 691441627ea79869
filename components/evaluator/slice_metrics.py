"""From the sums of each slice to its metrics, with TFMA's own combiners, derived metrics, differences and confidence intervals."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

from components.evaluator.columns import Metrics
from components.evaluator.engine import SliceState, State
from components.evaluator.plan import SAMPLES, MatricesFromHistogram, Plan
from components.evaluator.slicing import SliceKey

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

TOO_SMALL = "Example count for this slice key is lower than the minimum required value: %d. No data is aggregated for this slice."
"""What TFMA writes for such a slice."""


def metrics_of(state: State, plan: Plan) -> list[tuple[SliceKey, Metrics]]:
    """Returns the metrics of each slice, in the order of the slices' names."""
    from tensorflow_model_analysis import constants
    from tensorflow_model_analysis.metrics import metric_types

    result = []
    for key in sorted(state, key=repr):
        found = state[key]
        if key and found.sums[0, 0] < plan.config.options.min_slice_size.value:
            error = metric_types.MetricKey(constants.ERROR_METRIC_NAME)
            result.append((key, {error: TOO_SMALL % plan.config.options.min_slice_size.value}))
            continue
        metrics = _metrics(found, 0, plan)
        if plan.interval:
            metrics = _with_intervals(metrics, found, plan)
        result.append((key, {name: value for name, value in metrics.items() if not _is_private(name)}))
    return result


class _Computed(dict[Any, Any]):
    """Metrics of one slice; TFMA's form of a histogram is made only when a metric asks for it."""

    def __init__(self, histograms: dict[Any, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]) -> None:
        super().__init__()
        self.histograms = histograms

    def __missing__(self, key: Any) -> Any:
        from tensorflow_model_analysis.metrics.calibration_histogram import Bucket

        ids, sums = self.histograms[key]
        self[key] = [Bucket(number, *values) for number, values in zip(ids.tolist(), sums.tolist(), strict=True)]
        return self[key]


def _metrics(state: SliceState, sample: int, plan: Plan) -> Metrics:
    """Returns all metrics of the rows of a slice (sample 0), or of a sample of them."""
    import numpy as np

    histograms = {plain.key: (ids, sums[sample]) for plain, (ids, sums) in zip(plan.histograms, state.buckets, strict=True)}
    metrics = _Computed(histograms)
    start = 1 + len(plan.models)
    for computation in plan.sums:
        metrics.update(computation.result(state.sums[sample, start : start + computation.width]))
        start += computation.width
    with np.errstate(divide="ignore", invalid="ignore"):  # TFMA divides first and looks for zeros later
        for derived in plan.derived:
            if isinstance(derived, MatricesFromHistogram):
                metrics.update(derived.compute(*histograms[derived.histogram]))
            else:
                metrics.update(derived.result(metrics))
    for name, unknown in zip(plan.models, state.sums[sample, 1:], strict=False):
        if unknown:
            metrics.update({key: float("nan") for key in metrics if key.model_name == name and _depends(key, plan)})
    metrics.update(_differences(metrics, plan.baseline))
    return dict(metrics)


def _depends(key: Any, plan: Plan) -> bool:
    """Tells whether a metric depends on predictions, and is a number."""
    from tensorflow_model_analysis.metrics import metric_types

    return key not in plan.counts and not isinstance(key, metric_types.PlotKey) and not _is_private(key)


def _is_private(key: Any) -> bool:
    return key.name.startswith("_") and not key.name.startswith("__")


def _differences(metrics: Metrics, baseline: str | None) -> Metrics:
    """Returns by how much each metric of the candidate differs from the baseline's, as TFMA does."""
    if baseline is None:
        return {}
    pairs = ((key, value, metrics.get(key.make_baseline_key(baseline))) for key, value in metrics.items() if key.model_name != baseline)
    return {
        key.make_diff_key(): value - other
        for key, value, other in pairs
        if other is not None and _is_number(value) and not _is_private(key) and not key.is_diff
    }


def _is_number(value: Any) -> bool:
    import numpy as np
    from tensorflow_model_analysis.api import types

    if isinstance(value, np.ndarray):
        return bool(np.issubdtype(value.dtype, np.number))
    return isinstance(value, numbers.Number | types.StructuredMetricValue)


def _with_intervals(metrics: Metrics, state: SliceState, plan: Plan) -> Metrics:
    """Returns the metrics with their t-distributions over the samples that have a row, by TFMA's formulas."""
    from tensorflow_model_analysis.evaluators import confidence_intervals_util, jackknife, poisson_bootstrap

    kind = poisson_bootstrap._BootstrapSampleCombineFn if plan.interval == "bootstrap" else jackknife._JackknifeSampleCombineFn
    combiner = kind(SAMPLES, plan.without_interval)
    total = combiner.create_accumulator()
    samples = [(kind_id, _metrics(state, kind_id + 1, plan)) for kind_id in range(SAMPLES) if state.sums[kind_id + 1, 0]]
    for number, sample in [(_FULL_SAMPLE, metrics), *samples]:
        public = {key: value for key, value in sample.items() if not _is_private(key)}
        total = combiner.add_input(total, confidence_intervals_util.SampleMetrics(metrics=public, sample_id=number))
    return combiner.extract_output(total)  # type: ignore[no-any-return]


_FULL_SAMPLE = -1  # TFMA's number for the rows themselves
