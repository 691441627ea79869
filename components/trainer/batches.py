"""How serialized examples become batches: transform, padding, augmentation and weights, in TensorFlow's own threads."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.trainer.data import FeatureSource
from components.trainer.options import Sequences
from pipeline.errors import UserCodeError, did_you_mean

if TYPE_CHECKING:
    import tensorflow as tf

AUGMENT = "augment"
Augment = Callable[..., tuple[Mapping[str, Any], Any]]
Tensors = dict[str, Any]


@dataclass(frozen=True)
class BatchMaker:
    """What makes features, label and weights of a batch of serialized examples.

    Attributes:
        source: The features, and how they are parsed.
        inputs: The features that go into the model.
        label: Name of the label.
        sequences: How features of varying length are padded; None to leave them sparse or ragged.
        measured: The features whose lengths choose the bucket of a row.
        augment: The user's `augment(features, label, seed)`, for a row of the training data; None without one.
        seed: Of the augmentation.
        sample_weights: The feature with the weight of each row; None without one.
        class_weights: The weight of each value of the label, in training; None without them.
    """

    source: FeatureSource
    inputs: tuple[str, ...]
    label: str
    sequences: Sequences | None = None
    measured: tuple[str, ...] = ()
    augment: Augment | None = None
    seed: int = 0
    sample_weights: str | None = None
    class_weights: tuple[float, ...] | None = None

    def training(self, records: tf.Tensor, positions: tf.Tensor) -> tuple[Any, ...]:
        """Returns a batch to train on.

        Args:
            records: Serialized examples, `[batch]`.
            positions: Number of each row in the whole training, `[batch]`, int64: it and the seed decide the augmentation.
        """
        features, label, weights = self._parsed(records)
        if self.augment is not None:
            features, label = self._augmented(features, label, positions)
        if self.class_weights is not None:
            weights = _times(weights, _looked_up(self.class_weights, label))
        return (features, label) if weights is None else (features, label, weights)

    def evaluation(self, records: tf.Tensor) -> tuple[Any, ...]:
        """Returns a batch to evaluate: neither augmented, nor with the weights of the classes."""
        features, label, weights = self._parsed(records)
        return (features, label) if weights is None else (features, label, weights)

    def lengths(self, records: tf.Tensor) -> tf.Tensor:
        """Returns the length of each row: that of its longest measured feature, `[batch]`, int64."""
        import tensorflow as tf

        features = self.source.only(*self.measured)(records)
        lengths = [_lengths(features[name]) for name in self.measured]
        return tf.reduce_max(tf.stack(lengths), axis=0)

    def _parsed(self, records: tf.Tensor) -> tuple[Tensors, Any, Any]:
        import tensorflow as tf

        extra = (self.sample_weights,) if self.sample_weights is not None else ()
        features = self._narrowed((*self.inputs, self.label, *extra)).parse(records)
        weights = tf.reshape(tf.cast(features[self.sample_weights], tf.float32), [-1]) if self.sample_weights is not None else None
        inputs = pad(self.source, {name: features[name] for name in self.inputs}, self.sequences)
        return inputs, features[self.label], weights

    def _narrowed(self, names: Sequence[str]) -> FeatureSource:
        return dataclasses.replace(self.source, spec={name: self.source.spec[name] for name in names})

    def _augmented(self, features: Tensors, label: Any, positions: tf.Tensor) -> tuple[Tensors, Any]:
        """Returns what the user's `augment` makes of each row; rows of a batch are augmented at the same time."""
        import tensorflow as tf

        seeds = tf.stack([positions, tf.fill(tf.shape(positions), tf.constant(self.seed, tf.int64))], axis=1)
        rows = (features, label, seeds)
        augment = self.augment

        def one(row: tuple[Tensors, Any, Any]) -> tuple[Any, Any]:
            return checked_augmentation(augment(*row), features) if augment is not None else row[:2]

        row_specs = tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape[1:], tensor.dtype), rows)
        outputs = tf.function(one, autograph=False).get_concrete_function(row_specs).structured_outputs
        signature = tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), outputs)
        made: tuple[Tensors, Any] = tf.map_fn(one, rows, fn_output_signature=signature)
        return made


def find_augment(module: Any) -> Augment | None:
    """Returns the `augment` of the user's module; None if it has none.

    Raises:
        UserCodeError: If it does not take features, label and seed.
    """
    found = getattr(module, AUGMENT, None)
    if found is None:
        return None
    try:
        inspect.signature(found).bind(None, None, None)
    except (TypeError, ValueError) as error:
        raise UserCodeError(
            f"{module.__file__}: augment must take (features, label, seed). Received: {AUGMENT}{_signature(found)}",
            hint="seed is an integer tensor [2], another one for each row and pass, for tf.image.stateless_random_*.",
        ) from error
    function: Augment = found
    return function


def checked_augmentation(returned: Any, features: Mapping[str, Any]) -> tuple[Tensors, Any]:
    """Returns what `augment` returned.

    Raises:
        UserCodeError: If it is not the same features, and the label.
    """
    expected = "augment must return (features, label), with the features that it got."
    if not isinstance(returned, tuple) or len(returned) != 2 or not isinstance(returned[0], Mapping):
        raise UserCodeError(f"{expected} Received: {returned!r}")
    made, label = returned
    if set(made) != set(features):
        wrong = sorted(set(made).symmetric_difference(features))
        raise UserCodeError(f"{expected} Missing or not expected: {', '.join(wrong)}.{did_you_mean(wrong[0], features)}")
    return dict(made), label


def varying(source: FeatureSource, names: Sequence[str], sequences: Sequences | None) -> tuple[str, ...]:
    """Returns which of some features are padded.

    Raises:
        UserCodeError: If a feature to pad is not there, or has a fixed length.
    """
    import tensorflow as tf

    if sequences is None:
        return ()
    found = tuple(name for name in names if not isinstance(source.spec[name], tf.io.FixedLenFeature))
    for name in sequences.features:
        if name not in source.spec:
            raise UserCodeError(f"Sequences: there is no feature '{name}'.{did_you_mean(name, source.spec)}")
        if isinstance(source.spec[name], tf.io.FixedLenFeature):
            raise UserCodeError(f"Sequences: the feature '{name}' has a fixed length. Of varying length: {', '.join(found) or 'none'}.")
    return tuple(name for name in found if not sequences.features or name in sequences.features)


def pad(source: FeatureSource, features: Tensors, sequences: Sequences | None) -> Tensors:
    """Returns the features, those of varying length as dense tensors `[batch, longest]`."""
    if sequences is None:
        return features
    padded = varying(source, tuple(features), sequences)
    return {name: _dense(value, sequences) if name in padded else value for name, value in features.items()}


def _dense(values: Any, sequences: Sequences) -> tf.Tensor:
    import tensorflow as tf

    filling = tf.constant("") if values.dtype == tf.string else tf.cast(sequences.padding, values.dtype)
    if isinstance(values, tf.SparseTensor):
        dense = tf.sparse.to_dense(values, default_value=filling)
    else:
        dense = values.to_tensor(default_value=filling)
    return dense if sequences.longest is None else dense[:, : sequences.longest]


def _lengths(values: Any) -> tf.Tensor:
    import tensorflow as tf

    if isinstance(values, tf.SparseTensor):
        return tf.math.bincount(tf.cast(values.indices[:, 0], tf.int32), minlength=tf.cast(values.dense_shape[0], tf.int32), dtype=tf.int64)
    return tf.cast(values.row_lengths(), tf.int64)


def _looked_up(table: Sequence[float], label: Any) -> tf.Tensor:
    import tensorflow as tf

    return tf.gather(tf.constant(table, tf.float32), tf.reshape(tf.cast(label, tf.int64), [-1]))


def _times(weights: Any, more: tf.Tensor) -> tf.Tensor:
    return more if weights is None else weights * more


def _signature(function: Any) -> str:
    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError):
        return "(?)"
