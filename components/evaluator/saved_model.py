"""A trained model as it is served: a SavedModel that takes serialized `tf.train.Example`s and gives named outputs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError, ExecutionError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Outputs = dict[str, npt.NDArray[np.generic]]

TRANSFORM_SIGNATURE = "transform_features"
DEFAULT_OUTPUTS = ("scores", "outputs", "predictions", "logistic", "probabilities", "logits", "probability", "prediction")
"""What a model's prediction is usually called; the first six are those that TensorFlow Model Analysis looks for."""

CLASS_OUTPUTS = ("all_classes", "classes")


@functools.lru_cache(maxsize=2)
def load_model(path: str) -> ServedModel:
    """Loads a SavedModel; the last two stay loaded in this process."""
    return ServedModel(Path(path))


class ServedModel:
    """A loaded SavedModel.

    Args:
        path: The SavedModel's folder.
    """

    def __init__(self, path: Path) -> None:
        import tensorflow as tf

        self._path = path
        self._loaded = tf.saved_model.load(str(path))
        self._computations: dict[tuple[str, tuple[str, ...]], Callable[[Any], dict[str, Any]]] = {}

    def outputs(self, signature: str) -> tuple[str, ...]:
        """Returns the names of a signature's outputs; none if there is no such signature."""
        found = self._loaded.signatures.get(signature)
        return () if found is None else tuple(sorted(found.structured_outputs))

    def compute(self, signature: str, names: Iterable[str], records: Sequence[bytes]) -> Outputs:
        """Returns some outputs of a signature for serialized examples; only what these need is computed.

        Raises:
            DataError: If the signature does not take serialized examples.
            ExecutionError: If the model fails on them.
        """
        import tensorflow as tf

        wanted = tuple(names)
        if not wanted:
            return {}
        computation = self._computations.get((signature, wanted))
        if computation is None:
            computation = self._computations[signature, wanted] = self._computation(signature, wanted)
        try:
            return {name: value.numpy() for name, value in computation(tf.constant(records, tf.string)).items()}
        except (tf.errors.OpError, UnicodeDecodeError) as error:  # the latter while TensorFlow makes a message of what it found
            raise ExecutionError(
                f"The model at {self._path} fails on the examples, in its signature '{signature}': {reason_of(error)}",
                hint="Was it trained on examples with other features or types?",
            ) from error

    def prediction_output(self, signature: str, wanted: str) -> str:
        """Returns the output that is the prediction: the wanted one, the only one, or the first with a usual name.

        Raises:
            DataError: If there is none or the choice is open, naming the outputs.
        """
        names = self.outputs(signature)
        if not names:
            known = self._loaded.signatures
            raise DataError(f"The model at {self._path} has no signature '{signature}'.{did_you_mean(signature, known)}")
        if wanted and wanted not in names:
            raise DataError(f"The model's signature '{signature}' has no output '{wanted}'.{did_you_mean(wanted, names)}")
        found = wanted or (names[0] if len(names) == 1 else next((name for name in DEFAULT_OUTPUTS if name in names), ""))
        if not found:
            raise DataError(
                f"The model's signature '{signature}' has several outputs: {', '.join(names)}.",
                hint=f"Say which one is judged: prediction='{names[0]}'.",
            )
        return found

    def _computation(self, name: str, wanted: tuple[str, ...]) -> Callable[[Any], dict[str, Any]]:
        import tensorflow as tf

        signature = self._loaded.signatures[name]
        arguments = signature.structured_input_signature[1]
        given = [f"{key}: {spec.dtype.name} {spec.shape}" for key, spec in arguments.items()]
        if len(arguments) != 1 or next(iter(arguments.values())).dtype != tf.string:
            raise DataError(
                f"The signature '{name}' of the model at {self._path} must take one argument, serialized tf.train.Examples. "
                f"It takes: {', '.join(given)}."
            )
        argument = next(iter(arguments))
        if wanted == self.outputs(name):
            return lambda examples: signature(**{argument: examples})

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])  # type: ignore[untyped-decorator]
        def some_outputs(examples: Any) -> dict[str, Any]:
            outputs = signature(**{argument: examples})
            return {key: outputs[key] for key in wanted}

        return some_outputs  # type: ignore[no-any-return]


def reason_of(error: Exception) -> str:
    """Returns the line of TensorFlow's message that says what is wrong, and not where."""
    lines = [line.strip() for line in str(getattr(error, "message", error)).splitlines()]
    return next((line for line in reversed(lines) if line and not line.startswith("[[")), "no message")
