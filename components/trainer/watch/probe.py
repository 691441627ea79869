"""One look at a model in training: gradients, activations, movement of weights, loss by class. It leaves the model as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components.trainer.checkpoint import all_variables, sync
from components.trainer.stepwise import served_model
from components.trainer.watch.rules import Look

if TYPE_CHECKING:
    import keras

Batch = tuple[Any, ...]


class Probe:
    """Looks at a model, always with the same rows.

    Args:
        model: The model.
        rows: A batch of the training data for gradients and activations.
        evaluation: A batch of the evaluation data for the loss by class; None without classes.
        classes: Names of the classes.

    Attributes:
        not_looked: Why some rules cannot look, by name of the rule.
    """

    def __init__(self, model: keras.Model, rows: Batch, evaluation: Batch | None, classes: Sequence[str]) -> None:
        self._model = model
        self._rows = rows
        self._evaluation = evaluation
        self._classes = classes
        self._last: tuple[int, dict[str, list[Any]]] | None = None
        self.not_looked: dict[str, str] = {}
        self._activations = self._activation_model()
        if served_model(model) is not model:
            for rule in ("exploding_gradients", "vanishing_gradients"):
                self.not_looked[rule] = "build_trainer computes its gradients by itself"

    def look(self, step: int) -> Look:
        """Returns what is seen after so many steps."""
        sync(self._model)
        gradients = {} if "exploding_gradients" in self.not_looked else self._gradients()
        return Look(step, gradients, self._dead(), self._movement(step), self._class_losses())

    def _gradients(self) -> dict[str, float]:
        import keras
        import numpy as np

        computed = _jax_gradients if keras.backend.backend() == "jax" else _tensorflow_gradients
        squares: dict[str, float] = {}
        for variable, gradient in zip(self._model.trainable_variables, computed(self._model, self._rows), strict=True):
            layer = layer_of(variable)
            norm = 0.0 if gradient is None else float(np.linalg.norm(np.asarray(gradient, np.float64)))
            squares[layer] = squares.get(layer, 0.0) + norm**2
        return {layer: square**0.5 for layer, square in squares.items()}

    def _activation_model(self) -> keras.Model | None:
        """Returns a model from the inputs to the outputs of all ReLU layers; None where Keras does not know them."""
        import keras

        model = served_model(self._model)
        if not getattr(model, "inputs", None) or not hasattr(model, "operations"):
            self.not_looked["dead_relus"] = "the layers of a subclassed model cannot be looked into"
            return None
        layers = [layer for layer in model.layers if _is_relu(layer)]
        if not layers:
            self.not_looked["dead_relus"] = "the model has no ReLU layer"
            return None
        return keras.Model(model.inputs, {layer.name: layer.output for layer in layers})

    def _dead(self) -> dict[str, float]:
        import keras
        import numpy as np

        if self._activations is None:
            return {}
        outputs = self._activations(self._inputs_of(self._rows), training=False)
        shares = {}
        for name, values in outputs.items():
            array = np.asarray(keras.ops.convert_to_numpy(values))
            shares[name] = float(np.mean(~np.any(array > 0, axis=tuple(range(array.ndim - 1)))))
        return shares

    def _inputs_of(self, batch: Batch) -> dict[str, Any]:
        names = [tensor.name for tensor in served_model(self._model).inputs]
        return {name: batch[0][name] for name in names}

    def _movement(self, step: int) -> dict[str, float]:
        import keras
        import numpy as np

        now: dict[str, list[Any]] = {}
        for variable in self._model.trainable_variables:
            now.setdefault(layer_of(variable), []).append(np.array(keras.ops.convert_to_numpy(variable), np.float32))
        last, self._last = self._last, (step, now)
        if last is None or step <= last[0]:
            return {}
        return {layer: _change(last[1][layer], arrays) / (step - last[0]) for layer, arrays in now.items()}

    def _class_losses(self) -> dict[str, tuple[float, int]]:
        import keras
        import numpy as np

        if self._evaluation is None:
            return {}
        outputs = served_model(self._model)(self._evaluation[0], training=False)
        if isinstance(outputs, Mapping | list | tuple):
            self.not_looked["class_loss"] = "the model has several outputs"
            return {}
        probabilities = _as_probabilities(np.asarray(keras.ops.convert_to_numpy(outputs), np.float64))
        labels = np.asarray(self._evaluation[1]).reshape(len(probabilities), -1)
        labels = (labels.argmax(axis=1) if labels.shape[1] > 1 else labels[:, 0]).astype(int)
        known = (labels >= 0) & (labels < probabilities.shape[1])
        losses = -np.log(np.maximum(probabilities[known, labels[known]], 1e-12))
        names = self._classes or [str(index) for index in range(probabilities.shape[1])]
        found = {index: losses[labels[known] == index] for index in np.unique(labels[known])}
        return {names[index]: (float(values.mean()), len(values)) for index, values in found.items()}


def layer_of(variable: Any) -> str:
    """Returns the layer that a variable belongs to, with the layers that it is in: `encoder/lstm/lstm_cell`."""
    return str(variable.path).rpartition("/")[0] or str(variable.path)


def layers_not_finite(model: keras.Model) -> tuple[str, ...]:
    """Returns the layers that have weights which are infinite or no numbers."""
    import keras
    import numpy as np

    sync(model)
    wrong = [layer_of(item) for item in model.trainable_variables if not np.isfinite(keras.ops.convert_to_numpy(item)).all()]
    return tuple(dict.fromkeys(wrong))


def _tensorflow_gradients(model: keras.Model, rows: Batch) -> list[Any]:
    """Returns the gradients of the loss; what a forward pass changes (moving means, random seeds) is put back."""
    import keras
    import tensorflow as tf

    features, label, weights = keras.utils.unpack_x_y_sample_weight(rows)
    trained = {id(variable) for variable in model.trainable_variables} | {id(variable) for variable in model.optimizer.variables}
    kept = [(item, tf.identity(item.value)) for item in all_variables(model) if id(item) not in trained]
    with tf.GradientTape() as tape:
        outputs = model(features, training=True)
        loss = model.compute_loss(features, label, outputs, weights, training=True)
        scaled = model.optimizer.scale_loss(loss)
    scale = tf.cast(scaled / loss, tf.float32) if model.optimizer.loss_scale_factor or hasattr(model.optimizer, "dynamic_scale") else 1.0
    gradients = tape.gradient(scaled, [variable.value for variable in model.trainable_variables])
    for variable, value in kept:
        variable.assign(value)
    return [None if gradient is None else tf.convert_to_tensor(gradient) / scale for gradient in gradients]


def _jax_gradients(model: keras.Model, rows: Batch) -> list[Any]:
    import jax
    import keras

    features, label, weights = keras.tree.map_structure(_as_array, keras.utils.unpack_x_y_sample_weight(rows))
    groups = (model.trainable_variables, model.non_trainable_variables, model.metrics_variables, model.optimizer.variables)
    trainable, rest, metrics, optimizer = ([variable.value for variable in group] for group in groups)

    def loss(values: Any) -> Any:
        return model.compute_loss_and_updates(
            values, rest, metrics, features, label, weights, training=True, optimizer_variables=optimizer
        )[0]

    return list(jax.grad(loss)(trainable))


def _as_array(value: Any) -> Any:
    return None if value is None else value.numpy()


def _is_relu(layer: keras.layers.Layer) -> bool:
    import keras

    return isinstance(layer, keras.layers.ReLU) or getattr(layer, "activation", None) in (keras.activations.relu, keras.activations.relu6)


def _change(before: Sequence[Any], after: Sequence[Any]) -> float:
    import numpy as np

    moved = sum(float(np.square(new - old).sum()) for old, new in zip(before, after, strict=True))
    size = sum(float(np.square(old).sum()) for old in before)
    return float((moved / size) ** 0.5) if size else float(moved > 0)


def _as_probabilities(outputs: Any) -> Any:
    """Returns outputs as a probability for each class; what are no probabilities are taken for logits."""
    import numpy as np

    if outputs.shape[-1] == 1:
        inside = ((outputs >= 0) & (outputs <= 1)).all()
        positive = outputs if inside else 1 / (1 + np.exp(-outputs))
        return np.concatenate([1 - positive, positive], axis=1)
    if (outputs >= 0).all() and np.allclose(outputs.sum(axis=1), 1, atol=1e-2):
        return outputs
    shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
