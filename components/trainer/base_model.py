"""Weights that a training begins with: of a base model, or of a file; and a clear word where they cannot be had."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from components.trainer.settings import WEIGHTS_FILE
from pipeline.artifacts import Model
from pipeline.errors import DataError, UserCodeError

if TYPE_CHECKING:
    import keras

_ADDRESS = re.compile(r"https?://[^\s'\"]+[\w]")


def warm_start(node: str, model: keras.Model, base_model: Model) -> None:
    """Gives the layers of a built model the weights of a base model, which must have the same layers.

    Raises:
        DataError: If the base model has no Keras weights.
        UserCodeError: If its weights do not fit; each layer that does not is named.
    """
    weights = base_model.path / WEIGHTS_FILE
    if not weights.is_file():
        raise DataError(
            f"Node '{node}': the base model {base_model.name or base_model.path} has no {WEIGHTS_FILE}. "
            "Expected a model of the managed loop.",
            hint="A model of run_fn has none: load it in build_model by yourself, or train without a base model.",
        )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Skipping", UserWarning)  # the state of the optimizer stays behind
            model.load_weights(weights)
    except ValueError as error:
        different = _differences(model, weights)
        raise UserCodeError(
            f"Node '{node}': the weights of the base model {base_model.path} do not fit the model: {different or error}",
            hint="Build the same layers, with vocabularies of the same size; or train without a base model.",
        ) from error


def _differences(model: keras.Model, weights: Path) -> str:
    """Returns which layers have other shapes than in the file; empty where the file cannot tell."""
    import h5py

    found = []
    with h5py.File(weights) as file:
        groups = file.get("layers")
        stored = {name: [tuple(item.shape) for item in group["vars"].values()] for name, group in groups.items()} if groups else {}
    for layer, (name, shapes) in zip(_with_weights(model), ((n, s) for n, s in stored.items() if s), strict=False):
        own = [tuple(variable.shape) for variable in layer.variables]
        if own != shapes:
            found.append(f"layer '{layer.name}' has {_shown(own)}, in the base model ('{name}') {_shown(shapes)}")
    return "; ".join(found[:3])


def _with_weights(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if layer.weights]


def _shown(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in shapes)


@contextmanager
def building(node: str) -> Iterator[None]:
    """Says which file is missing where `build_model` wants weights that cannot be downloaded, as those of `keras.applications`.

    Raises:
        DataError: If a download fails.
    """
    try:
        yield
    except Exception as error:
        address = _wanted_download(error)
        if address is None:
            raise
        raise _missing_download(node, address, error) from error


def _wanted_download(error: BaseException) -> str | None:
    """Returns the address in a failed download of Keras: `URL fetch failure on <address>: ...`."""
    found = _ADDRESS.search(str(error)) if "URL fetch failure" in str(error) else None
    return found[0] if found else None


def _missing_download(node: str, address: str, error: BaseException) -> DataError:
    name = address.rpartition("/")[2]
    folder = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    reason = str(error).rpartition(address)[2].lstrip(": ").removeprefix("None -- ") or str(error)
    return DataError(
        f"Node '{node}': build_model wants {address}, which cannot be downloaded here ({reason}).",
        hint=f"Download it where there is a network, and put it at {folder / 'models' / name}; "
        f"or name your own copy in build_model: weights='PATH/{name}'.",
    )
