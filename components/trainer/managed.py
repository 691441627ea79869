"""The managed way: `build_model` makes the model, cauce feeds, trains, watches and exports it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.trainer.data import (
    Batch,
    FeatureSource,
    Split,
    batch_function,
    check_label,
    evaluation_data,
    feature_source,
    training_data,
)
from components.trainer.export import check_classes, export_model, missing_when_serving
from components.trainer.loop import History, Plan, fit
from components.trainer.model_context import ModelContext
from components.trainer.settings import SERVING_FOLDER, Artifacts, Settings
from components.transform.summary import vocabularies
from pipeline.context import Context
from pipeline.errors import DataError, UserCodeError

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

WEIGHTS_FILE = "Format-Keras/model.weights.h5"
LOG_FOLDER = "logs"


def train(context: Context, build_model: Callable[[ModelContext], Any], artifacts: Artifacts, settings: Settings) -> None:
    """Builds, trains and exports one model."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(settings.seed)
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    source = feature_source(context.node, artifacts)
    label = check_label(context.node, settings.label, source)
    training = Split.of(context.node, artifacts.examples, settings.train_splits)
    evaluation = Split.of(context.node, artifacts.examples, settings.eval_splits) if settings.eval_splits else None
    plan = _plan(settings, training.rows)
    model_context = _model_context(settings, source, label, training.rows, plan, artifacts)
    model = _build(context, settings.module, build_model, model_context)
    if artifacts.base_model is not None:
        _warm_start(context.node, model, artifacts.base_model.path)
    inputs = _input_names(context.node, settings.module, model, model_context)
    shape = getattr(model, "output_shape", None)  # unknown before the first call of a subclass, and a dict with several outputs
    if isinstance(shape, tuple):
        check_classes(shape[-1], model_context.classes)
    data = _datasets(settings, batch_function(source, label, inputs), training, evaluation)
    logs = artifacts.model_run.path / LOG_FOLDER
    logs.mkdir()
    history = fit(model, *data, plan, logs=logs, report=context.progress)
    context.progress("exporting")
    exported = export_model(model, artifacts.model.path / SERVING_FOLDER, source, inputs, model_context.classes)
    weights = artifacts.model.path / WEIGHTS_FILE
    weights.parent.mkdir()
    model.save_weights(weights)
    _summarize(artifacts, model, model_context, exported, history, settings, plan)


def _plan(settings: Settings, rows: int) -> Plan:
    if settings.train_steps is not None:
        per_round = settings.steps_per_evaluation or settings.train_steps
        rounds = settings.train_steps // per_round
    else:
        per_round = math.ceil(rows / settings.batch_size)
        rounds = settings.epochs or 1
    return Plan(
        rounds=rounds,
        steps_per_round=per_round,
        monitor=settings.monitor,
        patience=settings.early_stopping_patience,
        learning_rate=settings.learning_rate,
        schedule=settings.learning_rate_schedule,
        jit_compile=settings.jit_compile,
    )


def _model_context(settings: Settings, source: FeatureSource, label: str, rows: int, plan: Plan, artifacts: Artifacts) -> ModelContext:
    terms = vocabularies(source.transform) if source.transform is not None else {}
    left_out = {label} | missing_when_serving(source)
    return ModelContext(
        features={name: spec for name, spec in source.spec.items() if name not in left_out},
        domains=source.domains,
        label=label,
        classes=settings.classes if settings.classes is not None else terms.get(label, ()),
        vocabularies=terms,
        hyperparameters=artifacts.tuned_values(),
        custom_config=settings.custom_config,
        train_rows=rows,
        train_steps=plan.steps,
        batch_size=settings.batch_size,
    )


def _build(context: Context, module: str, build_model: Callable[[ModelContext], Any], model_context: ModelContext) -> keras.Model:
    import keras

    built = build_model(model_context)
    if not isinstance(built, keras.Model):
        raise UserCodeError(
            f"Node '{context.node}': build_model of {module} must return a compiled keras.Model of Keras 3. "
            f"Received: {built!r} of type {type(built).__module__}.{type(built).__qualname__}"
        )
    if not built.compiled:
        raise UserCodeError(
            f"Node '{context.node}': the model of {module} is not compiled.", hint="Call model.compile(...) in build_model."
        )
    return built


def _input_names(node: str, module: str, model: keras.Model, model_context: ModelContext) -> tuple[str, ...]:
    """Returns the features that go into the model: those that a functional model names, else all.

    Raises:
        UserCodeError: If the model has an input that is no feature.
    """
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return tuple(model_context.features)
    names = tuple(tensor.name for tensor in inputs)
    unknown = sorted(set(names).difference(model_context.features))
    if unknown:
        raise UserCodeError(
            f"Node '{node}': the model of {module} has the inputs {', '.join(unknown)}, which are no features. "
            f"Features: {', '.join(model_context.features)}.",
            hint="The label, and what the schema says is missing when serving, cannot go into a model.",
        )
    return names


def _warm_start(node: str, model: keras.Model, base_model: Path) -> None:
    weights = base_model / WEIGHTS_FILE
    if not weights.is_file():
        raise DataError(f"Node '{node}': the base model {base_model} has no {WEIGHTS_FILE}. Expected a model of the managed loop.")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Skipping", UserWarning)  # the state of the optimizer stays behind
            model.load_weights(weights)
    except ValueError as error:
        raise UserCodeError(
            f"Node '{node}': the weights of the base model {base_model} do not fit the model: {error}",
            hint="Build the same layers, with vocabularies of the same size; or train without a base model.",
        ) from error


def _datasets(
    settings: Settings, to_batch: Batch, training: Split, evaluation: Split | None
) -> tuple[tf.data.Dataset, tf.data.Dataset | None]:
    batch_size = settings.batch_size
    endless = training_data(
        training,
        to_batch,
        batch_size=batch_size,
        shuffle_rows=settings.shuffle_rows,
        seed=settings.seed,
        whole_batches=settings.train_steps is not None,
    )
    if evaluation is None:
        return endless, None
    return endless, evaluation_data(evaluation, to_batch, batch_size=batch_size, steps=settings.eval_steps)


def _summarize(
    artifacts: Artifacts,
    model: keras.Model,
    model_context: ModelContext,
    exported: Mapping[str, Any],
    history: History,
    settings: Settings,
    plan: Plan,
) -> None:
    metrics = {name: values[history.best_round - 1] for name, values in history.metrics.items()}
    artifacts.model.write_summary(
        {
            "way": "build_model",
            "label": model_context.label,
            "classes": list(model_context.classes),
            "parameters": int(model.count_params()),
            "metrics": metrics,
            **exported,
        }
    )
    artifacts.model_run.write_summary(
        {
            "way": "build_model",
            "steps": len(history.metrics["loss"]) * plan.steps_per_round,
            "batch_size": settings.batch_size,
            "seed": settings.seed,
            "best_round": history.best_round,
            "history": history.metrics,
        }
    )
