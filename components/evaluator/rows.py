"""What the metrics need of each row, in columns: labels and predictions of each model, weights, and the values to slice by.

A `Layout` says where each of them comes from: from the examples as they are, or from the transform inside a model. It is found
once, from the first rows, and `read_rows` follows it.
"""

from __future__ import annotations

import dataclasses
import functools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from components.evaluator.media import media_kind
from components.evaluator.saved_model import CLASS_OUTPUTS, TRANSFORM_SIGNATURE, ServedModel, load_model, reason_of
from components.records import read_records
from pipeline.errors import DataError, did_you_mean

Vector = npt.NDArray[np.generic]

BATCH_ROWS = 4096
MEDIA_BATCH_ROWS = 64
"""Rows that a model sees at once where they hold pictures or sounds, which grow large when it decodes them."""

_FIRST_ROWS = 256

Look = Callable[[Vector, Vector, Sequence[bytes], str, int], None]
"""Sees labels and predictions of the candidate, the serialized examples, their file, and how many of it came before."""


@dataclass(frozen=True)
class ModelLayout:
    """Where the label and the prediction of one model come from.

    Attributes:
        path: The SavedModel's folder.
        signature: The signature that predicts.
        prediction: Its output.
        classes: The names of the classes, for labels that are text; None if the model does not tell them.
        label: The label's name.
        transformed: Whether the model's own transform makes the label.
        places: For a baseline whose classes have another order than the candidate's, or are fewer: the place of each among those.
    """

    path: str
    signature: str
    prediction: str
    classes: tuple[bytes, ...] | None
    label: str
    transformed: bool
    places: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Layout:
    """Where everything that the metrics need comes from.

    Attributes:
        models: The candidate, then the baseline if there is one.
        raw: Features read from the examples, besides labels.
        transformed: Features computed by the candidate's transform, besides labels.
        weight: Name of the weight, empty for none.
        types: The features that are read from the examples, labels included, each with its type: INT, FLOAT or BYTES.
        origins: A value near the mean of the labels, by model.
        batch_rows: How many rows the models see at once.
    """

    models: tuple[ModelLayout, ...]
    raw: tuple[str, ...]
    transformed: tuple[str, ...]
    weight: str
    types: tuple[tuple[str, str], ...] = ()
    origins: tuple[float, ...] = ()
    batch_rows: int = BATCH_ROWS


@dataclass(frozen=True)
class Column:
    """All values of one feature: `values[i]` belongs to row `rows[i]`, in order; a row may have none or several."""

    rows: npt.NDArray[np.int64]
    values: Vector


@dataclass(frozen=True)
class Rows:
    """Some rows in columns.

    Attributes:
        count: Number of rows.
        seed: A number that is the same for the same rows each time.
        labels: Labels by model, `(rows,)` or `(rows, classes)`.
        predictions: Predictions by model, likewise.
        weights: Weights `(rows,)`; None without.
        features: The features to slice by.
        origins: As in the layout.
    """

    count: int
    seed: int
    labels: tuple[Vector, ...]
    predictions: tuple[Vector, ...]
    weights: npt.NDArray[np.float64] | None
    features: Mapping[str, Column]
    origins: tuple[float, ...] = ()


def read_rows(file: Path, layout: Layout, look: Look | None = None) -> Iterator[Rows]:
    """Yields the rows of one TFRecord file, batch by batch, with the predictions of the models; `look` sees each batch.

    Raises:
        DataError: If a row has no label, or one that the model does not know; it names file and record.
    """
    first = 0
    name = f"{file.parent.name}/{file.name}"
    for records in read_records(file, batch_rows=layout.batch_rows):
        rows = _evaluate(records, layout, name, first)
        if look is not None:
            look(rows.labels[0], rows.predictions[0], records, name, first)
        yield rows
        first += len(records)


def _evaluate(records: list[bytes], layout: Layout, file: str, first: int) -> Rows:
    columns = _parse(records, layout.types, file, first)
    labels, predictions = [], []
    transformed: dict[str, Vector] = {}
    for index, model in enumerate(layout.models):
        served = load_model(model.path)
        wanted = ([model.label] if model.transformed else []) + (list(layout.transformed) if index == 0 else [])
        outputs = served.compute(TRANSFORM_SIGNATURE, dict.fromkeys(wanted), records)
        transformed = outputs if index == 0 else transformed
        found = outputs[model.label] if model.transformed else _dense(columns[model.label], len(records), model.label, file, first)
        scores = _flat(served.compute(model.signature, [model.prediction], records)[model.prediction])
        known = layout.models[0].classes if model.places else model.classes
        named = found.dtype.kind == "O"
        ids = _class_ids(_flat(found), known, model.label, file, first) if named else _flat(found)
        if model.places is not None:
            scores, ids = _placed(scores, model.places, len(known or ())), ids if named else _placed_labels(ids, model.places)
        labels.append(ids)
        predictions.append(scores)
    return Rows(
        count=len(records),
        seed=zlib.crc32(f"{file}:{first}".encode()),
        labels=tuple(labels),
        predictions=tuple(predictions),
        weights=_weights(layout, columns, transformed, len(records), file, first),
        features={name: columns[name] for name in layout.raw} | {name: _spread(transformed[name]) for name in layout.transformed},
        origins=layout.origins,
    )


def _parse(records: list[bytes], types: tuple[tuple[str, str], ...], file: str, first: int) -> dict[str, Column]:
    """Returns features of serialized examples; TensorFlow's parser passes over all others."""
    import tensorflow as tf

    if not types:
        return {}
    try:
        parsed = _parser(types)(tf.constant(records, tf.string))
    except tf.errors.OpError as error:
        raise DataError(f"{file}, records {first + 1} to {first + len(records)}: {reason_of(error)}") from error
    return {name: Column(found.indices.numpy()[:, 0], found.values.numpy()) for name, found in parsed.items()}


@functools.lru_cache(maxsize=2)
def _parser(types: tuple[tuple[str, str], ...]) -> Any:
    import tensorflow as tf

    kinds = {"INT": tf.int64, "FLOAT": tf.float32, "BYTES": tf.string}
    features = {name: tf.io.VarLenFeature(kinds[kind]) for name, kind in types}
    return tf.function(lambda records: tf.io.parse_example(records, features), input_signature=[tf.TensorSpec([None], tf.string)])


def _dense(column: Column, count: int, name: str, file: str, first: int) -> Vector:
    """Returns a column whose rows all have the same number of values, as `(rows, values)`."""
    lengths = np.bincount(column.rows, minlength=count)
    expected = max(1, int(lengths[0]))
    wrong = np.flatnonzero(lengths != expected)
    if len(wrong):
        raise DataError(
            f"{file}, record {first + int(wrong[0]) + 1}: expected {expected} value of '{name}'. Received: {lengths[wrong[0]]}. "
            f"{len(wrong)} of {count} records of this batch are like that.",
            hint="Leave out the rows without a label, or exclude their split.",
        )
    return column.values.reshape(count, expected)


def _flat(values: Vector) -> Vector:
    """Returns `(rows, 1)` as `(rows,)`."""
    return values.reshape(-1) if values.size == len(values) else values


def _placed(scores: Vector, places: tuple[int, ...], count: int) -> Vector:
    """Returns the scores in the order of the candidate's classes; of a class that the baseline does not know it is 0."""
    if scores.ndim == 1:
        reversed_pair: Vector = np.subtract(1, scores)  # one probability of two classes that have changed places
        return reversed_pair
    placed = np.zeros((len(scores), count), scores.dtype)
    placed[:, list(places)] = scores
    return placed


def _placed_labels(labels: Vector, places: tuple[int, ...]) -> Vector:
    """Returns labels that are numbers of the baseline's classes as those of the candidate's."""
    ids = labels.astype(np.int64)
    inside = (ids >= 0) & (ids < len(places))
    return np.where(inside, np.array(places)[np.where(inside, ids, 0)], ids)


def _class_ids(labels: Vector, classes: tuple[bytes, ...] | None, label: str, file: str, first: int) -> npt.NDArray[np.int64]:
    """Returns the position of each label among the names of the classes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if classes is None:
        raise DataError(
            f"The label '{label}' is text, and the model does not tell its classes.",
            hint=f"Give the serving signature an output '{CLASS_OUTPUTS[-1]}' with their names, or let the transform number the label.",
        )
    ids = pc.index_in(pa.array(labels, pa.large_binary()), value_set=pa.array(classes, pa.large_binary()))
    if ids.null_count:
        wrong = int(np.flatnonzero(ids.is_null().to_numpy(zero_copy_only=False))[0])
        known = ", ".join(map(_text, classes))
        raise DataError(f"{file}, record {first + wrong + 1}: the label '{_text(labels[wrong])}' is none of the model's classes: {known}.")
    places: npt.NDArray[np.int64] = ids.to_numpy().astype(np.int64)
    return places


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _weights(
    layout: Layout, columns: Mapping[str, Column], transformed: Mapping[str, Vector], count: int, file: str, first: int
) -> npt.NDArray[np.float64] | None:
    if not layout.weight:
        return None
    found = transformed.get(layout.weight)
    return _flat(_dense(columns[layout.weight], count, layout.weight, file, first) if found is None else found).astype(np.float64)


def _spread(values: Vector) -> Column:
    flat = values.reshape(len(values), -1)
    return Column(np.repeat(np.arange(len(values), dtype=np.int64), flat.shape[1]), flat.reshape(-1))


def find_layout(files: Sequence[Path], config: Any, paths: Mapping[str, str], schema: Any | None) -> Layout:
    """Finds out where everything comes from, from the first rows; without a schema their types as well.

    Raises:
        DataError: If there are no rows, or a label, weight or slice is neither in the examples nor among the transform's outputs.
    """
    records = _first_records(files)
    kinds = _types(records, schema)
    present = set(kinds)
    models = _in_one_order([_model_layout(spec, paths[spec.name], present, records) for spec in config.model_specs])
    computed = set(load_model(models[0].path).outputs(TRANSFORM_SIGNATURE))
    weight = config.model_specs[0].example_weight_key
    wanted = {name for spec in config.slicing_specs for name in (*spec.feature_keys, *spec.feature_values)} | ({weight} - {""})
    for name in sorted(wanted - present - computed):
        raise DataError(f"'{name}' is neither a feature of the examples nor of the transform.{did_you_mean(name, present | computed)}")
    transformed = wanted & computed - (present - {weight})
    raw = wanted - transformed
    parsed = raw | {model.label for model in models if not model.transformed}
    types = tuple((name, kinds[name]) for name in sorted(parsed))
    batch_rows = _batch_rows(records)
    layout = Layout(models, tuple(sorted(raw)), tuple(sorted(transformed)), weight, types, batch_rows=batch_rows)
    first = _evaluate(records[: min(_FIRST_ROWS, batch_rows)], layout, "the first rows", 0)
    origins = (np.nan_to_num(labels, posinf=0.0, neginf=0.0).mean() for labels in first.labels)
    return dataclasses.replace(layout, origins=tuple(map(float, origins)))


def first_rows(files: Sequence[Path], spec: Any, path: str, schema: Any | None) -> tuple[Layout, Rows]:
    """Returns the first rows with the predictions of one model, and where these come from; weights and slices are left out.

    Raises:
        DataError: If there are no rows, or the label is neither in the examples nor among the transform's outputs.
    """
    records = _first_records(files)
    kinds = _types(records, schema)
    model = _model_layout(spec, path, set(kinds), records)
    types = () if model.transformed else ((model.label, kinds[model.label]),)
    layout = Layout((model,), (), (), "", types, batch_rows=_batch_rows(records))
    return layout, _evaluate(records[: min(_FIRST_ROWS, layout.batch_rows)], layout, "the first rows", 0)


def _first_records(files: Sequence[Path]) -> list[bytes]:
    records = next((batch for file in files for batch in read_records(file, batch_rows=BATCH_ROWS)), None)
    if records is None:
        raise DataError("There are no rows to evaluate.", hint="Choose another split: splits=('eval',).")
    return records


def _batch_rows(records: Sequence[bytes]) -> int:
    """Returns how many rows a model sees at once: few where the first one holds a picture or a sound."""
    import tensorflow as tf

    features = tf.train.Example.FromString(records[0]).features.feature.values()
    holds = any(media_kind(value) for feature in features for value in feature.bytes_list.value[:1])
    return MEDIA_BATCH_ROWS if holds else BATCH_ROWS


def _types(records: list[bytes], schema: Any | None) -> dict[str, str]:
    """Returns the type of each feature: INT, FLOAT or BYTES."""
    from tensorflow_metadata.proto.v0.schema_pb2 import FeatureType

    return _inferred_types(records) if schema is None else {feature.name: FeatureType.Name(feature.type) for feature in schema.feature}


def _model_layout(spec: Any, path: str, present: set[str], records: Sequence[bytes]) -> ModelLayout:
    model = load_model(path)
    label, computed = spec.label_key, model.outputs(TRANSFORM_SIGNATURE)
    if label not in computed and label not in present:
        raise DataError(
            f"The label '{label}' is neither a feature of the examples nor an output of the transform of the model at {path}."
            f"{did_you_mean(label, present | set(computed))}"
        )
    prediction = model.prediction_output(spec.signature_name, spec.prediction_key)
    return ModelLayout(
        path=path,
        signature=spec.signature_name,
        prediction=prediction,
        classes=_classes(model, spec.signature_name, prediction, records[:1]),
        label=label,
        transformed=label in computed,
    )


def _in_one_order(models: list[ModelLayout]) -> tuple[ModelLayout, ...]:
    """Returns the models, a baseline with the places of its classes among the candidate's, where it knows no others."""
    first = models[0].classes
    for index, model in enumerate(models):
        if index and first and model.classes and model.classes != first and set(model.classes) <= set(first):
            models[index] = dataclasses.replace(model, places=tuple(map(first.index, model.classes)))
    return tuple(models)


def _classes(model: ServedModel, signature: str, prediction: str, records: Sequence[bytes]) -> tuple[bytes, ...] | None:
    """Returns the names of the classes if the model tells as many as its prediction has values, or two for one probability."""
    name = next((name for name in CLASS_OUTPUTS if name in model.outputs(signature)), None)
    if name is None:
        return None
    outputs = model.compute(signature, (prediction, name), records)
    classes = outputs[name].reshape(-1)
    return tuple(classes.tolist()) if classes.dtype.kind == "O" and classes.size == max(2, outputs[prediction].size) else None


def _inferred_types(records: list[bytes]) -> dict[str, str]:
    """Returns the type of each feature that has a value in some record."""
    import pyarrow as pa
    from tfx_bsl.coders import example_coder

    kinds = {pa.int64(): "INT", pa.float32(): "FLOAT", pa.large_binary(): "BYTES"}
    fields = example_coder.ExamplesToRecordBatchDecoder().DecodeBatch(records).schema
    return {field.name: kinds[field.type.value_type] for field in fields if not pa.types.is_null(field.type)}
