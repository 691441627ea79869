"""The Trainer component: its inputs, outputs and parameters, and the choice between the ways to train."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from components.trainer.options import Backend, Checkpoints, LearningRate, Precision, Sequences, TensorBoard, Watch
from components.trainer.warm_start import WarmStartDriver
from pipeline.artifacts import Examples, HyperParameters, Model, ModelRun, Schema, TransformGraph
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from pipeline.errors import DefinitionError

_COUNTS = (
    "train_steps",
    "eval_steps",
    "epochs",
    "steps_per_evaluation",
    "batch_size",
    "shuffle_rows",
    "early_stopping_patience",
    "accumulation_steps",
)


class Trainer(Component):
    """Trains a Keras model with the user's code, and exports one SavedModel with the transform inside.

    The user's module has one of three functions. `build_model(context)` returns a compiled Keras 3 model, and cauce feeds, trains,
    watches and exports it (see `components.trainer.ModelContext`). `build_trainer(context)` returns a model and its own training step,
    and cauce does the rest (see `components.trainer.Steps`). `run_fn(fn_args)` does everything itself, as in TFX: change the import of
    `FnArgs` to `from components.trainer import FnArgs`.

    A function `augment(features, label, seed)` beside it changes each row of the training data, and only of the training data, while it
    is read; `seed`, an integer tensor `[2]`, is another one for each row and pass, for `tf.image.stateless_random_*`.

    Inputs:
        examples: One or more, with the same splits. Examples that are not transformed (of a Transform with `materialize=False`) are
            transformed while they are read.
        transform_graph: The transform that goes into the model; without one the model takes raw features.
        schema: Needed without a transform graph; otherwise only handed to `run_fn`.
        base_model: A model to start from: the layers of `build_model` get its weights. One that a Resolver selects, such as the
            champion, is no reason to train again where nothing else changed.
        hyperparameters: Handed to the user's code.

    Outputs:
        model: `Format-Serving/`, a SavedModel with the signatures that `components.trainer.export` describes, the Keras weights, and
            `summary.json` (`schemas/summaries/Model.json`).
        model_run: Learning curves (`curves.png`, `curves.json`), below `logs/` the TensorBoard logs and `history.json`, and
            `summary.json` (`schemas/summaries/ModelRun.json`).

    Args:
        module: The user's module, or `module:function`; a function whose name ends with `run_fn` is called as in TFX. Default: `model`.
        label: Name of the label among the transformed features; needed for `build_model`. Default: None.
        classes: Names of the classes in the order of the label's values. Default: None, for the vocabulary named as the label, if there is
            one: `tft.compute_and_apply_vocabulary(..., vocab_filename="species")` for the label `species`.
        train_splits: Where to train. Default: `("train",)`.
        eval_splits: Where to evaluate while training. Default: `("eval",)`.
        train_steps: Training steps in all; the data are repeated as needed. Default: None.
        eval_steps: Steps of one evaluation. Default: None, for all rows.
        epochs: Passes over the training data, instead of `train_steps`. Default: None; one pass if `train_steps` is not given either.
        steps_per_evaluation: Training steps between two evaluations; must divide `train_steps`. Default: None, for one evaluation at the
            end; with `epochs` there is one after each pass.
        batch_size: Rows per step, of all devices together. Default: 64.
        shuffle_rows: Rows among which the next one is drawn. Default: None, for as many as have 256 MiB before compression, and at least
            10,000: rows that lie class by class, as those of folders do, must be mixed thoroughly.
        sequences: How features of varying length are padded, and whether rows of similar length come together; see `Sequences`.
            Default: None, for sparse or ragged inputs.
        seed: Of weights, dropout, augmentation and order of rows. Default: 0.
        learning_rate: Replaces that of the model's optimizer: a number, or a `LearningRate` with schedule and warm-up. Default: None.
        early_stopping_patience: Evaluations without improvement after which training ends, with the weights of the best one. Default: None,
            to train to the end.
        monitor: The value that tells the best evaluation: `val_` and the name of a metric. Default: `val_loss`.
        class_weights: The weight of each class in training, by its name (or the label's value, as text); `"balanced"` makes all classes
            weigh the same in all. Default: None.
        sample_weights: The feature with the weight of each row, in training and evaluation; it does not go into the model. Default: None.
        accumulation_steps: Steps whose gradients are added up for one change of the weights. Default: 1.
        gradient_clipping: The longest that the gradient of all weights together may be; longer ones are shortened. Default: None.
        ema: Share of the old value in a moving average of the weights, for example 0.999; the average is evaluated and exported.
            Default: None.
        precision: `mixed_bfloat16` or `mixed_float16` (with loss scaling) compute in 16 bits where layers allow it; weights, and the
            exported model, stay in 32. Default: `float32`.
        jit_compile: Whether XLA compiles the training step, whatever `model.compile` says. Default: False.
        deterministic: Whether equal seeds give equal weights on a GPU too, at some cost; on a CPU they do anyway. Default: False.
        backend: Keras' backend, `tensorflow` or `jax` (`pip install cauce[jax]`); the exported model is a SavedModel in any case.
            Default: `tensorflow`.
        distribute: Whether all visible GPUs of this machine train, each with a part of the batch. Default: True.
        checkpoints: Whether, and how often, to keep what a killed training needs to go on; see `Checkpoints`. Default: True.
        watch: Whether, and how, to watch for what goes wrong in training; see `Watch`. A loss that is no number ends the training even
            without it. Default: True.
        tensorboard: What the TensorBoard logs hold; see `TensorBoard`. Default: None, for loss and metrics.
        custom_config: Handed to the user's code. Default: None, for an empty dict.

    Raises:
        DefinitionError: If the module has none of the functions, or parameters contradict one another.
        UserCodeError: If the user's code raises, returns no compiled Keras 3 model, or saves no model.
        DataError: If there is no label of that name, a split has no rows, a file does not decode, or weights cannot be downloaded.
        ExecutionError: If the watch stops the training, for example because the loss is no number.

    Example:
        # definition.py
        trainer = Trainer(transform.transformed_examples, transform.transform_graph, module="model", label="rides", train_steps=100)

        # model.py
        import keras

        def build_model(context):
            inputs = context.inputs()
            hidden = keras.layers.concatenate([inputs["temperature"], keras.layers.CategoryEncoding(24)(inputs["hour"])])
            model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
            model.compile(optimizer="adam", loss="mse")
            return model
    """

    driver = WarmStartDriver
    needs = ("tensorflow", "keras", "tensorflow_transform")
    libraries = ("tensorflow", "keras", "tensorflow-transform", "tfx-bsl")
    user_code = ("module",)

    @classmethod
    def environment(cls, parameters: Mapping[str, Any]) -> dict[str, str]:
        """Returns what tells Keras its backend, which it chooses when it is imported."""
        return {"KERAS_BACKEND": parameters["backend"]} if parameters["backend"] != "tensorflow" else {}

    def validate(self) -> None:
        """Checks the parameters against one another."""
        values = self.parameters
        for name in _COUNTS:
            if values[name] is not None and values[name] < 1:
                raise DefinitionError(f"Node '{self.id}': {name} must be at least 1. Received: {values[name]}")
        if values["backend"] == "jax" and importlib.util.find_spec("jax") is None:
            raise DefinitionError(f"Node '{self.id}': the backend 'jax' is not installed.", hint="pip install 'cauce[jax]'")
        if values["train_steps"] and values["epochs"]:
            raise DefinitionError(f"Node '{self.id}': give either train_steps or epochs. Received both.")
        per_evaluation = values["steps_per_evaluation"]
        if per_evaluation and (not values["train_steps"] or values["train_steps"] % per_evaluation):
            raise DefinitionError(
                f"Node '{self.id}': steps_per_evaluation must divide train_steps. "
                f"Received: steps_per_evaluation={per_evaluation}, train_steps={values['train_steps']}"
            )
        if values["gradient_clipping"] is not None and not values["gradient_clipping"] > 0:
            raise DefinitionError(f"Node '{self.id}': gradient_clipping must be above 0. Received: {values['gradient_clipping']}")
        if values["ema"] is not None and not 0 < values["ema"] < 1:
            raise DefinitionError(f"Node '{self.id}': ema must lie between 0 and 1, for example 0.999. Received: {values['ema']}")
        if isinstance(values["class_weights"], str) and values["class_weights"] != "balanced":
            raise DefinitionError(
                f"Node '{self.id}': class_weights expects a weight by class, or 'balanced'. Received: {values['class_weights']!r}"
            )

    def execute(
        self,
        context: Context,
        *,
        examples: Input[list[Examples]],
        transform_graph: Input[TransformGraph] | None = None,
        schema: Input[Schema] | None = None,
        base_model: Input[Model] | None = None,
        hyperparameters: Input[HyperParameters] | None = None,
        model: Output[Model],
        model_run: Output[ModelRun],
        module: str = "model",
        label: str | None = None,
        classes: tuple[str, ...] | None = None,
        train_splits: tuple[str, ...] = ("train",),
        eval_splits: tuple[str, ...] = ("eval",),
        train_steps: int | None = None,
        eval_steps: int | None = None,
        epochs: int | None = None,
        steps_per_evaluation: int | None = None,
        batch_size: int = 64,
        shuffle_rows: int | None = None,
        sequences: Sequences | None = None,
        seed: int = 0,
        learning_rate: float | LearningRate | None = None,
        early_stopping_patience: int | None = None,
        monitor: str = "val_loss",
        class_weights: dict[str, float] | str | None = None,
        sample_weights: str | None = None,
        accumulation_steps: int = 1,
        gradient_clipping: float | None = None,
        ema: float | None = None,
        precision: Precision = "float32",
        jit_compile: bool = False,
        deterministic: bool = False,
        backend: Backend = "tensorflow",
        distribute: bool = True,
        checkpoints: Checkpoints | bool = True,
        watch: Watch | bool = True,
        tensorboard: TensorBoard | None = None,
        custom_config: dict[str, Any] | None = None,
    ) -> None:
        """Trains and exports."""
        from components.records import refuse_sequences
        from components.tensorflow_setup import grow_gpu_memory, prefer_keras_3
        from components.trainer.managed import train
        from components.trainer.run_fn import call_run_fn
        from components.trainer.settings import Artifacts, Settings
        from components.trainer.user_module import RUN_FN, load_user_module

        refuse_sequences(context.node, examples)
        context.note(gpus=grow_gpu_memory(), seed=seed)
        prefer_keras_3()
        artifacts = Artifacts(examples, transform_graph, schema, base_model, hyperparameters, model, model_run)
        settings = Settings(
            module=module,
            label=label,
            classes=classes,
            train_splits=train_splits,
            eval_splits=eval_splits,
            train_steps=train_steps,
            eval_steps=eval_steps,
            epochs=epochs,
            steps_per_evaluation=steps_per_evaluation,
            batch_size=batch_size,
            shuffle_rows=shuffle_rows,
            sequences=sequences,
            seed=seed,
            learning_rate=learning_rate if isinstance(learning_rate, LearningRate) else LearningRate(learning_rate),
            early_stopping_patience=early_stopping_patience,
            monitor=monitor,
            class_weights=class_weights,
            sample_weights=sample_weights,
            accumulation_steps=accumulation_steps,
            gradient_clipping=gradient_clipping,
            ema=ema,
            precision=precision,
            jit_compile=jit_compile,
            deterministic=deterministic,
            backend=backend,
            distribute=distribute,
            checkpoints=(Checkpoints() if checkpoints else None) if isinstance(checkpoints, bool) else checkpoints,
            watch=(Watch() if watch else Watch.only_finite()) if isinstance(watch, bool) else watch,
            tensorboard=tensorboard or TensorBoard(),
            custom_config=custom_config or {},
        )
        user = load_user_module(context, module)
        if user.way == RUN_FN:
            call_run_fn(context, user.function, artifacts, settings)
        else:
            train(context, user, artifacts, settings)
