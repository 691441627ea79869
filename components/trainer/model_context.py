"""What `build_model` gets: the features, the label, the vocabularies, and the hyperparameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import UserCodeError, did_you_mean

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class ModelContext:
    """What the user's `build_model(context)` needs to build and compile a Keras model.

    Example:
        import keras

        def build_model(context):
            inputs = context.inputs()
            hidden = keras.layers.Dense(8, activation="relu")(keras.layers.concatenate(list(inputs.values())))
            outputs = keras.layers.Dense(len(context.classes), activation="softmax")(hidden)
            model = keras.Model(inputs, outputs)
            model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
            return model

    Attributes:
        features: How each feature that may go into the model is parsed, by name. Not among them: the label, and what depends on
            features that the schema says are missing when serving.
        domains: Lowest and highest value of features that have a bounded integer domain, by name.
        label: Name of the label.
        classes: Names of the classes in the order of the label's values; empty if there are none.
        vocabularies: The terms of each vocabulary of the transform, by the vocabulary's name.
        hyperparameters: What a Tuner found; empty without one.
        custom_config: The node's `custom_config`.
        train_rows: Rows in the training splits.
        train_steps: Training steps in all.
        batch_size: Rows per step.
        padded: Features of varying length that `Sequences` makes dense.
    """

    features: Mapping[str, Any]
    domains: Mapping[str, tuple[int, int]]
    label: str
    classes: tuple[str, ...]
    vocabularies: Mapping[str, tuple[str, ...]]
    hyperparameters: Mapping[str, Any]
    custom_config: Mapping[str, Any]
    train_rows: int
    train_steps: int
    batch_size: int
    padded: frozenset[str] = frozenset()

    def inputs(self, names: Iterable[str] | None = None) -> dict[str, keras.KerasTensor]:
        """Returns a `keras.Input` for each of some features (all by default), by name.

        A feature of one value has shape `(1,)`, an image its height, width and channels; one with any number of values has shape `(None,)`
        and is padded, with the node's `sequences`, or else sparse or ragged.

        Raises:
            UserCodeError: If there is no feature of that name.
        """
        chosen = list(self.features) if names is None else list(names)
        return {name: self._input(name) for name in chosen}

    def _input(self, name: str) -> keras.KerasTensor:
        import keras
        import tensorflow as tf

        spec = self._known(name, self.features, "feature")
        if isinstance(spec, tf.io.FixedLenFeature):
            return keras.Input(tuple(spec.shape) or (1,), name=name, dtype=spec.dtype.name)
        if name in self.padded:
            return keras.Input((None,), name=name, dtype=spec.dtype.name)
        if keras.backend.backend() != "tensorflow":
            raise UserCodeError(
                f"The feature '{name}' has a varying length, and sparse and ragged inputs need the backend 'tensorflow'.",
                hint="Pad it: Trainer(..., sequences=Sequences()).",
            )
        if isinstance(spec, tf.io.RaggedFeature):
            return keras.Input((None,), name=name, dtype=spec.dtype.name, ragged=True)
        return keras.Input((None,), name=name, dtype=spec.dtype.name, sparse=True)

    def values(self, name: str) -> int:
        """Returns how many values a categorical feature can have: the size for a one-hot encoding or an embedding.

        It counts the buckets of `tft.bucketize`, and the terms and out-of-vocabulary buckets of a vocabulary.

        Raises:
            UserCodeError: If the feature has no bounded domain that begins at zero.
        """
        low, high = self._known(name, self.domains, "feature with a bounded integer domain")
        size: int = high + 1
        if low < 0:
            raise UserCodeError(
                f"The feature '{name}' has values from {low}. Expected values from 0.",
                hint="Give the vocabulary an out-of-vocabulary bucket: tft.compute_and_apply_vocabulary(..., num_oov_buckets=1).",
            )
        return size

    def vocabulary(self, name: str) -> tuple[str, ...]:
        """Returns the terms of a vocabulary, most frequent first.

        Raises:
            UserCodeError: If there is no vocabulary of that name.
        """
        terms: tuple[str, ...] = self._known(name, self.vocabularies, "vocabulary")
        return terms

    def _known(self, name: str, known: Mapping[str, Any], what: str) -> Any:
        if name not in known:
            raise UserCodeError(f"The transformed data have no {what} '{name}'.{did_you_mean(name, known)}")
        return known[name]
