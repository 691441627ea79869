"""Weights of classes: as the user names them, or so that each class weighs the same in all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from components.trainer.data import FeatureSource, Split
from pipeline.errors import DataError, DefinitionError, did_you_mean

BALANCED = "balanced"
_ROWS_AT_ONCE = 1024


def class_weights(
    node: str, wanted: Mapping[str, float] | str, label: str, classes: Sequence[str], source: FeatureSource, split: Split
) -> tuple[float, ...]:
    """Returns the weight of each value of the label, from 0.

    `balanced` gives a class the weight rows / (classes * rows of the class), as scikit-learn does. A mapping names classes, or values
    of the label as text where the classes have no names; a class that it does not name weighs 1.

    Raises:
        DataError: If the label is not a class.
        DefinitionError: If a class that is named does not exist.
    """
    counts = label_counts(node, label, source, split)
    names = list(classes) or [str(value) for value in range(len(counts))]
    if isinstance(wanted, str):
        present = sum(count > 0 for count in counts)
        balanced = [sum(counts) / (present * count) if count else 0.0 for count in counts]
        return tuple(balanced + [0.0] * (len(names) - len(counts)))
    for name, weight in wanted.items():
        if name not in names:
            raise DefinitionError(f"Node '{node}': class_weights names no class: '{name}'.{did_you_mean(name, names)}")
        if weight < 0:
            raise DefinitionError(f"Node '{node}': class_weights must be at least 0. Received: {name}={weight}")
    return tuple(float(wanted.get(name, 1.0)) for name in names)


def label_counts(node: str, label: str, source: FeatureSource, split: Split) -> list[int]:
    """Returns how many training rows have each value of the label, from 0.

    Raises:
        DataError: If the label is no whole number from 0, one for each row.
    """
    import numpy as np
    import tensorflow as tf

    select = source.only(label)
    batches = split.records().batch(_ROWS_AT_ONCE).map(lambda records: select(records)[label], num_parallel_calls=2)
    total: Any = np.zeros(0, np.int64)
    for values in batches:
        if not isinstance(values, tf.Tensor) or values.dtype == tf.string:
            raise DataError(_expected(node, label, "a value of another type, or not one for each row"))
        flat = values.numpy().reshape(-1)
        if not np.array_equal(flat, flat.astype(np.int64)) or (flat < 0).any():
            raise DataError(_expected(node, label, str(next(value for value in flat if value < 0 or value != int(value)))))
        counts = np.bincount(flat.astype(np.int64))
        longer, shorter = (counts, total) if len(counts) > len(total) else (total, counts)
        total = longer + np.pad(shorter, (0, len(longer) - len(shorter)))
    return [int(count) for count in total]


def _expected(node: str, label: str, received: str) -> str:
    return f"Node '{node}': class_weights need a label whose values are 0, 1, 2, ... Received: '{label}' with {received}."
