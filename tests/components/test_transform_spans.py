"""The analyzer cache of a window of spans: equal results, only the new span is read, and TFT's own layout."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import jsonschema
import pytest
import tensorflow_transform as tft
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from tensorflow_transform.beam import analyzer_cache

from components.transform.analyzer_cache import read_cache
from pipeline.artifacts import Examples, TransformCache
from pipeline.errors import DataError
from tests.components.rows import write_examples
from tests.components.test_transform import REMOTE, REPOSITORY, assert_equal, inputs, raw, rows, transform

pytestmark = pytest.mark.tensorflow
__all__ = ["inputs"]

SMALL = """
def preprocessing_fn(inputs):
    return {
        "scaled": tft.scale_to_z_score(inputs["amount"]),
        "bucket": tft.bucketize(inputs["amount"], 5),
        "color": tft.compute_and_apply_vocabulary(inputs["color"], vocab_filename="color"),
    }
"""
MIXED = """
def preprocessing_fn(inputs):
    amount, count = inputs["amount"], inputs["count"]
    scaled = tft.scale_to_z_score(amount)
    return {
        "again": tft.scale_to_0_1(scaled * scaled),
        "bucket": tft.bucketize(amount, 7),
        "count": tft.compute_and_apply_vocabulary(count, vocab_filename="count"),
        "heavy": tft.apply_vocabulary(count, tft.vocabulary(count, weights=amount, vocab_filename="heavy", top_k=5)),
        "words": tft.compute_and_apply_vocabulary(inputs["words"], vocab_filename="words", frequency_threshold=30),
    }
"""
ONLY_BEAM = """
def preprocessing_fn(inputs):
    key = tf.strings.as_string(inputs["count"][:, 0] % 3)
    return {"per_key": tft.scale_to_z_score_per_key(inputs["amount"][:, 0], key), "unit": tft.scale_to_0_1(inputs["count"])}
"""


def span(folder: Path, number: int, size: int = 200) -> Examples:
    examples = write_examples(folder / f"span-{number}", {"train": rows(size, number), "eval": rows(50, 100 + number)})
    examples.properties["span"] = number
    return examples


def of(inputs: dict[str, Any], *examples: Examples) -> dict[str, Any]:
    return {**inputs, "examples": list(examples)}


def published(cache: TransformCache, id: int) -> TransformCache:
    return replace(cache, id=id)


def transformed(outputs: Any, examples: Examples) -> Any:
    return tft.TFTransformOutput(str(outputs["transform_graph"].path)).transform_features_layer()(raw(examples, "train"))


def joined(folder: Path, *numbers: int) -> Examples:
    """One artifact with the rows of these spans."""
    import pyarrow as pa

    return write_examples(folder / "whole", {"train": pa.concat_tables([rows(200, number) for number in numbers]), "eval": rows(50, 1)})


def test_window_gives_what_all_its_rows_give_together(tmp_path: Path, inputs: dict[str, Any]) -> None:
    spans = [span(tmp_path, number) for number in (1, 2, 3)]
    first = transform(tmp_path, of(inputs, *spans[:2]), MIXED)
    caches = first["updated_analyzer_cache"]
    second = transform(tmp_path, of(inputs, *spans[1:]), MIXED, done={"span 2": published(caches[1], 2)})
    whole = transform(tmp_path, of(inputs, joined(tmp_path, 2, 3)), MIXED)
    assert_equal(transformed(second, spans[0]), transformed(whole, spans[0]))
    assert second["transform_graph"].summary()["vocabularies"] == whole["transform_graph"].summary()["vocabularies"]
    assert whole["updated_analyzer_cache"] == []
    summary = json.loads((REPOSITORY / "schemas/summaries/TransformCache.json").read_text())
    for cache in caches:
        jsonschema.validate(cache.summary(), summary)
        assert cache.summary()["analyzers"] > 0


def test_kept_span_is_not_read_again_and_gives_the_same_numbers(tmp_path: Path, inputs: dict[str, Any]) -> None:
    spans = [span(tmp_path, number) for number in (1, 2)]
    first = transform(tmp_path, of(inputs, *spans), SMALL, materialize=False)
    done = {f"span {number}": published(cache, number) for number, cache in enumerate(first["updated_analyzer_cache"], 1)}
    for file in (spans[0].path / "Split-train").iterdir():
        file.write_bytes(b"damaged")
    again = transform(tmp_path, of(inputs, *spans), SMALL, materialize=False, done=done)
    assert first["transform_graph"].summary() == again["transform_graph"].summary()
    with pytest.raises(DataError, match="is damaged"):
        transform(tmp_path, of(inputs, *spans), SMALL, materialize=False, done={"span 2": done["span 2"]})


def test_beam_keeps_and_uses_the_same_cache(tmp_path: Path, inputs: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    spans = [span(tmp_path, number) for number in (1, 2)]
    here = transform(tmp_path, of(inputs, *spans), SMALL)
    there = transform(tmp_path, of(inputs, *spans), SMALL, beam_args=REMOTE)
    for one, other in zip(here["updated_analyzer_cache"], there["updated_analyzer_cache"], strict=True):
        assert sorted(read_cache(one.path)) == sorted(read_cache(other.path))
    for file in (spans[0].path / "Split-train").iterdir():
        file.write_bytes(b"damaged")
    for maker, user in ((here, REMOTE), (there, ())):
        done = {"span 1": published(maker["updated_analyzer_cache"][0], 1)}
        used = transform(tmp_path, of(inputs, *spans), SMALL, materialize=False, beam_args=user, done=done)
        assert_equal(transformed(used, spans[1]), transformed(here, spans[1]))


def test_analyzers_that_only_beam_can_do_are_kept_too(tmp_path: Path, inputs: dict[str, Any]) -> None:
    spans = [span(tmp_path, number) for number in (1, 2)]
    window = transform(tmp_path, of(inputs, *spans), ONLY_BEAM)
    whole = transform(tmp_path, of(inputs, joined(tmp_path, 1, 2)), ONLY_BEAM)
    assert_equal(transformed(window, spans[0]), transformed(whole, spans[0]))
    assert all(cache.summary()["analyzers"] > 0 for cache in window["updated_analyzer_cache"])


def test_tft_reads_the_cache(tmp_path: Path, inputs: dict[str, Any]) -> None:
    cache = transform(tmp_path, of(inputs, span(tmp_path, 1), span(tmp_path, 2)), SMALL)["updated_analyzer_cache"][1]
    key = analyzer_cache.DatasetKey("0001-span-2")
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        found = pipeline | analyzer_cache.ReadAnalysisCacheFromFS(str(cache.path), [key])
        assert set(found[key].keys()) == set(read_cache(cache.path))


def test_damaged_cache_is_an_error(tmp_path: Path, inputs: dict[str, Any]) -> None:
    cache = transform(tmp_path, of(inputs, span(tmp_path, 1), span(tmp_path, 2)), SMALL, materialize=False)["updated_analyzer_cache"][0]
    entry = next(cache.path.glob("*/0-*"))
    entry.write_bytes(entry.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"analyzer_cache.*(cut off|damaged)"):
        read_cache(cache.path)
