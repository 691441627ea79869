"""The computations that an `EvalConfig` asks for, as TensorFlow Model Analysis (TFMA) lists them, and as the engine runs them."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import numbers
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from components.evaluator.columns import Histogram, Metrics, Sums, tally_histogram, vectorise
from components.evaluator.config import baseline_of
from components.evaluator.plots import MAX_CURVES, plots_of, tallies_of
from components.evaluator.subject import Subject
from components.evaluator.tally import Buckets
from pipeline.errors import CauceError

if TYPE_CHECKING:
    from components.evaluator.engine import SliceKey, SliceState, State

Array = npt.NDArray[np.float64]

SAMPLES = 20
"""Samples of the rows from which confidence intervals are estimated; as many as TFMA takes."""


class NotInColumnsError(CauceError):
    """The config asks for something that is left to TFMA's own pipeline."""


@dataclass(frozen=True)
class Plan:
    """What the engine does.

    Attributes:
        config: The `EvalConfig`.
        models: The models' names, in the order in which the rows hold them.
        sums: Computations that add up rows.
        histograms: Computations that add up rows by bucket.
        derived: Computations on the results of the above, in order.
        counts: Keys of metrics that do not depend on predictions.
        without_interval: Keys of metrics that get no confidence interval.
        interval: `bootstrap` or `jackknife`; None without confidence intervals.
        plots: What the plots of all rows need besides.
        plotted: All that they need, by model: the keys of histograms or plots.
    """

    config: Any
    models: tuple[str, ...]
    sums: tuple[Sums, ...]
    histograms: tuple[Histogram, ...]
    derived: tuple[Any, ...]
    counts: frozenset[Any]
    without_interval: frozenset[Any]
    interval: str | None
    plots: tuple[Histogram, ...] = ()
    plotted: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    @property
    def computes_metrics(self) -> bool:
        """Whether there is more to compute than plots."""
        return bool(self.sums or self.histograms)


@functools.lru_cache(maxsize=2)
def plan_of(serialized_config: bytes, serialized_schema: bytes | None, subject: Subject) -> Plan:
    """Returns the plan for an `EvalConfig`, and for the plots of what is evaluated.

    Raises:
        NotInColumnsError: If the config asks for something that the engine does not do.
    """
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tensorflow_model_analysis.metrics import metric_specs
    from tensorflow_model_analysis.proto import config_pb2

    config = config_pb2.EvalConfig.FromString(serialized_config)
    schema = None if serialized_schema is None else schema_pb2.Schema.FromString(serialized_schema)
    for reason in _left_to_tfma(config):
        raise NotInColumnsError(reason)
    computations = metric_specs.to_computations(list(config.metrics_specs), eval_config=config, schema=schema)
    models = tuple(spec.name for spec in config.model_specs)
    skipped = metric_specs.metric_keys_to_skip_for_confidence_intervals(config.metrics_specs, config)
    return _with_plots(_plan(config, models, computations, skipped), subject)


@functools.lru_cache(maxsize=2)
def plots_plan(serialized_config: bytes, subject: Subject) -> Plan:
    """Returns a plan for the plots only, where TFMA's own pipeline computes the metrics.

    Raises:
        NotInColumnsError: If labels and predictions are not such that the engine can read them.
    """
    from tensorflow_model_analysis.proto import config_pb2

    config = config_pb2.EvalConfig.FromString(serialized_config)
    for reason in _models_left_to_tfma(config):
        raise NotInColumnsError(reason)
    del config.slicing_specs[:]
    models = tuple(spec.name for spec in config.model_specs)
    return _with_plots(Plan(config, models, (), (), (), frozenset(), frozenset(), None), subject)


def _with_plots(plan: Plan, subject: Subject) -> Plan:
    """Adds what the plots need and no metric counts on all rows already."""
    from components.evaluator.tfma_tally_metrics import tally_computation

    overall = any(not spec.feature_keys and not spec.feature_values for spec in plan.config.slicing_specs)
    known = {histogram.key for histogram in plan.histograms} if overall else set()
    added, plotted = [], []
    for place, spec in enumerate(plan.config.model_specs):
        keys = []
        for tally in tallies_of(subject):
            key = tally_computation(tally, plan.config, spec.name, bool(spec.example_weight_key)).keys[0]
            keys.append(key)
            if key not in known:
                added.append(tally_histogram(key, tally, place))
        plotted.append((spec.name, tuple(keys)))
    return dataclasses.replace(plan, plots=tuple(added), plotted=tuple(plotted))


def plots_by_model(state: State, plan: Plan, subject: Subject) -> dict[str, dict[str, Any]]:
    """Returns the plots of all rows by role, `candidate` or `baseline`, in the summary's format."""
    if not plan.plotted or not any(keys for _, keys in plan.plotted):
        return {}
    overall = state.slices.get(())
    pairs = [*zip(plan.plots, state.plots, strict=True)]
    pairs += zip(plan.histograms, overall.buckets, strict=True) if overall is not None else ()
    counted = {histogram.key: sample_of(buckets, 0) for histogram, buckets in pairs}
    roles = {name: "baseline" if name == baseline_of(plan.config) else "candidate" for name, _ in plan.plotted}
    curves = {"candidate": MAX_CURVES, "baseline": 0}
    return {roles[name]: plots_of(subject, [counted[key] for key in keys], curves=curves[roles[name]]) for name, keys in plan.plotted}


def _left_to_tfma(config: Any) -> Iterator[str]:
    if config.cross_slicing_specs:
        yield "slices are compared with one another"
    if any(spec.query_key for spec in config.metrics_specs):
        yield "metrics are computed per query"
    if any(name for spec in config.metrics_specs for name in spec.output_names):
        yield "the model has several outputs with labels of their own"
    if any(spec.slice_keys_sql for spec in config.slicing_specs):
        yield "slices are defined in SQL"
    yield from _models_left_to_tfma(config)


def _models_left_to_tfma(config: Any) -> Iterator[str]:
    for spec in config.model_specs:
        if spec.label_keys or spec.prediction_keys or spec.example_weight_keys or not spec.label_key:
            yield "the model has several labels, or none"
        if list(spec.preprocessing_function_names) not in ([], ["transform_features"]):
            yield "the config names preprocessing functions of its own"
        if spec.model_type not in ("", "tf_generic", "tf_keras") or spec.HasField("padding_options"):
            yield "the model is of another kind"


def _plan(config: Any, models: tuple[str, ...], computations: list[Any], skipped: frozenset[Any]) -> Plan:
    from tensorflow_model_analysis.metrics import metric_types

    sums: list[Sums] = []
    histograms: list[Histogram] = []
    derived: list[Any] = []
    counts: set[Any] = set()
    for computation in dict.fromkeys(computations):
        if type(computation) is metric_types.DerivedMetricComputation:
            derived.append(MatricesFromHistogram.of(computation) or computation)
        elif isinstance(computation, metric_types.MetricComputation):
            found = _vectorised(computation, {name: place for place, name in enumerate(models)})
            if type(computation.combiner).__name__ == "_ExampleCountCombiner":
                counts.update(computation.keys)
            if isinstance(found, Histogram):
                histograms.append(found)
            else:
                sums.append(found)
        else:
            raise NotInColumnsError(f"{type(computation).__name__} is none of the kinds that are computed in columns")
    return Plan(
        config=config,
        models=models,
        sums=tuple(sums),
        histograms=tuple(histograms),
        derived=tuple(derived),
        counts=frozenset(counts),
        without_interval=skipped,
        interval=_interval(config),
    )


def _vectorised(computation: Any, models: dict[str, int]) -> Sums | Histogram:
    from tensorflow_model_analysis.metrics import metric_types

    plain = all(type(item) is metric_types.StandardMetricInputsPreprocessor for item in computation.preprocessors)
    found = vectorise(computation.combiner, models) if plain else None
    if found is None:
        raise NotInColumnsError(f"{', '.join(key.name for key in computation.keys)} is computed row by row")
    return found


def _interval(config: Any) -> str | None:
    from tensorflow_model_analysis.proto import config_pb2

    if not config.options.compute_confidence_intervals.value:
        return None
    method = config.options.confidence_intervals.method
    return "bootstrap" if method == config_pb2.ConfidenceIntervalOptions.POISSON_BOOTSTRAP else "jackknife"


@dataclass(frozen=True)
class MatricesFromHistogram:
    """TFMA's step from a calibration histogram to confusion matrices, for all of up to 10,000 thresholds at once.

    Attributes:
        histogram: Key of the histogram.
        matrices: Key of the result.
        thresholds: The thresholds, ascending.
    """

    histogram: Any
    matrices: Any
    thresholds: list[float]

    @classmethod
    def of(cls, derived: Any) -> MatricesFromHistogram | None:
        """Returns the step if a derived computation is one; None for any other."""
        known = inspect.getclosurevars(derived.result).nonlocals
        thresholds = known.get("thresholds")
        if not known.get("use_histogram") or not thresholds or len(thresholds) == 1:
            return None
        return cls(known["input_metric_key"], known["matrices_key"], thresholds)

    def compute(self, ids: npt.NDArray[np.int64], sums: Array) -> Metrics:
        """Returns the matrices for the histogram's buckets and their sums `(buckets, 3)`.

        A bucket counts as above a threshold if its lower edge is; all do where the threshold is below 0, none where it is above 1.
        """
        from tensorflow_model_analysis.metrics import binary_confusion_matrices as tfma

        thresholds = np.array(self.thresholds)
        bounds = np.where(thresholds == 0, 0.0, thresholds + tfma._EPSILON)
        edges = np.where(ids == 0, -np.inf, (ids - 1) / _BUCKETS)
        edges[ids > _BUCKETS] = np.inf
        places = np.searchsorted(bounds, edges, "right")
        places = np.maximum(places, 1) if thresholds[0] < 0 else places
        places = np.minimum(places, np.searchsorted(thresholds, 1.0 + tfma._EPSILON))
        positives, negatives = (np.bincount(places, part, len(bounds) + 1) for part in (sums[:, 0], sums[:, 2] - sums[:, 0]))
        above = [np.cumsum(part[::-1])[::-1][1:].tolist() for part in (positives, negatives)]
        below = [np.cumsum(part)[:-1].tolist() for part in (positives, negatives)]
        return {self.matrices: tfma.Matrices(self.thresholds, tp=above[0], tn=below[1], fp=above[1], fn=below[0])}


_BUCKETS = 10_000  # TFMA's `calibration_histogram.DEFAULT_NUM_BUCKETS`, whose histogram this is


TOO_SMALL = "Example count for this slice key is lower than the minimum required value: %d. No data is aggregated for this slice."
"""What TFMA writes for such a slice."""


def metrics_of(state: State, plan: Plan) -> list[tuple[SliceKey, Metrics]]:
    """Returns the metrics of each slice, in the order of the slices' names."""
    from tensorflow_model_analysis import constants
    from tensorflow_model_analysis.metrics import metric_types

    result = []
    for key in sorted(state.slices, key=repr):
        found = state.slices[key]
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
    """Metrics of one slice; what a histogram is to TFMA is made only when a metric asks for it."""

    def __init__(self, histograms: dict[Any, tuple[Histogram, Buckets]]) -> None:
        super().__init__()
        self.histograms = histograms

    def __missing__(self, key: Any) -> Any:
        histogram, buckets = self.histograms[key]
        self[key] = histogram.value(buckets)
        return self[key]


def sample_of(buckets: Buckets, sample: int) -> Buckets:
    """Returns the buckets of the rows (0) or of one sample of them."""
    return dataclasses.replace(buckets, sums=buckets.sums[sample : sample + 1])


def _metrics(state: SliceState, sample: int, plan: Plan) -> Metrics:
    """Returns all metrics of the rows of a slice (sample 0), or of a sample of them."""
    pairs = zip(plan.histograms, state.buckets, strict=True)
    histograms = {plain.key: (plain, sample_of(buckets, sample)) for plain, buckets in pairs}
    metrics = _Computed(histograms)
    start = 1 + len(plan.models)
    for computation in plan.sums:
        metrics.update(computation.result(state.sums[sample, start : start + computation.width]))
        start += computation.width
    with np.errstate(divide="ignore", invalid="ignore"):  # TFMA divides first and looks for zeros later
        for derived in plan.derived:
            if isinstance(derived, MatricesFromHistogram):
                buckets = histograms[derived.histogram][1]
                metrics.update(derived.compute(buckets.ids, buckets.sums[0]))
            else:
                metrics.update(derived.result(metrics))
    for name, unknown in zip(plan.models, state.sums[sample, 1:], strict=False):
        if unknown:
            metrics.update({key: float("nan") for key in metrics if key.model_name == name and _depends(key, plan)})
    metrics.update(_differences(metrics, baseline_of(plan.config)))
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
