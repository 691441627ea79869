"""A trained model as a TensorFlow function, whichever backend trained it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.trainer.data import FeatureSource
from components.trainer.options import Sequences

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Predicting:
    """The model for a TensorFlow graph.

    Attributes:
        function: Returns the model's outputs for a batch of features by name.
        variables: The TensorFlow variables that it reads.
    """

    function: Callable[[Mapping[str, Any]], Any]
    variables: Sequence[Any]

    def __call__(self, features: Mapping[str, Any]) -> Any:
        """Returns the model's outputs."""
        return self.function(features)


def as_tensorflow(model: keras.Model, source: FeatureSource, inputs: Sequence[str], sequences: Sequences | None) -> Predicting:
    """Returns the model as a function of a TensorFlow graph; of a model of the JAX backend by `jax2tf`."""
    import keras

    if keras.backend.backend() == "jax":
        return _from_jax(model, source, inputs, sequences)
    return Predicting(lambda features: model(dict(features), training=False), [variable.value for variable in model.variables])


def _from_jax(model: keras.Model, source: FeatureSource, inputs: Sequence[str], sequences: Sequences | None) -> Predicting:
    """Returns the JAX model as TensorFlow operations, for CPU and CUDA, for any number of rows and any padded length."""
    import keras
    import tensorflow as tf
    from jax.experimental import jax2tf

    def predict(values: Sequence[Any], features: Mapping[str, Any]) -> Any:
        trainable, rest = values
        outputs, _ = model.stateless_call(trainable, rest, dict(features), training=False)
        return outputs

    groups = (model.trainable_variables, model.non_trainable_variables)
    values = [[tf.Variable(keras.ops.convert_to_numpy(variable), trainable=False) for variable in group] for group in groups]
    shapes = {name: _polymorphic(source.spec[name]) for name in inputs}
    converted = jax2tf.convert(
        predict, polymorphic_shapes=[None, shapes], with_gradient=False, native_serialization_platforms=("cpu", "cuda")
    )
    function = tf.function(lambda features: converted([list(group) for group in values], features), autograph=False)
    return Predicting(function, [variable for group in values for variable in group])


def _polymorphic(spec: Any) -> str:
    """Returns the shape of a feature as `jax2tf` reads it: any number of rows, and any length of a padded sequence."""
    import tensorflow as tf

    if not isinstance(spec, tf.io.FixedLenFeature):
        return "(rows, length)"
    return "(rows, ...)"
