"""The managed way: the user's function makes the model; cauce feeds, trains, watches and exports it."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.trainer.base_model import building, warm_start
from components.trainer.checkpoint import Checkpointer
from components.trainer.distribution import Devices, devices_for
from components.trainer.export import check_classes, export_model
from components.trainer.history import History, write_history
from components.trainer.learning_rate import Plateau
from components.trainer.logs import tensorboard_callbacks
from components.trainer.loop import Loop, steps_at_once
from components.trainer.moment import Listener
from components.trainer.optimization import arithmetic, averaged_variables, compute_in_float32, configure_optimizer
from components.trainer.preparation import Preparation, prepare
from components.trainer.progress import Pace, Reporting
from components.trainer.reading import reading
from components.trainer.settings import SERVING_FOLDER, WEIGHTS_FILE, Artifacts, Settings
from components.trainer.stepwise import served_model
from components.trainer.stopping import EarlyStopping, Improvement
from components.trainer.stream import TrainingStream, evaluation_data
from components.trainer.summary import describe
from components.trainer.user_module import UserModule, built_model
from components.trainer.watch.tried import Tried
from components.trainer.watch.watcher import Watcher
from pipeline.context import Context
from pipeline.errors import ExecutionError, UserCodeError

if TYPE_CHECKING:
    import keras

LOG_FOLDER = "logs"


@dataclass(frozen=True)
class Trained:
    """A trained model and what is to be said of its training.

    Attributes:
        model: The model, with the weights of the best round or the last.
        history: Its history.
        ended: Why training ended.
        pace: How fast it was.
        resumed_at: The steps at which it went on after an interruption.
        watcher: The training watch.
    """

    model: keras.Model
    history: History
    ended: str
    pace: Pace
    resumed_at: tuple[int, ...]
    watcher: Watcher


def train(context: Context, module: UserModule, artifacts: Artifacts, settings: Settings) -> None:
    """Builds, trains and exports one model."""
    import keras
    import tensorflow as tf

    if keras.backend.backend() != settings.backend:
        raise ExecutionError(
            f"Node '{context.node}': Keras has the backend '{keras.backend.backend()}' in this process. Expected: '{settings.backend}'.",
            hint="Keras chooses it when it is imported: is KERAS_BACKEND set, or does the definition import keras?",
        )
    keras.utils.set_random_seed(settings.seed)
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    context.progress("reading the features")
    prepared = prepare(context.node, module, artifacts, settings)
    devices = devices_for(context.node, settings)
    with devices.scope(), arithmetic(settings.precision):
        model = _build(context, module, prepared, artifacts, settings)
    prepared = prepared.fed_with(_input_names(context.node, module.name, model, prepared))
    trained = _train(context, module, model, prepared, devices, settings)
    context.progress("exporting")
    logs = artifacts.model_run.path / LOG_FOLDER
    shutil.copytree(_logs(context), logs)
    write_history(trained.history, artifacts.model_run.path, logs)
    served = served_model(trained.model)
    compute_in_float32(served)
    exported = export_model(
        served,
        artifacts.model.path / SERVING_FOLDER,
        prepared.source,
        prepared.maker.inputs,
        prepared.model_context.classes,
        settings.sequences,
    )
    weights = artifacts.model.path / WEIGHTS_FILE
    weights.parent.mkdir()
    served.save_weights(weights)
    describe(context, artifacts, trained, prepared, exported, devices, settings)


def _build(context: Context, module: UserModule, prepared: Preparation, artifacts: Artifacts, settings: Settings) -> keras.Model:
    """Returns the user's model, with its optimizer as the node wants it and the weights of the base model."""
    with building(context.node):
        model = built_model(context.node, module, module.function(prepared.model_context))
    if artifacts.base_model is not None:
        warm_start(context.node, served_model(model), artifacts.base_model)
    configure_optimizer(model, settings, prepared.plan.steps)
    model.jit_compile = settings.jit_compile or (model.jit_compile and settings.backend == "jax")
    profiled = 1 if settings.tensorboard.profile else None
    stops = (settings.checkpoints.every_steps if settings.checkpoints else None, settings.watch.every_steps, profiled)
    model.steps_per_execution = steps_at_once(model, math.gcd(prepared.plan.steps_per_round, *(stop for stop in stops if stop)))
    return model


def _input_names(node: str, module: str, model: keras.Model, prepared: Preparation) -> tuple[str, ...]:
    """Returns the features that go into the model: those that a functional model names, else all.

    Raises:
        UserCodeError: If the model has an input that is no feature, or not an output for each class.
    """
    features = prepared.model_context.features
    model = served_model(model)
    shape = getattr(model, "output_shape", None)  # unknown before the first call of a subclass, and a dict with several outputs
    if isinstance(shape, tuple):
        check_classes(shape[-1], prepared.model_context.classes)
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return tuple(features)
    names = tuple(tensor.name for tensor in inputs)
    unknown = sorted(set(names).difference(features))
    if unknown:
        raise UserCodeError(
            f"Node '{node}': the model of {module} has the inputs {', '.join(unknown)}, which are no features. "
            f"Features: {', '.join(features)}.",
            hint="The label, weights, and what the schema says is missing when serving, cannot go into a model.",
        )
    return names


def _logs(context: Context) -> Path:
    return context.state / LOG_FOLDER


def _train(
    context: Context, module: UserModule, model: keras.Model, prepared: Preparation, devices: Devices, settings: Settings
) -> Trained:
    plan = prepared.plan
    stream = TrainingStream(prepared.training, prepared.maker, prepared.order)
    evaluation = None
    if prepared.evaluation is not None:
        evaluation = evaluation_data(prepared.evaluation, prepared.maker, batch_size=settings.batch_size, steps=settings.eval_steps)
    history = History(plan)
    uncounted = _why_uncounted(devices, settings)
    watcher = Watcher(settings.watch, module, prepared, stream, context.log, Tried.of(settings, model, prepared), uncounted=uncounted)
    kept = _listeners(history, watcher, settings)
    reporting = Reporting(context.progress, plan, None if uncounted else watcher.look_at_input)
    listeners: list[Listener] = [history, reporting, *(listener for listener in kept.values() if listener is not history)]
    saved = None
    if settings.checkpoints is not None:
        checkpointer = Checkpointer(context.state, settings.checkpoints, plan.steps_per_round, kept)
        listeners.append(checkpointer)
        saved = checkpointer.load()
    if saved is None:
        shutil.rmtree(_logs(context), ignore_errors=True)
    _logs(context).mkdir(parents=True, exist_ok=True)
    resumed_at = (*(saved.resumed_at if saved else ()), *((saved.step,) if saved else ()))
    if saved is not None:
        context.log.info("goes on at step %d, from a checkpoint", saved.step)
    loop = Loop(
        model,
        lambda step: stream.begin(step, counted=not uncounted),
        evaluation,
        plan,
        listeners,
        tensorboard_callbacks(_logs(context), settings.tensorboard),
        track_rate=_rate_changes(model, settings),
    )
    with reading(context.node, prepared.training):
        ended = loop.run(saved)
    stopping = kept.get("early_stopping")
    if isinstance(stopping, EarlyStopping) and stopping.best_round:
        history.best_round = stopping.best_round
    return Trained(model, history, ended, loop.pace or Pace(), resumed_at, watcher)


def _why_uncounted(devices: Devices, settings: Settings) -> str:
    """Returns why batches cannot be counted as they are made; empty if they can."""
    if devices.distributed is not None:
        return "TensorFlow hands the batches to several devices"
    # tf.data then gives up what it would do ahead wherever an operation has state, as the shuffling of each pass has.
    return "deterministic training makes no batch ahead" if settings.deterministic else ""


def _listeners(history: History, watcher: Watcher, settings: Settings) -> dict[str, Listener]:
    """Returns the listeners that a checkpoint keeps, by name, in the order in which they hear."""
    listeners: dict[str, Listener] = {"history": history}
    if settings.learning_rate.schedule == "plateau":
        listeners["plateau"] = Plateau(settings.learning_rate, Improvement(settings.monitor))
    listeners["watch"] = watcher
    if settings.early_stopping_patience is not None:
        listeners["early_stopping"] = EarlyStopping(Improvement(settings.monitor), settings.early_stopping_patience, averaged_variables)
    return listeners


def _rate_changes(model: keras.Model, settings: Settings) -> bool:
    from components.trainer.learning_rate import inner_optimizer

    return settings.learning_rate.schedule == "plateau" or not hasattr(inner_optimizer(model)._learning_rate, "assign")
