"""Importer: files and folders as artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components.importer import Importer, ImporterDriver
from pipeline.artifacts import Artifact, Model
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from pipeline.errors import DataError, DefinitionError
from tests.components.rows import documented_example
from tests.harness import run


class TrafficCounts(Artifact):
    """A type that only this test knows."""

    PROPERTIES = {"crossings": int}


class _NeedsModel(Component):
    """Takes a model."""

    def execute(self, context, model: Input[Model], copy: Output[Model]) -> None: ...  # type: ignore[no-untyped-def]


def imported(tmp_path: Path, source: str, **parameters: Any) -> Artifact:
    return run(Importer, tmp_path, source=source, artifact_type="Model", **parameters)["result"]


def test_the_output_has_the_type_that_is_asked_for() -> None:
    node = Importer(source="models/first", artifact_type="Model")
    assert node.result.type is Model
    assert _NeedsModel(node).inputs["model"][0] is node.outputs["result"]
    assert Importer(source="counts", artifact_type=TrafficCounts).result.type is TrafficCounts
    with pytest.raises(DefinitionError, match="expects Model"):
        _NeedsModel(Importer(source="x", artifact_type="Schema", id="schema"))


def test_a_file_keeps_its_name_and_a_folder_gives_its_content(tmp_path: Path) -> None:
    (tmp_path / "model" / "variables").mkdir(parents=True)
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "model" / "variables" / "data").write_bytes(b"weights")
    folder = imported(tmp_path, "model", properties={"framework": "keras", "layers": 3})
    assert {path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*") if path.is_file()} == {
        "saved_model.pb",
        "variables/data",
    }
    assert folder.properties == {"source": "model", "framework": "keras", "layers": 3}
    file = imported(tmp_path, "model/saved_model.pb")
    assert [path.name for path in file.path.iterdir()] == ["saved_model.pb"]


def test_the_payload_does_not_change_with_the_source(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("before")
    artifact = imported(tmp_path, "notes.txt")
    with (tmp_path / "notes.txt").open("w") as file:
        file.write("after")
    assert (artifact.path / "notes.txt").read_text() == "before"


def test_splits_are_found(tmp_path: Path) -> None:
    for split in ("train", "eval"):
        (tmp_path / "examples" / f"Split-{split}").mkdir(parents=True)
        (tmp_path / "examples" / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz").write_bytes(b"rows")
    assert imported(tmp_path, "examples").splits == ("eval", "train")


def test_the_content_of_the_source_is_part_of_the_key(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.txt").write_text("1")
    node = Importer(source="a", artifact_type="Model")
    before = ImporterDriver().prepare(node, {}, tmp_path)
    assert before.left_out == {"source"}
    (tmp_path / "a" / "one.txt").touch()
    assert ImporterDriver().prepare(node, {}, tmp_path).parts == before.parts
    (tmp_path / "a" / "one.txt").write_text("2")
    assert ImporterDriver().prepare(node, {}, tmp_path).parts != before.parts


def test_a_source_that_is_missing_empty_or_changing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(DataError, match=r"nothing at .*modle\. Did you mean 'model'"):
        imported(tmp_path, "modle")
    with pytest.raises(DataError, match="holds no file"):
        imported(tmp_path, "model")
    (tmp_path / "model" / "a").write_text("1")
    node = Importer(source="model", artifact_type="Model")
    prepared = ImporterDriver().prepare(node, {}, tmp_path).parameters
    (tmp_path / "model" / "a").write_text("2")
    (tmp_path / "result").mkdir()
    context = Context("test", "run", "Importer", 0, tmp_path, tmp_path, tmp_path / "temp", tmp_path / "state")
    with pytest.raises(DataError, match="changed while it was imported"):
        object.__new__(Importer).execute(context, Model(tmp_path / "result"), **prepared)


def test_parameters_are_checked_when_the_node_is_built() -> None:
    for parameters, message in (
        ({"artifact_type": "Modle"}, "no artifact type 'Modle'. Did you mean 'Model'"),
        ({}, "needs the parameter 'artifact_type'"),
        ({"artifact_type": "TrafficCounts", "properties": {"crossings": "3"}}, "property 'crossings' expects int"),
        ({"artifact_type": "Model", "properties": {"tags": ["a"]}}, "parameter 'properties' expects"),
    ):
        with pytest.raises(DefinitionError, match=message):
            Importer(source="x", **parameters)


def test_the_documented_example_runs() -> None:
    names: dict[str, Any] = {"Importer": Importer}
    exec(documented_example(Importer), names)
    assert names["model"].type is Model
