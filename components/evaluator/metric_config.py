"""TFMA's `MetricsSpec`s for the metrics of a definition, on what is evaluated: which class of TFMA, of which class or step."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.evaluator.metric import EACH, OF_CLASSES, OF_CLASSIFICATION, OF_STEPS, Metric, parse_metric
from components.evaluator.plots import BINS, MAX_CURVE_CLASSES
from components.evaluator.subject import Subject
from components.evaluator.threshold import METRICS, TFMA_METRICS, Slice, Threshold
from pipeline.errors import DataError

if TYPE_CHECKING:
    from tensorflow_model_analysis.proto import config_pb2

DOUBLE_PRECISION_METRICS = frozenset({"R2Score", "RootMeanSquaredError"})

PLOTS_OF_BUNDLES = {
    "binary": ("ConfusionMatrixPlot", "CalibrationPlot"),
    "classes": ("MultiClassConfusionMatrixPlot",),
    "regression": ("CalibrationPlot",),
}
"""TFMA's plots that come with a bundle of metrics, by task."""


@dataclass(frozen=True)
class Computed:
    """A metric as TFMA knows it.

    Attributes:
        class_name: The class of TFMA or Keras, or ours.
        module: Where it is; empty for one of TFMA or Keras.
        options: Its options, as JSON.
        class_ids: The classes or steps, from 0, that it is computed for; None for no single one.
    """

    class_name: str
    module: str = ""
    options: str = ""
    class_ids: tuple[int, ...] | None = None


def metrics_specs(
    metrics: Iterable[str], plots: Iterable[str], thresholds: Iterable[Threshold], subject: Subject
) -> list[config_pb2.MetricsSpec]:
    """Returns the specifications, with the thresholds at their metrics.

    Raises:
        DataError: If a metric is not one of what is evaluated, or names a class or step that there is not.
    """
    from tensorflow_model_analysis.proto import config_pb2

    specs: dict[tuple[int, ...] | None, config_pb2.MetricsSpec] = {}
    known: dict[Computed, config_pb2.MetricConfig] = {}

    def configured(computed: Computed) -> config_pb2.MetricConfig:
        if computed not in known:
            spec = specs.setdefault(computed.class_ids, config_pb2.MetricsSpec())
            if computed.class_ids is not None:
                spec.binarize.class_ids.values[:] = computed.class_ids
            known[computed] = spec.metrics.add(class_name=computed.class_name, module=computed.module, config=computed.options)
        return known[computed]

    for name in metrics:
        for computed in computed_for(parse_metric(name, METRICS), subject, listed=True):
            configured(computed)
    for threshold in thresholds:
        for computed in computed_for(threshold.of, subject, listed=False):
            slices = [slicing_spec(slice_) for slice_ in threshold.slices]
            configured(computed).per_slice_thresholds.add(slicing_specs=slices, threshold=_metric_threshold(threshold))
    for name in plots:
        configured(_plot(name, subject))
    return list(specs.values())


def _plot(name: str, subject: Subject) -> Computed:
    """Returns a plot; that of the calibration of a regression needs the range of the values, which is else taken to be 0 to 1."""
    ranged = name == "CalibrationPlot" and subject.task == "regression" and subject.high > subject.low
    return Computed(name, options=json.dumps({"left": subject.low, "right": subject.high}) if ranged else "")


def computed_for(metric: Metric, subject: Subject, *, listed: bool) -> Iterator[Computed]:
    """Yields what is computed for a metric; of several classes, where it is `listed` and names none, each and their macro average.

    Raises:
        DataError: If the metric is not one of what is evaluated, or names a class or step that there is not.
    """
    if metric.name in OF_CLASSES and subject.classifies:
        yield from _of_classes(metric, subject, listed)
    elif metric.name in OF_CLASSIFICATION and subject.classifies:
        yield _of_classification(metric, subject)
    elif metric.name in OF_STEPS and (subject.task == "forecast" or metric.name not in TFMA_METRICS or metric.step is not None):
        yield _of_steps(metric, subject)
    elif metric.name in TFMA_METRICS and metric == Metric(metric.name):
        yield _of_tfma(metric.name)
    else:
        raise DataError(
            f"{metric} is a metric of a classification. {_received(subject)}",
            hint="A classification has probabilities from 0 to 1, and labels that are names or numbers of classes, from 0.",
        )


def _received(subject: Subject) -> str:
    known = {
        "regression": "a regression",
        "forecast": f"a forecast of {subject.steps} steps",
        "other": "neither a classification, a regression nor a forecast",
    }
    return f"By its first rows the model is {known.get(subject.task, 'a classification')}."


def _of_classes(metric: Metric, subject: Subject, listed: bool) -> Iterator[Computed]:
    count = len(subject.classes)
    each = tuple(range(count))
    if metric.average is not None:
        yield _own(OF_CLASSES[metric.name], classes=count, average=metric.average, name=f"{metric.average}_{_measure(metric.name)}")
    elif metric.class_ is not None:
        ids = each if metric.class_ == EACH and EACH not in subject.classes else (subject.class_id(metric.class_),)
        yield _own(OF_CLASSES[metric.name], ids, classes=count)
    elif subject.task == "binary":
        yield Computed(metric.name) if metric.name in TFMA_METRICS else _own(OF_CLASSES[metric.name])
    else:
        yield from _of_classes(Metric(metric.name, average="macro"), subject, listed)
        if listed and count <= MAX_CURVE_CLASSES:
            yield _own(OF_CLASSES[metric.name], each, classes=count)


def _measure(name: str) -> str:
    from components.evaluator import tfma_tally_metrics

    return str(getattr(tfma_tally_metrics, OF_CLASSES[name])().name)


def _of_classification(metric: Metric, subject: Subject) -> Computed:
    if metric.name == "TopKAccuracy":
        return _own("TopKAccuracy", k=metric.k or 5, name=f"top_{metric.k or 5}_accuracy")
    if metric.name == "ExpectedCalibrationError" and metric.bins not in (None, BINS):
        return _own("ExpectedCalibrationError", bins=metric.bins, name=f"expected_calibration_error_{metric.bins}_bins")
    if metric.name == "BalancedAccuracy" and subject.task == "binary":
        return Computed("BalancedAccuracy")
    return _own(OF_CLASSIFICATION[metric.name])


def _of_steps(metric: Metric, subject: Subject) -> Computed:
    if metric.step is None:
        if subject.classifies:
            raise DataError(f"{metric} is a metric of a regression or a forecast. {_received(subject)}")
        return _own(OF_STEPS[metric.name])
    if subject.task != "forecast":
        raise DataError(f"{metric} is of a step of a forecast. {_received(subject)}", hint="Leave out the step.")
    if metric.step == EACH:
        return _own(OF_STEPS[metric.name], tuple(range(subject.steps)))
    step = int(metric.step)
    if step > subject.steps:
        raise DataError(f"{metric}: there is no step {step}. The forecast has {subject.steps} steps, counted from 1.")
    return _own(OF_STEPS[metric.name], (step - 1,))


def _of_tfma(name: str) -> Computed:
    from components.evaluator import tfma_metrics

    return Computed(name, tfma_metrics.__name__ if name in DOUBLE_PRECISION_METRICS else "")


def _own(class_name: str, class_ids: tuple[int, ...] | None = None, **options: Any) -> Computed:
    from components.evaluator import tfma_tally_metrics

    return Computed(class_name, tfma_tally_metrics.__name__, json.dumps(options, sort_keys=True) if options else "", class_ids)


def slicing_spec(slice_: Slice) -> config_pb2.SlicingSpec:
    """Returns the specification of a slice such as `("company", "payment_type=Cash")`."""
    from tensorflow_model_analysis.proto import config_pb2

    return config_pb2.SlicingSpec(
        feature_keys=[name for name in slice_ if "=" not in name],
        feature_values=dict(name.split("=", 1) for name in slice_ if "=" in name),
    )


def _metric_threshold(threshold: Threshold) -> config_pb2.MetricThreshold:
    from tensorflow_model_analysis.proto import config_pb2

    result = config_pb2.MetricThreshold()
    if threshold.at_least is not None:
        result.value_threshold.lower_bound.value = threshold.at_least
    if threshold.at_most is not None:
        result.value_threshold.upper_bound.value = threshold.at_most
    if threshold.change is not None:
        better = "HIGHER_IS_BETTER" if threshold.higher_is_better else "LOWER_IS_BETTER"
        result.change_threshold.direction = config_pb2.MetricDirection.Value(better)
        bound = result.change_threshold.relative if threshold.relative else result.change_threshold.absolute
        bound.value = threshold.change
    return result
