"""What the managed loop trains on: raw pictures and sequences, augmentation, weights, and the order of the rows."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.trainer import Sequences, Trainer
from components.trainer.batches import BatchMaker
from components.trainer.class_weights import class_weights, label_counts
from components.trainer.data import Split, feature_source
from components.trainer.settings import Artifacts
from components.trainer.stream import Order, TrainingStream, steps_per_pass
from pipeline.errors import DataError, DefinitionError, UserCodeError
from tests.components.pictures import CNN, RNN, picture, pictures, seen, texts
from tests.components.weather import history, module, serialized
from tests.harness import Outputs, error_boundary, run

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return texts(tmp_path_factory.mktemp("texts"))


def read(folder: Path, given: dict[str, Any], source: str = RNN, **parameters: Any) -> Outputs:
    inputs = {"examples": [given["raw"]], "schema": given["schema"]}
    settings = {"label": "many", "epochs": 2, "batch_size": 16, "sequences": Sequences(), **parameters}
    return run(Trainer, folder, inputs=inputs, module=module(folder, source), **settings)


def source_of(given: dict[str, Any]) -> Any:
    artifacts: Any = Artifacts([given["raw"]], given.get("graph"), given["schema"], None, None, None, None)  # type: ignore[arg-type]
    return feature_source("Trainer", artifacts)


def stream(given: dict[str, Any], maker: BatchMaker, *, across: bool = False, batch_size: int = 16) -> TrainingStream:
    split = Split.of("Trainer", [given["raw"]], ["train"])
    order = Order(batch_size, 50, 3, across_passes=across, steps_per_pass=steps_per_pass(split, maker, batch_size))
    return TrainingStream(split, maker, order)


def labels(data: Any, count: int) -> list[list[float]]:
    return [batch[1].numpy().reshape(-1).tolist() for batch in data.take(count)]


def test_pictures_are_decoded_and_augmented_while_they_are_read(tmp_path: Path, images: dict[str, Any]) -> None:
    assert not list(images["transformed"].path.rglob("*.gz"))
    outputs = seen(tmp_path, images, epochs=6)
    assert history(outputs)["val_accuracy"][-1] > 0.9
    assert outputs["model"].summary()["raw_features"] == ["image"]


def test_the_served_model_takes_a_jpeg_and_answers_named_classes(tmp_path: Path, images: dict[str, Any]) -> None:
    model = tf.saved_model.load(str(seen(tmp_path, images, epochs=6)["model"].path / "Format-Serving"))
    files = [picture(side, 500 + index) for index, side in enumerate([b"left", b"right"] * 4)]
    feature = {"image": [[file] for file in files]}
    examples = [tf.train.Example(features=tf.train.Features(feature={"image": tf.train.Feature(bytes_list=tf.train.BytesList(value=file))}))
                for file in feature["image"]]  # fmt: skip
    served = model.signatures["serving_default"](examples=tf.constant([example.SerializeToString() for example in examples]))
    assert served["predicted_class"].numpy().tolist() == [b"left", b"right"] * 4
    assert served["predictions"].shape == (8, 2)


def test_augmentation_is_another_one_for_each_row_and_pass_and_the_same_each_time(images: dict[str, Any]) -> None:
    def augment(features: Any, label: Any, seed: Any) -> Any:
        return {"pixels": tf.random.stateless_uniform((2,), seed)}, label

    maker = BatchMaker(source_of(images), ("pixels",), "side", augment=augment, seed=4)
    drawn = [[batch[0]["pixels"].numpy() for batch in stream(images, maker).begin(0).take(16)] for _ in range(2)]
    first, again = (np.concatenate(batches) for batches in drawn)
    assert np.array_equal(first, again)
    assert len(np.unique(first[:, 0])) == len(first) == 240


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("step", [1, 8, 13])
def test_rows_go_on_where_they_were(images: dict[str, Any], across: bool, step: int) -> None:
    maker = BatchMaker(source_of(images), (), "side", seed=4)
    whole = labels(stream(images, maker, across=across).begin(0), 20)
    assert labels(stream(images, maker, across=across).begin(step), 20 - step) == whole[step:]
    assert {len(batch) for batch in whole} == ({16} if across else {16, 8})


def test_passes_have_different_orders_and_all_rows(images: dict[str, Any]) -> None:
    def augment(features: Any, label: Any, seed: Any) -> Any:
        return features, tf.cast(seed[0], tf.int64)

    maker = BatchMaker(source_of(images), (), "side", augment=augment)
    plain = BatchMaker(source_of(images), (), "side")
    assert sorted(itertools.chain(*labels(stream(images, maker).begin(0), 8))) == list(range(120))
    first, second = labels(stream(images, plain).begin(0), 8), labels(stream(images, plain).begin(8), 8)
    assert first != second
    assert sorted(itertools.chain(*first)) == sorted(itertools.chain(*second))


def test_sequences_are_padded_and_learned_from(tmp_path: Path, sequences: dict[str, Any]) -> None:
    outputs = read(tmp_path, sequences, epochs=8)
    assert history(outputs)["val_accuracy"][-1] > 0.8
    serve = tf.saved_model.load(str(outputs["model"].path / "Format-Serving"))
    served = serve.signatures["serving_default"](examples=serialized(sequences["raw"]))
    right = (served["predictions"].numpy()[:, 0] > 0.5) == labels_of(sequences)
    assert right.mean() == pytest.approx(history(outputs)["val_accuracy"][-1], abs=1e-6)


def labels_of(given: dict[str, Any]) -> Any:
    parsed = tf.io.parse_example(serialized(given["raw"]), {"many": tf.io.FixedLenFeature([1], tf.int64)})
    return parsed["many"].numpy()[:, 0] == 1


def test_buckets_bring_rows_of_similar_length_together(sequences: dict[str, Any]) -> None:
    wanted = Sequences(buckets=(10, 20), longest=25)
    maker = BatchMaker(source_of(sequences), ("words",), "many", sequences=wanted, measured=("words",))
    data = stream(sequences, maker)
    count = data._order.steps_per_pass
    batches = list(data.begin(0).take(2 * count))
    assert sum(len(batch[1]) for batch in batches[:count]) == sum(len(batch[1]) for batch in batches[count:]) == 200
    lengths = [np.count_nonzero(batch[0]["words"].numpy(), axis=1) for batch in batches]
    assert all(len(set(np.digitize(batch, wanted.buckets))) == 1 for batch in lengths)
    assert max(batch.max() for batch in lengths) == 25
    resumed = list(data.begin(3).take(4))
    assert all(np.array_equal(one[1], two[1]) for one, two in zip(resumed, batches[3:7], strict=True))


def test_a_model_learns_from_buckets(tmp_path: Path, sequences: dict[str, Any]) -> None:
    outputs = read(tmp_path, sequences, sequences=Sequences(buckets=(10, 20)), epochs=8)
    assert history(outputs)["val_accuracy"][-1] > 0.8
    assert outputs["model_run"].summary()["steps"] > 8 * 200 / 16


def test_balanced_classes_weigh_the_same_in_all(images: dict[str, Any]) -> None:
    source, split = source_of(images), Split.of("Trainer", [images["raw"]], ["train"])
    assert label_counts("Trainer", "side", source, split) == [80, 40]
    assert class_weights("Trainer", "balanced", "side", ("left", "right"), source, split) == (0.75, 1.5)
    assert class_weights("Trainer", {"right": 4.0}, "side", ("left", "right"), source, split) == (1.0, 4.0)
    with pytest.raises(DefinitionError, match=r"no class: 'rihgt'. Did you mean 'right'"):
        class_weights("Trainer", {"rihgt": 4.0}, "side", ("left", "right"), source, split)
    with pytest.raises(DataError, match="label whose values are 0, 1, 2"):
        weather = source_of({**images})
        label_counts("Trainer", "pixels", weather, split)


def test_weights_of_classes_and_rows_are_multiplied(sequences: dict[str, Any]) -> None:
    maker = BatchMaker(source_of(sequences), (), "many", sample_weights="weight", class_weights=(3.0, 5.0))
    _, label, weights = next(iter(stream(sequences, maker).begin(0)))
    assert weights.numpy().tolist() == [10.0 if value else 3.0 for value in label.numpy()[:, 0]]
    _, label, weights = maker.evaluation(serialized(sequences["raw"]))
    assert weights.numpy().tolist() == [2.0 if value else 1.0 for value in label.numpy()[:, 0]]


def test_a_heavy_class_is_predicted_more_often(tmp_path: Path, images: dict[str, Any]) -> None:
    def share(weights: Any) -> float:
        source = CNN.replace('keras.layers.Conv2D(4, 3, activation="relu", name="edges")', "keras.layers.Rescaling(0.0)")
        outputs = seen(tmp_path, images, source, class_weights=weights, epochs=4)
        model = tf.saved_model.load(str(outputs["model"].path / "Format-Serving"))
        served = model.signatures["serving_default"](examples=serialized(images["raw"]))
        return float(served["predictions"].numpy()[:, 1].mean())

    assert share(None) < 0.4 < 0.45 < share("balanced") < 0.55 < 0.7 < share({"right": 10.0})


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (("(features, label, seed)", "(features, label)"), UserCodeError, r"augment must take \(features, label, seed\)"),
        (("return {", "return tf.zeros(2), {"), UserCodeError, r"augment must return \(features, label\)"),
        (('return {"pixels"', 'return {"pixel"'), UserCodeError, "Missing or not expected: pixel, pixels"),
        (("tf.image.stateless_random_flip_up_down", "tf.nothing"), UserCodeError, r"user_\d+.py:\d+ augment raised AttributeError"),
        (('features["pixels"], seed)', 'tf.io.decode_jpeg("x"), seed)'), UserCodeError, "cannot make a batch of"),
    ],
)
def test_mistakes_in_augment_are_named(
    change: tuple[str, str], kind: type[Exception], message: str, tmp_path: Path, images: dict[str, Any]
) -> None:
    with pytest.raises(kind, match=message), error_boundary(tmp_path):
        seen(tmp_path, images, CNN.replace(*change))


@pytest.mark.parametrize(
    ("parameters", "kind", "message"),
    [
        ({"sequences": Sequences(features=("word",))}, UserCodeError, r"no feature 'word'. Did you mean 'words'"),
        ({"sequences": Sequences(features=("many",))}, UserCodeError, r"'many' has a fixed length. Of varying length: words"),
        ({"sample_weights": "wieght"}, DataError, r"no feature 'wieght' for sample_weights. Did you mean 'weight'"),
    ],
)
def test_wrong_names_are_told_before_training(
    parameters: dict[str, Any], kind: type[Exception], message: str, tmp_path: Path, sequences: dict[str, Any]
) -> None:
    with pytest.raises(kind, match=message):
        read(tmp_path, sequences, **parameters)


@pytest.mark.parametrize("make", [lambda: Sequences(buckets=(20, 10)), lambda: Sequences(longest=0)])
def test_sequences_are_checked_when_they_are_made(make: Any) -> None:
    with pytest.raises(DefinitionError, match="Sequences"):
        make()


@pytest.mark.parametrize(
    ("rows", "size", "drawn_among"),
    [(45_000, 16 << 20, 45_000), (1_000_000, 2560 << 20, 100_000), (50_000, 5120 << 20, 10_000), (45_000, None, 10_000)],
)
def test_rows_that_lie_class_by_class_are_mixed_as_far_as_memory_goes(rows: int, size: int | None, drawn_among: int) -> None:
    assert min(Split((), rows, size).shuffle_rows, rows) == drawn_among
