"""The Trainer component: its inputs, outputs and parameters, and the choice between `run_fn` and `build_model`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from components.trainer.warm_start import WarmStartDriver
from pipeline.artifacts import Examples, HyperParameters, Model, ModelRun, Schema, TransformGraph
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from pipeline.errors import DefinitionError
from pipeline.usercode import CodeReference, add_to_path, load_module

RUN_FN, BUILD_MODEL = "run_fn", "build_model"


class Trainer(Component):
    """Trains a Keras model with the user's code, and exports one SavedModel with the transform inside.

    The user's module has one of two functions. `build_model(context)` returns a compiled Keras 3 model, and cauce feeds, trains,
    watches and exports it (see `components.trainer.ModelContext`). `run_fn(fn_args)` does everything itself, as in TFX: change the
    import of `FnArgs` to `from components.trainer import FnArgs`.

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
        model_run: Below `logs/` the TensorBoard logs and `history.json`, and `summary.json` (`schemas/summaries/ModelRun.json`).

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
        batch_size: Rows per step. Default: 64.
        shuffle_rows: Rows among which the next one is drawn. Default: 10,000.
        seed: Of weights, dropout and order of rows. Default: 0.
        learning_rate: Replaces that of the model's optimizer. Default: None.
        learning_rate_schedule: `cosine` or `linear` decay to zero at the last step, `exponential` to a hundredth, or `plateau`: halved
            after two evaluations without improvement. Default: None, for what the model's optimizer has.
        early_stopping_patience: Evaluations without improvement after which training ends, with the weights of the best one. Default: None,
            to train to the end.
        monitor: The value that tells the best evaluation: `val_` and the name of a metric. Default: `val_loss`.
        jit_compile: Whether XLA compiles the training step, whatever `model.compile` says. Default: False.
        deterministic: Whether equal seeds give equal weights on a GPU too, at some cost; on a CPU they do anyway. Default: False.
        custom_config: Handed to the user's code. Default: None, for an empty dict.

    Raises:
        DefinitionError: If the module has neither function, or parameters contradict one another.
        UserCodeError: If the user's code raises, returns no compiled Keras 3 model, or saves no model.
        DataError: If there is no label of that name, or a split has no rows.
        ExecutionError: If the loss becomes infinite or no number.

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

    def validate(self) -> None:
        """Checks the parameters against one another."""
        values = self.parameters
        counts = ("train_steps", "eval_steps", "epochs", "steps_per_evaluation", "batch_size", "shuffle_rows", "early_stopping_patience")
        for name in counts:
            if values[name] is not None and values[name] < 1:
                raise DefinitionError(f"Node '{self.id}': {name} must be at least 1. Received: {values[name]}")
        if values["train_steps"] and values["epochs"]:
            raise DefinitionError(f"Node '{self.id}': give either train_steps or epochs. Received both.")
        per_evaluation = values["steps_per_evaluation"]
        if per_evaluation and (not values["train_steps"] or values["train_steps"] % per_evaluation):
            raise DefinitionError(
                f"Node '{self.id}': steps_per_evaluation must divide train_steps. "
                f"Received: steps_per_evaluation={per_evaluation}, train_steps={values['train_steps']}"
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
        shuffle_rows: int = 10_000,
        seed: int = 0,
        learning_rate: float | None = None,
        learning_rate_schedule: Literal["cosine", "linear", "exponential", "plateau"] | None = None,
        early_stopping_patience: int | None = None,
        monitor: str = "val_loss",
        jit_compile: bool = False,
        deterministic: bool = False,
        custom_config: dict[str, Any] | None = None,
    ) -> None:
        """Trains and exports."""
        from components.tensorflow_setup import grow_gpu_memory, prefer_keras_3
        from components.trainer.managed import train
        from components.trainer.run_fn import call_run_fn
        from components.trainer.settings import Artifacts, Settings

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
            seed=seed,
            learning_rate=learning_rate,
            learning_rate_schedule=learning_rate_schedule,
            early_stopping_patience=early_stopping_patience,
            monitor=monitor,
            jit_compile=jit_compile,
            deterministic=deterministic,
            custom_config=custom_config or {},
        )
        function, protocol = _user_function(context, module)
        way = call_run_fn if protocol == RUN_FN else train
        way(context, function, artifacts, settings)


def _user_function(context: Context, module: str) -> tuple[Callable[..., Any], str]:
    """Returns the user's function, and which of the two protocols it follows.

    Raises:
        DefinitionError: If there is no module, or it has neither function.
    """
    reference = CodeReference.parse(module)
    add_to_path(context.folders)
    loaded = load_module(reference.module, reference.file(context.folders))
    names = (reference.function,) if reference.function else (RUN_FN, BUILD_MODEL)
    for name in names:
        function = getattr(loaded, name, None)
        if callable(function):
            return function, RUN_FN if name.endswith(RUN_FN) else BUILD_MODEL
    raise DefinitionError(
        f"Node '{context.node}': {loaded.__file__} has no function {' or '.join(names)}.",
        hint="Write build_model(context), which returns a compiled Keras model, or run_fn(fn_args) as in TFX.",
    )
