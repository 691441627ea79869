"""The exported model: a SavedModel that takes serialized `tf.train.Example`, with the transform inside.

Signatures, both with the one input `examples`, a string tensor of shape `[batch]`:

- `serving_default`: raw examples without the label -> `predictions`, float `[batch, outputs]`, or the model's own names where it
  returns a dict. With class names also `classes`, string `[batch, number of classes]` in the order of `predictions`, and
  `predicted_class`, string `[batch]`. A model of two classes with one output gives the probability of the second.
- `transform_features`: raw examples with the label -> all transformed features by name, the label included. It is there if the
  model has a transform. For evaluation: the label of an example is `transform_features(examples)[label]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.trainer.batches import pad
from components.trainer.data import FeatureSource
from components.trainer.options import Sequences
from components.trainer.predicting import as_tensorflow
from components.transform.tensors import feature_spec
from pipeline.errors import UserCodeError

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

SERVING_ENVIRONMENT = "SERVING"
_NUMBERS = 1_000_000


def export_model(
    model: keras.Model,
    path: Path,
    source: FeatureSource,
    inputs: Sequence[str],
    classes: Sequence[str],
    sequences: Sequences | None = None,
) -> dict[str, Any]:
    """Writes the SavedModel and returns what its summary says of it: the raw features that it needs."""
    import tensorflow as tf

    _round_up_numbers()
    predict = as_tensorflow(model, source, inputs, sequences)
    needed = _needed(source, inputs)
    spec = _serving_spec(source, needed)

    def serve(examples: tf.Tensor) -> dict[str, Any]:
        raw = tf.io.parse_example(examples, spec)
        features = raw if source.transform is None else source.transform.saved_model.transform_fn(raw)
        return _named(predict(pad(source, {name: features[name] for name in inputs}, sequences)), classes)

    def transform_features(examples: tf.Tensor) -> dict[str, Any]:
        return source.transform.transform_examples(examples) if source.transform is not None else {}

    served = tf.Module()
    served.variables_ = predict.variables
    served.resources = _resources(model)
    signatures = {"serving_default": _concrete(serve)}
    if source.transform is not None:
        served.transform = source.transform.saved_model
        signatures["transform_features"] = _concrete(transform_features)
    tf.saved_model.save(served, str(path), signatures=signatures)
    (path / "fingerprint.pb").unlink(missing_ok=True)  # optional, and another one for each export of the same model
    return {"raw_features": sorted(needed)}


def _round_up_numbers() -> None:
    """Makes equal models equal bytes: a function's name has a number that every tensor of the process moves on, also those of the watch.

    How many those were depends on the time that training took. From the next multiple of a million on, it does not.
    """
    from tensorflow.python.framework import ops

    while ops.uid() % _NUMBERS:
        pass


def missing_when_serving(source: FeatureSource) -> set[str]:
    """Returns the features that depend on what the schema says is missing when serving (`not_in_environment: "SERVING"`)."""
    schema = source.raw_schema
    if SERVING_ENVIRONMENT not in schema.default_environment:
        return set()
    absent = {feature.name for feature in schema.feature if SERVING_ENVIRONMENT in feature.not_in_environment}
    return {name for name in source.spec if absent.intersection(_needed(source, [name]))}


def _concrete(function: Callable[[tf.Tensor], dict[str, Any]]) -> Any:
    """Returns the function traced for a batch of serialized examples."""
    import tensorflow as tf

    signature = [tf.TensorSpec([None], tf.string, name="examples")]
    return tf.function(function, input_signature=signature, autograph=False).get_concrete_function()


def _resources(model: keras.Model) -> list[Any]:
    """Returns the lookup tables of the model's layers, which must be saved with it; layers of JAX have none."""
    import keras
    import tensorflow as tf
    from tensorflow.saved_model.experimental import TrackableResource

    if keras.backend.backend() != "tensorflow":
        return []

    below = [item for layer in model.layers for item in tf.train.TrackableView(layer).descendants()]
    return [item for item in below if isinstance(item, TrackableResource)]


def check_classes(outputs: int | None, classes: Sequence[str]) -> None:
    """Checks that each output has the name of a class, or that one output chooses between two.

    Raises:
        UserCodeError: If not: the predicted class would have a wrong name.
    """
    if classes and outputs != len(classes) and (outputs, len(classes)) != (1, 2):
        raise UserCodeError(
            f"The model has {outputs} outputs, and the label has {len(classes)} classes: {', '.join(classes[:10])}.",
            hint="Build one output per class, len(context.classes), or name the class of each output: Trainer(..., classes=(...)).",
        )


def _named(outputs: Any, classes: Sequence[str]) -> dict[str, Any]:
    """Returns the outputs by name, with the names of the classes where there are some."""
    import tensorflow as tf

    if isinstance(outputs, Mapping):
        return dict(outputs)
    if isinstance(outputs, list | tuple):
        return {f"predictions_{index}": output for index, output in enumerate(outputs)}
    if not classes:
        return {"predictions": outputs}
    check_classes(outputs.shape[-1], classes)
    names = tf.constant(list(classes))
    rows = tf.shape(outputs)[0]
    best = tf.argmax(outputs, axis=-1) if outputs.shape[-1] == len(classes) else tf.cast(outputs[:, 0] > 0.5, tf.int64)
    return {
        "predictions": outputs,
        "classes": tf.repeat(names[tf.newaxis, :], rows, axis=0),
        "predicted_class": tf.gather(names, best),
    }


def _serving_spec(source: FeatureSource, needed: Iterable[str]) -> dict[str, Any]:
    """Returns how served examples are parsed: what the model does not need may be missing."""
    spec = feature_spec(source.raw_schema)
    if source.transform is None:
        return {name: spec[name] for name in needed}
    return {name: kind if name in needed else _optional(kind) for name, kind in spec.items()}


def _optional(spec: Any) -> Any:
    import numpy as np
    import tensorflow as tf

    if not isinstance(spec, tf.io.FixedLenFeature):
        return spec
    missing = np.full(spec.shape, b"" if spec.dtype == tf.string else 0)
    return tf.io.FixedLenFeature(spec.shape, spec.dtype, default_value=missing.tolist())


def _needed(source: FeatureSource, inputs: Sequence[str]) -> set[str]:
    """Returns the raw features that the model's inputs depend on, found by walking the transform graph backwards."""
    import tensorflow as tf

    if source.transform is None:
        return set(inputs)
    function = source.transform.saved_model.transform_fn
    signature = function.structured_input_signature[0][0]
    flat = tf.nest.flatten(signature, expand_composites=True)
    places = tf.nest.pack_sequence_as(signature, function.graph.inputs[: len(flat)], expand_composites=True)
    outputs = tf.nest.pack_sequence_as(function.structured_outputs, function.graph.outputs, expand_composites=True)
    reached = _reached([outputs[name] for name in inputs])
    return {
        name for name, place in places.items() if any(leaf.op.name in reached for leaf in tf.nest.flatten(place, expand_composites=True))
    }


def _reached(outputs: Sequence[Any]) -> set[str]:
    """Returns the names of all operations whose values the outputs depend on.

    Control inputs are left out: TensorFlow orders all table lookups by them, also those for the label.
    """
    import tensorflow as tf

    reached: set[str] = set()
    waiting = [leaf.op for leaf in tf.nest.flatten(outputs, expand_composites=True)]
    while waiting:
        operation = waiting.pop()
        if operation.name not in reached:
            reached.add(operation.name)
            waiting += [tensor.op for tensor in operation.inputs]
    return reached
