"""Weights that a training begins with, and what is said where they cannot be had."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from components.trainer.base_model import warm_start
from components.trainer.settings import WEIGHTS_FILE
from pipeline.artifacts import Model
from pipeline.errors import DataError, UserCodeError
from tests.components.weather import BINARY, trained, transformed

pytestmark = pytest.mark.tensorflow

ADDRESS = "http://localhost:1/weights/small_imagenet.h5"
"""Nothing listens there: what a machine without a network sees."""

LOADING = BINARY.replace(
    "    MODELS.append(model)\n", f'    print(keras.utils.get_file(origin="{ADDRESS}", cache_subdir="models"))\n    MODELS.append(model)\n'
)


@pytest.fixture(scope="module")
def weather(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return transformed(tmp_path_factory.mktemp("weather"))


def made(units: int) -> Any:
    import keras

    inputs = keras.Input((4,), name="values")
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dense(units, name="hidden")(inputs)))


def test_a_download_that_fails_names_the_file_to_provide_which_is_then_taken(tmp_path: Path, weather: dict[str, Any]) -> None:
    from keras.src.backend.config import keras_home

    with pytest.raises(DataError, match=rf"build_model wants {re.escape(ADDRESS)}, which cannot be downloaded here") as told:
        trained(tmp_path, weather, LOADING, epochs=1)
    assert "here ([Errno 111] Connection refused)" in str(told.value)
    place = Path(keras_home()) / "models" / "small_imagenet.h5"
    assert f"put it at {place};" in (told.value.hint or "")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"")
    try:
        assert trained(tmp_path, weather, LOADING, epochs=1)["model_run"].summary()["steps"] > 0
    finally:
        place.unlink()


def test_other_errors_of_build_model_stay_what_they_are(tmp_path: Path, weather: dict[str, Any]) -> None:
    with pytest.raises(ZeroDivisionError):
        trained(tmp_path, weather, BINARY.replace("    MODELS.append(model)\n", "    1 / 0\n"), epochs=1)


def test_each_layer_that_does_not_fit_the_base_model_is_named(tmp_path: Path) -> None:
    base = Model(tmp_path / "base")
    (base.path / WEIGHTS_FILE).parent.mkdir(parents=True)
    made(8).save_weights(base.path / WEIGHTS_FILE)
    warm_start("Trainer", made(8), base)
    with pytest.raises(UserCodeError, match=r"layer 'hidden' has 4x6, 6, in the base model \(.*\) 4x8, 8") as told:
        warm_start("Trainer", made(6), base)
    assert "vocabularies of the same size" in (told.value.hint or "")


def test_a_base_model_without_keras_weights_is_told(tmp_path: Path) -> None:
    base = Model(tmp_path / "base")
    base.path.mkdir()
    with pytest.raises(DataError, match=r"has no Format-Keras/model\.weights\.h5\. Expected a model of the managed loop"):
        warm_start("Trainer", made(8), base)
