"""`build_trainer`: the user's own training step as a Keras model, so that the managed loop drives it like any other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.errors import UserCodeError

if TYPE_CHECKING:
    import keras


def as_model(node: str, module: str, steps: Any) -> keras.Model:
    """Returns a model whose training step is the user's; see `components.trainer.Steps`.

    Raises:
        UserCodeError: If what `build_trainer` returned lacks something, or the backend is not TensorFlow.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise UserCodeError(
            f"Node '{node}': build_trainer needs the backend 'tensorflow'. Received: '{keras.backend.backend()}'.",
            hint="Write build_model, whose step Keras makes for each backend; or leave Trainer(..., backend=...) out.",
        )
    wanted: dict[str, Any] = {
        "model": lambda value: isinstance(value, keras.Model),
        "optimizer": lambda value: isinstance(value, keras.optimizers.Optimizer),
        "train_step": callable,
        "test_step": callable,
    }
    lacking = [name for name, fits in wanted.items() if not fits(getattr(steps, name, None))]
    if lacking:
        raise UserCodeError(
            f"Node '{node}': what build_trainer of {module} returns needs {', '.join(wanted)}. "
            f"Missing or of another kind: {', '.join(lacking)}.",
            hint="See components.trainer.Steps, with an example.",
        )
    return _wrapped(steps)


def _wrapped(steps: Any) -> keras.Model:
    import keras
    import tensorflow as tf

    class Stepwise(keras.Model):  # type: ignore[misc]
        """The user's steps between Keras' `fit` and the user's model."""

        def __init__(self) -> None:
            super().__init__()
            self.served = steps.model
            self.further = list(getattr(steps, "models", {}).values())
            self.means: dict[str, Any] = {}
            self.compile(optimizer=steps.optimizer, jit_compile=False)
            self.built = True

        @property
        def metrics(self) -> list[Any]:
            return list(self.means.values())

        @property
        def metrics_variables(self) -> list[Any]:
            return []  # made by the first step; a round that goes on after a crash has the means of its rest

        def call(self, features: Any, training: bool = False) -> Any:
            return self.served(features, training=training)

        def train_step(self, data: Any) -> dict[str, Any]:
            return self._recorded(steps.train_step, data)

        def test_step(self, data: Any) -> dict[str, Any]:
            return self._recorded(steps.test_step, data)

        def _recorded(self, step: Any, data: Any) -> dict[str, Any]:
            features, label, weights = keras.utils.unpack_x_y_sample_weight(data)
            values = step(features, label, weights)
            if not isinstance(values, Mapping) or "loss" not in values:
                raise UserCodeError(f"{step.__qualname__} must return scalars by name, 'loss' among them. Received: {values!r}")
            rows = tf.shape(tf.nest.flatten(label)[0])[0]
            for name, value in values.items():
                if name not in self.means:
                    self.means[name] = keras.metrics.Mean(name=name)
                self.means[name].update_state(value, sample_weight=rows)
            return {name: self.means[name].result() for name in values}

        def reset_metrics(self) -> None:
            for mean in self.means.values():
                mean.reset_state()

    return Stepwise()


def served_model(model: keras.Model) -> keras.Model:
    """Returns the model to export: the one inside of the user's steps, or the model itself."""
    return getattr(model, "served", model)
