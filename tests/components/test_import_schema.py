"""ImportSchema, and the curated schemas of the examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from components.schema.component import ImportSchema
from pipeline.errors import DataError
from tests.components.rows import SCHEMAS, documented_example
from tests.harness import run

TEXT = '# mine\nfeature { name: "x" type: INT int_domain { min: 1 } }  # kept\n'


def test_the_file_is_imported_with_its_comments(tmp_path: Path) -> None:
    (tmp_path / "mine.pbtxt").write_text(TEXT)
    schema = run(ImportSchema, tmp_path, schema_file="mine.pbtxt")["schema"]
    assert (schema.path / "schema.pbtxt").read_text() == TEXT
    assert schema.properties["schema_file"] == "mine.pbtxt"
    assert schema.summary()["features"][0]["domain"] == {"min": 1, "max": None}


def test_the_content_of_the_file_is_part_of_the_key(tmp_path: Path) -> None:
    file = tmp_path / "mine.pbtxt"
    file.write_text(TEXT)
    node = ImportSchema(schema_file="mine.pbtxt")
    driver = ImportSchema.driver()
    before = driver.prepare(node, {}, tmp_path).parts
    file.touch()
    assert driver.prepare(node, {}, tmp_path).parts == before
    file.write_text(TEXT.replace("min: 1", "min: 2"))
    assert driver.prepare(node, {}, tmp_path).parts != before


@pytest.mark.parametrize(
    ("text", "problem"),
    [("feature {\n  nam: 'x'\n}", r"mine\.pbtxt, line 2"), ('feature { name: "x" domain: "y" }', "refers to the domain 'y'")],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "mine.pbtxt").write_text(text)
    with pytest.raises(DataError, match=problem):
        run(ImportSchema, tmp_path, schema_file="mine.pbtxt")


def test_a_missing_file_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "mine.pbtxt").write_text(TEXT)
    with pytest.raises(DataError, match=r"no schema file at .*nine\.pbtxt\. Did you mean 'mine\.pbtxt'"):
        ImportSchema.driver().prepare(ImportSchema(schema_file="nine.pbtxt"), {}, tmp_path)


@pytest.mark.parametrize("name", ["taxi", "bikes", "penguins"])
def test_the_curated_schemas_have_a_label_that_is_not_served(tmp_path: Path, name: str) -> None:
    summary = run(ImportSchema, tmp_path, schema_file=str(SCHEMAS / f"{name}.pbtxt"))["schema"].summary()
    jsonschema.validate(summary, json.loads((SCHEMAS / "summaries" / "Schema.json").read_text()))
    assert summary["environments"] == ["TRAINING", "SERVING"]
    labels = {feature["name"] for feature in summary["features"] if feature["not_in_environment"] == ["SERVING"]}
    assert labels == {"taxi": {"tips"}, "bikes": {"cnt", "casual", "registered"}, "penguins": {"species"}}[name]


def test_the_documented_example_runs() -> None:
    names: dict[str, Any] = {"ImportSchema": ImportSchema}
    exec(documented_example(ImportSchema), names)
    assert names["schema"].schema.type.TYPE_NAME == "Schema"
