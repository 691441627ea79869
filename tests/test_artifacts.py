"""Artifacts: splits, counts, summaries, and the classes behind type names."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.artifacts import Artifact, Examples, Model, artifact_type
from pipeline.errors import DataError, DefinitionError
from tests.fakes import Numbers


def test_splits_and_counts_are_properties_as_tfx_writes_them(tmp_path: Path) -> None:
    examples = Examples(tmp_path)
    assert (examples.splits, examples.record_counts) == ((), {})
    examples.set_splits(["train", "eval"])
    examples.set_record_counts({"train": 20, "eval": 10})
    assert examples.properties == {"split_names": '["train", "eval"]', "record_counts": '{"train": 20, "eval": 10}'}
    assert examples.splits == ("train", "eval")
    assert examples.record_counts == {"train": 20, "eval": 10}
    assert examples.split_path("eval") == tmp_path / "Split-eval"


def test_unknown_split_is_refused_with_those_that_are_there(tmp_path: Path) -> None:
    examples = Examples(tmp_path, name="taxi/1")
    examples.set_splits(["train", "eval"])
    with pytest.raises(DataError, match=r"Examples 'taxi/1' has no split 'test'\. It has: train, eval\."):
        examples.split_path("test")


def test_summary_is_sorted_json_and_empty_where_there_is_none(tmp_path: Path) -> None:
    artifact = Numbers(tmp_path)
    assert artifact.summary() == {}
    artifact.write_summary({"b": [1, 2], "a": {"x": 0.5}})
    assert artifact.summary() == {"a": {"x": 0.5}, "b": [1, 2]}
    first = (tmp_path / "summary.json").read_bytes()
    artifact.write_summary({"a": {"x": 0.5}, "b": [1, 2]})
    assert (tmp_path / "summary.json").read_bytes() == first


def test_summary_that_is_no_json_is_refused_when_written_and_when_read(tmp_path: Path) -> None:
    artifact = Numbers(tmp_path, producer="Counter")
    with pytest.raises(ValueError, match="not JSON compliant"):
        artifact.write_summary({"loss": float("nan")})
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(DataError, match=r"summary\.json is damaged: .*\nRun its node again: --rerun Counter"):
        artifact.summary()


def test_type_name_finds_its_class_and_an_unknown_one_gets_a_plain_class() -> None:
    assert artifact_type("Model") is Model
    assert artifact_type("FakeNumbers") is Numbers
    unknown = artifact_type("MadeElsewhere")
    assert issubclass(unknown, Artifact)
    assert unknown.TYPE_NAME == "MadeElsewhere"
    assert artifact_type("MadeElsewhere") is unknown


def test_class_that_is_imported_after_its_type_was_read_takes_the_place_of_the_stand_in() -> None:
    assert artifact_type("ReadBeforeItsClass").PROPERTIES == {}

    class ReadBeforeItsClass(Artifact):
        PROPERTIES = {"rows": int}

    assert artifact_type("ReadBeforeItsClass") is ReadBeforeItsClass
    with pytest.raises(DefinitionError, match="Two artifact types have the name 'ReadBeforeItsClass'"):
        type("Other", (Artifact,), {"TYPE_NAME": "ReadBeforeItsClass"})


def test_uri_is_a_plain_absolute_path(tmp_path: Path) -> None:
    assert Numbers(tmp_path / "x").uri == f"{tmp_path}/x"
