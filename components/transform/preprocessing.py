"""What is to be analyzed, and the user's `preprocessing_fn` with what it takes and returns checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.transform.analyzer_cache import Dataset
from pipeline.errors import UserCodeError, did_you_mean

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2


class _Inputs(dict[str, Any]):
    """The raw features, as `preprocessing_fn` gets them."""

    def __missing__(self, name: str) -> Any:
        raise UserCodeError(f"preprocessing_fn asks for the feature '{name}', which the schema does not have.{did_you_mean(name, self)}")


@dataclass(frozen=True)
class Preprocessing:
    """The user's `preprocessing_fn`, checked at each call; plain data, so that Beam can send it elsewhere.

    Attributes:
        function: `preprocessing_fn(inputs)`, or `preprocessing_fn(inputs, custom_config)`.
        node: Id of the node.
        reference: The function as the definition names it.
        custom_config: Handed to a function that takes it.
    """

    function: Callable[..., Any]
    node: str
    reference: str
    custom_config: Mapping[str, Any]

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Calls the function.

        Raises:
            UserCodeError: If it asks for an unknown feature, or returns something else than tensors by name.
        """
        takes_config = "custom_config" in inspect.signature(self.function).parameters
        return self._checked(self.function(_Inputs(inputs), **({"custom_config": self.custom_config} if takes_config else {})))

    def _checked(self, outputs: Any) -> dict[str, Any]:
        import tensorflow as tf

        expected = f"Node '{self.node}': {self.reference} must return a non-empty dict of tensors by feature name. Received: "
        if not isinstance(outputs, dict) or not outputs:
            raise UserCodeError(f"{expected}{outputs!r} of type {type(outputs).__name__}")
        for name, value in outputs.items():
            if not isinstance(name, str) or not isinstance(value, tf.Tensor | tf.SparseTensor | tf.RaggedTensor):
                raise UserCodeError(f"{expected}{name!r}: {value!r} of type {type(value).__name__}")
        return outputs


@dataclass(frozen=True)
class Analysis:
    """What is to be analyzed.

    Attributes:
        shards: The files whose rows are looked at.
        schema: The schema of the rows.
        preprocess: The user's function.
        output: Folder of the transform graph.
        scratch: Folder for temporary files.
        batch_rows: Rows per batch.
        datasets: The same rows by dataset, each with its analyzer cache; empty where none is kept.
    """

    shards: tuple[Path, ...]
    schema: schema_pb2.Schema
    preprocess: Callable[[Mapping[str, Any]], dict[str, Any]]
    output: Path
    scratch: Path
    batch_rows: int
    datasets: tuple[Dataset, ...] = ()
