"""The `EvalConfig` of TensorFlow Model Analysis (TFMA): made from the component's parameters, or read from a file.

From here on the `EvalConfig` is all that the evaluation knows, whichever way it came.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.evaluator.metric import bundle_of, spread_bundles
from components.evaluator.metric_config import PLOTS_OF_BUNDLES, metrics_specs, slicing_spec
from components.evaluator.saved_model import TRANSFORM_SIGNATURE, ServedModel
from components.evaluator.subject import Subject
from components.evaluator.threshold import OVERALL, Slice, Threshold
from components.schema.file import existing_file
from pipeline.errors import DataError

if TYPE_CHECKING:
    from tensorflow_model_analysis.proto import config_pb2


def build_config(
    *,
    label: str,
    prediction: str | None,
    weight: str | None,
    slices: tuple[Slice, ...],
    thresholds: tuple[Threshold, ...],
    confidence_intervals: str | None,
    min_slice_size: int,
) -> config_pb2.EvalConfig:
    """Returns the config that says the same as the parameters, but for the metrics, which `add_metrics` adds."""
    from tensorflow_model_analysis.proto import config_pb2

    judged = [slice_ for threshold in thresholds for slice_ in threshold.slices]
    everywhere = dict.fromkeys((OVERALL, *slices, *judged))
    config = config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(label_key=label, prediction_key=prediction or "", example_weight_key=weight or "")],
        slicing_specs=[slicing_spec(slice_) for slice_ in everywhere],
    )
    if min_slice_size > 1:
        config.options.min_slice_size.value = min_slice_size
    if confidence_intervals:
        method = {"bootstrap": "POISSON_BOOTSTRAP", "jackknife": "JACKKNIFE"}[confidence_intervals]
        config.options.compute_confidence_intervals.value = True
        config.options.confidence_intervals.method = config_pb2.ConfidenceIntervalOptions.ConfidenceIntervalMethod.Value(method)
    return config


def add_metrics(
    config: config_pb2.EvalConfig,
    metrics: str | tuple[str, ...],
    plots: tuple[str, ...],
    thresholds: tuple[Threshold, ...],
    subject: Subject,
) -> None:
    """Adds the metrics and plots of the parameters, on what is evaluated.

    Raises:
        DataError: If a metric is not one of what is evaluated, or names a class or step that there is not.
    """
    bundled = PLOTS_OF_BUNDLES.get(subject.task, ()) if bundle_of(metrics) else ()
    config.metrics_specs.extend(metrics_specs(spread_bundles(metrics), dict.fromkeys((*plots, *bundled)), thresholds, subject))


def judged_spec(config: config_pb2.EvalConfig, candidate: ServedModel) -> config_pb2.ModelSpec:
    """Returns the candidate's `ModelSpec` with its signature.

    Raises:
        DataError: If it is open which output of the model is its prediction.
    """
    from tensorflow_model_analysis.proto import config_pb2

    spec = config_pb2.ModelSpec()
    spec.CopyFrom(next((spec for spec in config.model_specs if not spec.is_baseline), spec))
    spec.signature_name = spec.signature_name or "serving_default"
    if not spec.prediction_keys:
        spec.prediction_key = candidate.prediction_output(spec.signature_name, spec.prediction_key)
    return spec


def read_config(file: Path) -> config_pb2.EvalConfig:
    """Reads an `EvalConfig` as text protocol buffer.

    Raises:
        DataError: If there is no such file, or it cannot be parsed (with the line).
    """
    from google.protobuf import text_format
    from tensorflow_model_analysis.proto import config_pb2

    try:
        return text_format.Parse(existing_file(file, "EvalConfig").read_text(encoding="utf-8"), config_pb2.EvalConfig())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise DataError(f"{file} is not an EvalConfig of TFMA as text: {error}", hint="Expected model_specs, metrics_specs, ...") from error


def complete_config(config: config_pb2.EvalConfig, candidate: ServedModel, baseline: ServedModel | None) -> config_pb2.EvalConfig:
    """Returns the config as it is run: a specification per model, example counts, and no bound against a baseline that is not there.

    Raises:
        DataError: If it is open which output of a model is its prediction.
    """
    from tensorflow_model_analysis.proto import config_pb2
    from tensorflow_model_analysis.utils import config_util

    counted = config_pb2.EvalConfig()
    counted.CopyFrom(config)
    counted.metrics_specs.add(metrics=[{"class_name": "ExampleCount"}], example_weights={"unweighted": True})
    if len(counted.model_specs) == 1:
        counted.model_specs[0].name = ""
    config = config_util.update_eval_config_with_defaults(counted, has_baseline=baseline is not None, rubber_stamp=True)
    for spec in config.model_specs:
        model = baseline if spec.is_baseline and baseline is not None else candidate
        spec.signature_name = spec.signature_name or "serving_default"
        if not spec.prediction_keys and len(model.outputs(spec.signature_name)) != 1:
            spec.prediction_key = model.prediction_output(spec.signature_name, spec.prediction_key)
        if model.outputs(TRANSFORM_SIGNATURE) and not spec.preprocessing_function_names:
            spec.preprocessing_function_names.append(TRANSFORM_SIGNATURE)
    if not config.slicing_specs:
        config.slicing_specs.add()
    return config


def thresholds_of(config: config_pb2.EvalConfig) -> dict[Any, list[tuple[config_pb2.SlicingSpec | None, Any]]]:
    """Returns the thresholds of a config by TFMA's metric key, each with its slices (None for every slice)."""
    from tensorflow_model_analysis.metrics import metric_specs

    return dict(metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config))


def baseline_of(config: config_pb2.EvalConfig) -> str | None:
    """Returns the name of the baseline model; None if there is none."""
    return next((spec.name for spec in config.model_specs if spec.is_baseline), None)


def has_change_threshold(config: config_pb2.EvalConfig) -> bool:
    """Tells whether a config has a bound against a baseline."""
    from tensorflow_model_analysis.utils import config_util

    return bool(config_util.has_change_threshold(config))
