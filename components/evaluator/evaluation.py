"""Runs an evaluation: in this process or on a Beam runner, in columns or by TFMA's own pipeline. The files are the same."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.evaluator.config import complete_config, has_change_threshold, judged_spec
from components.evaluator.engine import evaluate_file, merge_states
from components.evaluator.plan import NotInColumnsError, Plan, metrics_of, plan_of, plots_by_model, plots_plan
from components.evaluator.results import write_config, write_results
from components.evaluator.rows import find_layout
from components.evaluator.saved_model import load_model
from components.evaluator.subject import UNKNOWN, Subject, find_subject
from components.evaluator.views import Viewing, write_views
from components.evaluator.worst import Keeping
from pipeline.beam import LOCAL_RUNNERS, runner_name
from pipeline.context import Context
from pipeline.errors import DataError

if TYPE_CHECKING:
    from components.evaluator.engine import State


@dataclass(frozen=True)
class Evaluation:
    """What is evaluated, and where the results go.

    Attributes:
        config: The complete `EvalConfig`.
        files: TFRecord files.
        models: The SavedModel's folder by the model's name in the config.
        schema: The schema of the examples, if there is one.
        folder: Where TFMA's files are written.
        rubber_stamp: Whether there are bounds against a baseline and no baseline.
        subject: What is evaluated.
        viewing: What is kept besides the metrics.
    """

    config: Any
    files: tuple[Path, ...]
    models: Mapping[str, str]
    schema: Any | None
    folder: Path
    rubber_stamp: bool
    subject: Subject
    viewing: Viewing


def subject_of(written: Any, files: Sequence[Path], candidate: Path, schema: Any | None, bundle: str | None, context: Context) -> Subject:
    """Returns what is evaluated; that of a written `EvalConfig` may be something that only TFMA knows.

    Raises:
        DataError: If the model is of another kind than the bundle of metrics says, or label or prediction cannot be found.
    """
    spec = judged_spec(written, load_model(str(candidate)))
    if not spec.label_key or spec.prediction_keys:
        return UNKNOWN
    try:
        return find_subject(files, spec, str(candidate), schema, bundle)
    except DataError as error:
        if not written.metrics_specs:
            raise
        context.log.info("There are no plots, because %s", error)
        return UNKNOWN


def prepare(
    written: Any,
    files: Sequence[Path],
    candidate: Path,
    baseline: Path | None,
    schema: Any | None,
    folder: Path,
    subject: Subject,
    viewing: Viewing,
) -> Evaluation:
    """Returns the evaluation that a config, as its author wrote it, asks for; loads the models.

    Raises:
        DataError: If it is open which output of a model is its prediction.
    """
    models = [load_model(str(candidate))] + ([load_model(str(baseline))] if baseline else [])
    config = complete_config(written, models[0], models[1] if baseline else None)
    paths = {spec.name: str(baseline if spec.is_baseline and baseline else candidate) for spec in config.model_specs}
    rubber_stamp = baseline is None and has_change_threshold(written)
    return Evaluation(config, tuple(files), paths, schema, folder, rubber_stamp, subject, viewing)


def run(evaluation: Evaluation, context: Context) -> None:
    """Evaluates and writes TFMA's files.

    Raises:
        DataError: If label, weight or a slice cannot be found, or rows or their labels are missing.
    """
    config = evaluation.config
    write_config(config, evaluation.folder, {name: name or "candidate" for name in evaluation.models})
    serialized = config.SerializeToString(deterministic=True)
    schema = None if evaluation.schema is None else evaluation.schema.SerializeToString(deterministic=True)
    plan = functools.partial(plan_of, serialized, schema, evaluation.subject)
    try:
        plan()
    except NotInColumnsError as reason:
        context.log.warning("TFMA's own pipeline evaluates row by row, because %s.", reason)
        _run_tfma(evaluation, context)
        if evaluation.subject is UNKNOWN:
            return
        plan = functools.partial(plots_plan, serialized, evaluation.subject)
    _run_columns(evaluation, plan, context)


def _run_columns(evaluation: Evaluation, plan: Callable[[], Plan], context: Context) -> None:
    layout = find_layout(evaluation.files, plan().config, evaluation.models, evaluation.schema)
    keeping = Keeping(evaluation.viewing.worst, evaluation.subject)
    evaluate = functools.partial(evaluate_file, layout=layout, plan=plan, keeping=keeping)
    finish = functools.partial(_finish, evaluation=evaluation, plan=plan)
    files = [str(file) for file in evaluation.files]
    if runner_name(context.beam_args) in LOCAL_RUNNERS:
        finish(merge_states(evaluate(file) for file in files))
        return
    import apache_beam as beam

    with context.beam() as pipeline:
        _ = (
            pipeline
            | f"{context.node}/Files" >> beam.Create(files)
            | f"{context.node}/Evaluate" >> beam.Map(evaluate)
            | f"{context.node}/Merge" >> beam.CombineGlobally(merge_states)
            | f"{context.node}/Write" >> beam.Map(finish)
        )


def _finish(state: State, evaluation: Evaluation, plan: Callable[[], Plan]) -> None:
    made = plan()
    if made.computes_metrics:
        write_results(metrics_of(state, made), made.config, evaluation.folder, rubber_stamp=evaluation.rubber_stamp)
    write_views(plots_by_model(state, made, evaluation.subject), state.worst, evaluation.subject, evaluation.viewing, evaluation.folder)


def _run_tfma(evaluation: Evaluation, context: Context) -> None:
    """Evaluates by TFMA's `ExtractEvaluateAndWriteResults`, on Arrow batches."""
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writers
    from tfx_bsl.public import tfxio

    source = tfxio.TFExampleRecord(
        [str(file) for file in evaluation.files], schema=evaluation.schema, raw_record_column_name=tfma.ARROW_INPUT_COLUMN
    )
    models = [
        tfma.default_eval_shared_model(
            model_name=name, eval_saved_model_path=path, eval_config=evaluation.config, rubber_stamp=evaluation.rubber_stamp
        )
        for name, path in evaluation.models.items()
    ]
    outputs = {key: str(evaluation.folder / key) for key in (tfma.METRICS_KEY, tfma.PLOTS_KEY, tfma.VALIDATIONS_KEY)}
    writer = writers.MetricsPlotsAndValidationsWriter(outputs, evaluation.config, rubber_stamp=evaluation.rubber_stamp)
    with context.beam() as pipeline:
        _ = (
            pipeline
            | f"{context.node}/Read" >> source.BeamSource()
            | f"{context.node}/Evaluate"
            >> tfma.ExtractEvaluateAndWriteResults(
                eval_shared_model=models if len(models) > 1 else models[0],
                eval_config=evaluation.config,
                writers=[writer],
                tensor_adapter_config=_adapter(source) if evaluation.schema is not None else None,
                schema=evaluation.schema,
            )
        )


def _adapter(source: Any) -> Any:
    from tfx_bsl.tfxio import tensor_adapter

    return tensor_adapter.TensorAdapterConfig(arrow_schema=source.ArrowSchema(), tensor_representations=source.TensorRepresentations())
