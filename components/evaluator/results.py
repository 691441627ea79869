"""TFMA's result files: written from the engine's metrics, and read as plain values, whoever wrote them.

Files: `metrics-00000-of-00001.tfrecord`, `plots-...`, `validations.tfrecord`, `eval_config.json`; `tfma.load_eval_result` reads them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.evaluator.engine import SliceKey
from components.evaluator.subject import Subject
from components.evaluator.views import take_views
from components.records import read_records

if TYPE_CHECKING:
    from components.evaluator.columns import Metrics

MAX_SLICES_IN_SUMMARY = 1000
MAX_VALUES_IN_SUMMARY = 50_000


@dataclass(frozen=True)
class Value:
    """A metric's value, with the bounds of its 95 % confidence interval if one was estimated."""

    value: float
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True)
class SliceResult:
    """What is known of one slice.

    Attributes:
        key: The slice.
        values: Metrics that are numbers, by TFMA's key.
        error: Why there are none.
    """

    key: SliceKey
    values: Mapping[Any, Value]
    error: str = ""

    @property
    def name(self) -> str:
        """The slice as a person reads it."""
        return slice_name(self.key)

    @property
    def examples(self) -> int | None:
        """The number of rows; None if it was not counted."""
        return next((round(value.value) for key, value in self.values.items() if key.name == "example_count"), None)


def slice_name(key: SliceKey) -> str:
    """Returns `payment_type=Cash, trip_start_hour=5`; `all rows` for the overall slice."""
    return ", ".join(f"{name}={value}" for name, value in key) or "all rows"


def write_config(config: Any, folder: Path, models: Mapping[str, str]) -> None:
    """Writes `eval_config.json`; `models` says of each model, by its name in the config, where it lies."""
    from google.protobuf import json_format
    from tensorflow_model_analysis import version
    from tensorflow_model_analysis.proto import config_pb2

    run = config_pb2.EvalRun(eval_config=config, version=version.VERSION, file_format="tfrecord", model_locations=models)
    text = json.dumps(json_format.MessageToDict(run), indent=1, sort_keys=True)
    (folder / "eval_config.json").write_text(text + "\n", encoding="utf-8")


def write_results(metrics: list[tuple[SliceKey, Metrics]], config: Any, folder: Path, *, rubber_stamp: bool) -> None:
    """Writes metrics, plots and TFMA's own validation; `rubber_stamp` if bounds were dropped because there is no baseline."""
    from tensorflow_model_analysis.metrics.metric_types import PlotKey
    from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer

    plain = [(key, {name: value for name, value in found.items() if not isinstance(name, PlotKey)}) for key, found in metrics]
    plots = [(key, {name: value for name, value in found.items() if isinstance(name, PlotKey)}) for key, found in metrics]
    _write(folder / "metrics-00000-of-00001.tfrecord", (writer.convert_slice_metrics_to_proto(item, []) for item in plain))
    _write(folder / "plots-00000-of-00001.tfrecord", (writer.convert_slice_plots_to_proto(item, []) for item in plots))
    _write(folder / "validations.tfrecord", [_validation(plain, config, rubber_stamp)])


def _validation(metrics: list[tuple[SliceKey, Metrics]], config: Any, rubber_stamp: bool) -> Any:
    from tensorflow_model_analysis import constants
    from tensorflow_model_analysis.evaluators import metrics_validator
    from tensorflow_model_analysis.writers.metrics_plots_and_validations_writer import CombineValidations

    combiner = CombineValidations(config, rubber_stamp=rubber_stamp)
    total = combiner.create_accumulator()
    for item in metrics:
        if all(key.name != constants.ERROR_METRIC_NAME for key in item[1]):
            total = combiner.add_input(total, metrics_validator.validate_metrics(item, config))
    return combiner.extract_output(total)


def _write(file: Path, messages: Iterable[Any]) -> None:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(file)) as writer:
        for message in messages:
            writer.write(message.SerializeToString(deterministic=True))


def read_results(folder: Path) -> list[SliceResult]:
    """Returns the metrics of all slices: all rows first, then by feature and value."""
    found = [result for file in sorted(folder.glob("metrics-*.tfrecord")) for result in _read(file)]
    return sorted(found, key=_order)


def _order(result: SliceResult) -> list[tuple[str, bool, Any]]:
    """Numbers come by size, before texts."""
    return [(feature, isinstance(value, str), value) for feature, value in result.key]


def _read(file: Path) -> Iterator[SliceResult]:
    from tensorflow_model_analysis import constants
    from tensorflow_model_analysis.metrics.metric_types import MetricKey
    from tensorflow_model_analysis.proto import metrics_for_slice_pb2
    from tensorflow_model_analysis.slicer import slicer_lib

    for records in read_records(file):
        for record in records:
            message = metrics_for_slice_pb2.MetricsForSlice.FromString(record)
            if message.HasField("cross_slice_key"):
                continue
            items = {MetricKey.from_proto(item.key): item for item in message.metric_keys_and_values}
            errors = [item.value.bytes_value.decode() for key, item in items.items() if key.name == constants.ERROR_METRIC_NAME]
            values = {key: _value(item) for key, item in items.items() if item.value.WhichOneof("type") == "double_value"}
            yield SliceResult(slicer_lib.deserialize_slice_key(message.slice_key), values, " ".join(errors))


def _value(item: Any) -> Value:
    if not item.HasField("confidence_interval"):
        return Value(item.value.double_value.value)
    interval = item.confidence_interval
    return Value(item.value.double_value.value, interval.lower_bound.double_value.value, interval.upper_bound.double_value.value)


def summarise(
    results: list[SliceResult], *, label: str, splits: Iterable[str], baseline: str | None, subject: Subject, folder: Path
) -> dict[str, Any]:
    """Returns `summary.json` of a ModelEvaluation: metrics by slice, with the baseline's; the largest slices if there are many."""
    slices = [result for result in results if result.key]
    metrics = max((len(result.values) for result in results), default=1) or 1
    limit = min(MAX_SLICES_IN_SUMMARY, max(1, MAX_VALUES_IN_SUMMARY // metrics))
    shown = sorted(slices, key=lambda result: -(result.examples or 0))[:limit]
    overall = [result for result in results if not result.key]
    return {
        "label": label,
        "splits": list(splits),
        "examples": overall[0].examples if overall else None,
        "baseline": baseline is not None,
        "slices": [_summary(result, baseline, subject) for result in (*overall, *sorted(shown, key=_order))],
        "slices_left_out": len(slices) - len(shown),
        **take_views(folder),
    }


def _summary(result: SliceResult, baseline: str | None, subject: Subject) -> dict[str, Any]:
    metrics: dict[str, Any] = {}
    for key, value in sorted(result.values.items(), key=lambda item: _place(item[0])):
        if key.name == "example_count" or (key.is_diff and baseline is None):
            continue
        role = "difference" if key.is_diff else "baseline" if baseline is not None and key.model_name == baseline else "candidate"
        found = metrics.setdefault(metric_name(key, subject), _part(key, subject))
        found[role] = _numbers(value)
    return {
        "slice": dict(result.key),
        "name": result.name,
        "examples": result.examples,
        "error": result.error,
        "metrics": metrics,
    }


def _place(key: Any) -> tuple[str, int, str]:
    """Classes and steps come in their order."""
    return key.name, -1 if key.sub_key is None or key.sub_key.class_id is None else key.sub_key.class_id, str(key)


def _part(key: Any, subject: Subject) -> dict[str, Any]:
    """Returns the class or the step that a metric is of, as the summary tells it; nothing for one of all."""
    if key.sub_key is None or key.sub_key.class_id is None:
        return {}
    plain = metric_name(key._replace(sub_key=None), subject)
    if subject.task == "forecast":
        return {"metric": plain, "step": key.sub_key.class_id + 1}
    return {"metric": plain, "class": subject.class_name(key.sub_key.class_id)}


def metric_name(key: Any, subject: Subject) -> str:
    """Returns a metric's name with what tells it from others of the same name: output, class, weights."""
    known = key.sub_key is not None and key.sub_key.class_id is not None and subject.task != "other"
    part = subject.part_name(key.sub_key.class_id) if known else str(key.sub_key) if key.sub_key else ""
    parts = [key.name, key.output_name, part, str(key.aggregation_type) if key.aggregation_type else ""]
    return " ".join(part for part in parts if part) + (" (weighted)" if key.example_weighted else "")


def _numbers(value: Value) -> dict[str, float | None]:
    shown = {"value": finite(value.value)}
    if value.lower is not None and value.upper is not None:
        shown |= {"lower": finite(value.lower), "upper": finite(value.upper)}
    return shown


def finite(value: float | None) -> float | None:
    """Returns the value as JSON can hold it: None where it is not a number or not finite."""
    return value if value is not None and math.isfinite(value) else None
