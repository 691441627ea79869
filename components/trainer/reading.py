"""Errors of the input pipeline, which TensorFlow raises out of the training step, as errors that name data or user function."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.trainer.data import Split
from pipeline.errors import DataError, UserCodeError

_NODES = re.compile(r"\{\{.*?\}\} ?")


@contextmanager
def reading(node: str, split: Split) -> Iterator[None]:
    """Raises what is wrong with the data, or with the transform and augmentation of them, in words.

    Raises:
        DataError: If a file is damaged, or a record does not fit the schema.
        UserCodeError: If an operation of the transform or of `augment` fails, for example one that decodes an image.
    """
    import tensorflow as tf

    names = ", ".join(str(Path(*file.parts[-3:])) for file in split.files[:3]) + (", ..." if len(split.files) > 3 else "")
    try:
        yield
    except tf.errors.DataLossError as error:
        hint = "Run the node that made it again: --rerun NODE"
        raise DataError(f"Node '{node}': {names} is damaged: {error.message}", hint=hint) from error
    except tf.errors.InvalidArgumentError as error:
        if "IteratorGetNext" not in error.message and "MakeIterator" not in error.message:
            raise
        reason = _NODES.sub("", error.message).partition("\n")[0].strip()
        if "ParseExample" in error.message:
            raise DataError(f"Node '{node}': {names}: a record does not fit the schema: {reason}") from error
        raise UserCodeError(
            f"Node '{node}': preprocessing_fn or augment cannot make a batch of {names}: {reason}",
            hint="A file that does not decode is found by ExampleGen: on_bad_record says what becomes of it.",
        ) from error
