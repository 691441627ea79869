"""`cauce schema`: what the data ask for, against the curated file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from components import Importer
from components.schema.review import SchemaChange
from tests.cli import cauce
from tests.fakes import Source
from tests.project import Project

CURATED = """# Penguins, as agreed.
feature {
  name: "sex"  # as observed
  type: BYTES
  domain: "sex"
}
feature {
  name: "year"
  type: INT
  int_domain { min: 2007 max: 2009 }
}
string_domain {
  name: "sex"
  value: "male"
}
"""
WITH_FEMALE = CURATED.replace('value: "male"', 'value: "male"\n  value: "female"')
WITH_BOTH = WITH_FEMALE.replace("max: 2009", "max: 2010")
YEAR = SchemaChange(
    "year",
    "range",
    'feature { name: "year" int_domain { min: 2007 max: 2009 } }',
    'feature { name: "year" int_domain { min: 2007 max: 2010 } }',
    "'year' goes from 2007 to 2010, the schema allows 2007 to 2009.",
)


@pytest.fixture
def curated(project: Project) -> Path:
    """The curated file of the project."""
    return project.write("schemas/penguins.pbtxt", CURATED)


def make(project: Project, type_name: str, files: Mapping[str, str], **properties: str) -> None:
    """Makes an artifact of these files."""
    for name, text in files.items():
        project.write(f"{type_name}/{name}", text)
    project.run(Importer(source=type_name, artifact_type=type_name, properties=properties))


def propose(project: Project, proposed: str) -> None:
    """Makes what SchemaGen makes where there is a curated file."""
    make(
        project, "Schema", {"schema.pbtxt": CURATED, "proposed.pbtxt": proposed, "summary.json": "{}"}, schema_file="schemas/penguins.pbtxt"
    )


def find_anomalies(project: Project, *changes: SchemaChange, schema_file: str = "schemas/penguins.pbtxt") -> None:
    """Makes what ExampleValidator makes."""
    summary: dict[str, Any] = {"blocked": True, "schema_file": schema_file, "splits": {}, "changes": [asdict(change) for change in changes]}
    make(project, "ExampleAnomalies", {"summary.json": json.dumps(summary)})


def asked(project: Project, file: Path, *words: object) -> list[tuple[str, str]]:
    found = cauce("schema", "diff", file, *words, "--json", root=project.root).json("schema-diff")
    return [(change["feature"], change["what"]) for change in found["changes"]]


def test_a_proposal_is_shown_change_by_change(project: Project, curated: Path) -> None:
    propose(project, WITH_BOTH)
    said = cauce("schema", "diff", curated, root=project.root)
    assert said.code == 0
    assert said.plain(project.folder).splitlines()[:3] == [
        "DIR/schemas/penguins.pbtxt, by Schema 1: 2 changes",
        "",
        "values: 'sex' has values that the schema does not list: 'female'.",
    ]
    assert '  +   value: "female"\n' in said.out
    assert said.out.endswith(f"\nto accept them: cauce schema accept {curated} [--feature NAME]\n")


def test_all_changes_are_accepted_and_comments_stay(project: Project, curated: Path) -> None:
    propose(project, WITH_BOTH)
    said = cauce("schema", "accept", curated, root=project.root)
    assert said.code == 0
    assert said.out.splitlines()[0] == f"{curated} now allows:"
    assert asked(project, curated) == []
    assert curated.read_text().startswith("# Penguins, as agreed.\n")
    assert "# as observed" in curated.read_text()
    again = cauce("schema", "accept", curated, root=project.root)
    assert again.out == f"{curated} allows all that the data ask for; nothing was changed.\n"


def test_one_feature_is_accepted(project: Project, curated: Path) -> None:
    propose(project, WITH_BOTH)
    accepted = cauce("schema", "accept", curated, "--feature", "year", "--json", root=project.root).json("schema-accept")
    assert [change["feature"] for change in accepted["changes"]] == ["year"]
    assert asked(project, curated) == [("sex", "values")]
    said = cauce("schema", "accept", curated, "--feature", "sx", root=project.root)
    assert (said.code, "No change of the feature 'sx' is asked for. Did you mean 'sex'?" in said.err) == (2, True)


def test_the_command_that_a_blocked_run_names_works_from_the_project(
    project: Project, curated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_anomalies(project, YEAR)
    project.write("cauce.toml", "")
    (project.folder / "deep").mkdir()
    for folder in (project.folder, project.folder / "deep"):
        curated.write_text(CURATED)
        monkeypatch.chdir(folder)
        said = cauce("schema", "accept", "schemas/penguins.pbtxt", "--feature", "year", root=project.root)
        assert (said.code, "max: 2010" in curated.read_text()) == (0, True), said.err
        assert asked(project, curated) == []


def test_anomalies_and_proposal_are_put_together(project: Project, curated: Path) -> None:
    propose(project, WITH_FEMALE)
    find_anomalies(project, YEAR)
    found = cauce("schema", "diff", curated, "--json", root=project.root).json("schema-diff")
    assert [(source["type"], source["id"]) for source in found["sources"]] == [("ExampleAnomalies", 2), ("Schema", 1)]
    assert asked(project, curated) == [("year", "range"), ("sex", "values")]


def test_what_was_found_about_another_file_does_not_count(project: Project, curated: Path) -> None:
    propose(project, WITH_FEMALE)
    find_anomalies(project, YEAR, schema_file="schemas/taxi.pbtxt")
    assert asked(project, curated) == [("sex", "values")]


def test_the_latest_says_what_counts(project: Project, curated: Path) -> None:
    propose(project, WITH_BOTH)
    propose(project, WITH_FEMALE)
    assert asked(project, curated) == [("sex", "values")]
    assert asked(project, curated, "--from", 1) == [("sex", "values"), ("year", "range")]


def test_what_the_last_run_took_from_the_cache_is_the_latest(project: Project, curated: Path) -> None:
    find_anomalies(project)
    find_anomalies(project, YEAR)
    assert asked(project, curated) == [("year", "range")]
    find_anomalies(project)
    assert [execution.state.value for execution in project.store.executions([1, 2, 3])] == ["COMPLETE", "COMPLETE", "CACHED"]
    assert asked(project, curated) == []


def test_an_inferred_schema_is_compared_where_there_is_no_proposal(project: Project, curated: Path) -> None:
    make(project, "Schema", {"schema.pbtxt": WITH_FEMALE})
    assert asked(project, curated) == [("sex", "values")]


def test_without_a_file_it_is_the_one_that_was_used_last(project: Project, curated: Path) -> None:
    propose(project, WITH_FEMALE)
    project.store.update_run(project.store.runs()[-1].id, {"definition": str(project.folder / "definition.py")})
    found = cauce("schema", "diff", "--json", root=project.root).json("schema-diff")
    assert (found["file"], len(found["changes"])) == (str(curated), 1)
    curated.unlink()
    said = cauce("schema", "diff", root=project.root)
    assert (said.code, f"The schema file that was used last is gone: {curated}" in said.err) == (2, True)


def test_the_inferred_schema_becomes_the_first_curated_file(project: Project) -> None:
    make(project, "Schema", {"schema.pbtxt": CURATED})
    new = project.folder / "schemas/new.pbtxt"
    found = cauce("schema", "accept", new, "--json", root=project.root).json("schema-accept")
    assert (found["new"], new.read_text()) == (True, CURATED)
    assert cauce("schema", "accept", new, root=project.root).out.endswith("nothing was changed.\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("diff", "missing.pbtxt"),
            "There is no schema file missing.pbtxt.\nTo make it of the inferred schema: cauce schema accept missing.pbtxt",
        ),
        (("accept", "missing.pbtxt"), "There is no inferred schema to make missing.pbtxt of."),
        (
            ("accept", "missing.pbtxt", "--feature", "sex"),
            "There is no schema file missing.pbtxt yet; --feature chooses among changes of one.",
        ),
        (("diff",), "No run has used a curated schema file yet."),
        (("diff", "{curated}"), "says what the data ask for beyond"),
        (("diff", "{curated}", "--from", "1"), "--from expects a Schema or ExampleAnomalies. Received: FakeNumbers 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(project: Project, curated: Path, words: tuple[str, ...], message: str) -> None:
    project.run(Source())
    said = cauce("schema", *(word.format(curated=curated) for word in words), root=project.root)
    assert (said.code, said.out) == (2, "")
    assert message in said.err, said.err


def test_a_damaged_curated_file_is_told_with_its_line(project: Project, curated: Path) -> None:
    propose(project, WITH_FEMALE)
    curated.write_text("feature {\n  nme: 'sex'\n}\n")
    said = cauce("schema", "diff", curated, root=project.root)
    assert (said.code, f"{curated}, line 2" in said.err) == (1, True), said.err
