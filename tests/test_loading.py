"""Definitions are loaded by path, under a name of their own, in the project that they belong to."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.errors import DefinitionError, UsageError, UserCodeError
from pipeline.loading import definition_file, find_project, load_definition, module_name
from tests.project import Project

DEFINITION = """
from pipeline import Pipeline
from tests.fakes import Doubler, Source

def create_pipeline():
    return Pipeline("numbers", [Doubler(Source())])
"""


def test_folder_stands_for_the_definition_in_it(project: Project) -> None:
    file = project.write("definition.py", DEFINITION)
    assert load_definition(project.folder).file == file
    assert load_definition(file).pipeline.name == "numbers"


def test_user_file_called_pipeline_py_does_not_shadow_the_engine(project: Project) -> None:
    project.write("pipeline.py", DEFINITION)
    definition = load_definition(project.folder)
    assert [node.id for node in definition.pipeline.nodes] == ["Source", "Doubler"]
    assert Path(sys.modules["pipeline"].__file__ or "").parent.name == "pipeline"
    assert module_name(definition.file) in sys.modules


def test_users_folder_stands_behind_the_installed_packages(project: Project) -> None:
    project.write("definition.py", DEFINITION)
    before = list(sys.path)
    load_definition(project.folder)
    assert sys.path == [*before, str(project.folder)]


def test_project_is_the_nearest_folder_with_settings(project: Project) -> None:
    project.write("cauce.toml", "")
    file = project.write("examples/numbers/definition.py", DEFINITION)
    definition = load_definition(file)
    assert definition.project == project.folder
    assert definition.folders == (file.parent, project.folder)


def test_without_settings_the_project_is_the_folder_of_the_definition(project: Project) -> None:
    file = project.write("numbers/definition.py", DEFINITION)
    assert find_project(file.parent) is None
    assert load_definition(file).folders == (file.parent,)


def test_missing_definition_names_what_was_looked_for(project: Project) -> None:
    project.write("definitoin.py", DEFINITION)
    with pytest.raises(UsageError, match=r"holds no definition\. Expected one of: definition\.py, pipeline\.py"):
        definition_file(project.folder)
    with pytest.raises(UsageError, match=r"There is no definition at '.*definition\.py'\. Did you mean 'definitoin\.py'\?"):
        definition_file(project.folder / "definition.py")
    with pytest.raises(UsageError, match="There is no definition at"):
        definition_file(project.folder / "nowhere" / "definition.py")


def test_error_in_a_definition_names_file_and_line(project: Project) -> None:
    file = project.write("definition.py", "import os\n\nos.nothing\n")
    with pytest.raises(UserCodeError) as raised:
        load_definition(file)
    assert str(raised.value) == f"{file} cannot be imported: AttributeError: module 'os' has no attribute 'nothing' (line 3)"


def test_error_in_create_pipeline_names_file_and_line(project: Project) -> None:
    file = project.write("definition.py", "def create_pipeline():\n    return 1 / 0\n")
    with pytest.raises(UserCodeError) as raised:
        load_definition(file)
    assert str(raised.value) == f"{file}: create_pipeline raised ZeroDivisionError: division by zero (line 2)"


def test_syntax_error_names_the_line(project: Project) -> None:
    file = project.write("definition.py", "def create_pipeline(:\n")
    with pytest.raises(UserCodeError, match=r"cannot be imported: SyntaxError: .*definition\.py, line 1\)"):
        load_definition(file)


def test_definition_error_passes_through_unchanged(project: Project) -> None:
    project.write("definition.py", DEFINITION.replace("Source()", "Source(valeus=[1])"))
    with pytest.raises(DefinitionError, match=r"has no input or parameter 'valeus'\. Did you mean 'values'\?"):
        load_definition(project.folder)


def test_definition_must_have_create_pipeline_and_return_a_pipeline(project: Project) -> None:
    file = project.write("a.py", "def create_pipelin():\n    pass\n")
    with pytest.raises(DefinitionError, match=r"has no function 'create_pipeline'\. Did you mean 'create_pipelin'\?"):
        load_definition(file)
    file = project.write("b.py", "def create_pipeline():\n    return 3\n")
    with pytest.raises(DefinitionError, match=r"create_pipeline must return a Pipeline\. Received: 3"):
        load_definition(file)
