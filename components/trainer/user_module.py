"""The user's module: which of the three functions it has, what may stand beside it, and what it may return."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.context import Context
from pipeline.errors import DefinitionError, UserCodeError
from pipeline.usercode import CodeReference, add_to_path, load_module

if TYPE_CHECKING:
    import keras

RUN_FN, BUILD_MODEL, BUILD_TRAINER = "run_fn", "build_model", "build_trainer"
_WAYS = (RUN_FN, BUILD_TRAINER, BUILD_MODEL)


class Steps(Protocol):
    """What the user's `build_trainer(context)` returns: a model, and how one step of its training goes.

    cauce feeds the steps, in a graph (`tf.function`), with batches as `build_model` would get them, and does all the rest: rounds,
    checkpoints, early stopping, the watch, progress, logs and export. It needs TensorFlow as the backend.

    Attributes:
        model: The Keras model that is exported. Its inputs are features.
        optimizer: The optimizer that `train_step` uses, whose state is kept in checkpoints, and which learns at the node's rate.
        models: Optional: further models by name, for example a teacher or a discriminator, whose weights are kept in checkpoints.

    Example:
        import keras
        import tensorflow as tf

        class Training:
            def __init__(self, context):
                inputs = context.inputs()
                self.model = keras.Model(inputs, keras.layers.Dense(1)(inputs["temperature"]))
                self.optimizer = keras.optimizers.Adam(0.01)

            def train_step(self, features, label, weights):
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean(tf.square(self.model(features, training=True) - tf.cast(label, tf.float32)))
                self.optimizer.apply(tape.gradient(loss, self.model.trainable_variables), self.model.trainable_variables)
                return {"loss": loss}

            def test_step(self, features, label, weights):
                return {"loss": tf.reduce_mean(tf.abs(self.model(features) - tf.cast(label, tf.float32)))}

        def build_trainer(context):
            return Training(context)
    """

    model: keras.Model
    optimizer: keras.optimizers.Optimizer

    def train_step(self, features: Any, label: Any, weights: Any) -> dict[str, Any]:
        """Changes the weights by one step and returns scalars by name, `loss` among them; `weights` is None without weights of rows."""

    def test_step(self, features: Any, label: Any, weights: Any) -> dict[str, Any]:
        """Returns scalars by name, `loss` among them, for a batch to evaluate."""


@dataclass(frozen=True)
class UserModule:
    """The user's module and the function of it that trains.

    Attributes:
        name: As the definition names it.
        module: The loaded module.
        function: The function.
        way: Which of the three it is: `build_model`, `build_trainer` or `run_fn`.
    """

    name: str
    module: Any
    function: Callable[..., Any]
    way: str

    def optional(self, name: str) -> Callable[..., Any] | None:
        """Returns a function that may be there."""
        found = getattr(self.module, name, None)
        return found if callable(found) else None


def load_user_module(context: Context, name: str) -> UserModule:
    """Loads the user's module.

    Raises:
        DefinitionError: If there is no module, or it has none of the functions.
    """
    reference = CodeReference.parse(name)
    add_to_path(context.folders)
    loaded = load_module(reference.module, reference.file(context.folders))
    for function_name in (reference.function,) if reference.function else _WAYS:
        function = getattr(loaded, function_name, None)
        if callable(function):
            way = next((way for way in _WAYS if function_name.endswith(way)), BUILD_MODEL)
            return UserModule(name, loaded, function, way)
    raise DefinitionError(
        f"Node '{context.node}': {loaded.__file__} has no function {', '.join(_WAYS) if not reference.function else reference.function}.",
        hint="Write build_model(context), which returns a compiled Keras model, or run_fn(fn_args) as in TFX.",
    )


def built_model(node: str, module: UserModule, built: Any) -> keras.Model:
    """Returns what `build_model` or `build_trainer` has returned, as a compiled model.

    Raises:
        UserCodeError: If it is something else.
    """
    import keras

    if module.way == BUILD_TRAINER:
        from components.trainer.stepwise import as_model

        return as_model(node, module.name, built)
    if not isinstance(built, keras.Model):
        raise UserCodeError(
            f"Node '{node}': build_model of {module.name} must return a compiled keras.Model of Keras 3. "
            f"Received: {built!r} of type {type(built).__module__}.{type(built).__qualname__}"
        )
    if not built.compiled:
        raise UserCodeError(f"Node '{node}': the model of {module.name} is not compiled.", hint="Call model.compile(...) in build_model.")
    return built
