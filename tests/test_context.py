"""The context: where a component writes, what it loads, and what it tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.context import Context, Progress, RowCount, Verdict
from pipeline.errors import DefinitionError
from tests.project import Project


@pytest.fixture
def context(project: Project) -> Context:
    """The context of a definition in a folder of its project."""
    code = project.folder / "examples"
    code.mkdir()
    return Context("p", "r", "node", 1, project.folder, code, project.folder / "temp", project.folder / "state")


def test_relative_paths_are_relative_to_the_project(context: Context) -> None:
    assert context.path("data/x.csv") == (context.project / "data" / "x.csv").resolve()
    assert context.path("/data/x.csv") == Path("/data/x.csv")
    assert context.path("~/x.csv") == Path.home() / "x.csv"


def test_user_code_is_looked_for_beside_the_definition_and_then_in_the_project(context: Context, project: Project) -> None:
    project.write("rules_shared.py", "def apply():\n    return 'project'\n")
    assert context.load("rules_shared:apply")() == "project"
    project.write("examples/rules_own.py", "def apply():\n    return 'own'\n")
    project.write("rules_own.py", "def apply():\n    return 'project'\n")
    assert context.load("rules_own", default="apply")() == "own"
    with pytest.raises(DefinitionError, match="There is no user module 'rules_none'"):
        context.load("rules_none:apply")


def test_what_it_is_told_becomes_plain_data(context: Context) -> None:
    heard: list[Progress] = []
    context.report = heard.append
    context.progress("reading", rows=3, loss=0.5)
    context.decide("valid", (str(number) for number in (1, 2)))  # type: ignore[arg-type]
    context.count_rows(5, {"train": 3, "eval": 1}, {"damaged": 1})
    context.note(span=4)
    assert heard == [Progress("reading", 3, {"loss": 0.5})]
    assert context.verdict == Verdict("valid", ("1", "2"))
    assert context.rows == RowCount(5, {"train": 3, "eval": 1}, {"damaged": 1})
    assert context.rows.missing == 0
    assert context.notes == {"span": 4}


def test_one_reason_is_not_taken_for_many_letters(context: Context) -> None:
    context.decide("blocked", "too few rows", blocks=True)
    assert context.verdict == Verdict("blocked", ("too few rows",), blocks=True)


def test_rows_that_neither_arrived_nor_were_dropped_are_missing() -> None:
    assert RowCount(10, {"train": 6}, {"empty": 1}).missing == 3
    assert RowCount(1, {"train": 2}).missing == -1
