"""`cauce new`, and that what it makes runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.loading import load_definition
from tests.cli import cauce

FILES = ["README.md", "cauce.toml", "data/penguins.csv", "definition.py", "features.py", "model.py"]


def test_a_project_is_made_and_the_next_command_told(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "penguins"
    said = cauce("new", folder)
    assert said.code == 0
    assert said.out == f"Made {folder} with {', '.join(FILES)}.\nnext: cauce run {folder}\n"
    assert sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()) == FILES


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    made = cauce("new", tmp_path, "--json").json("new")
    assert made == {"folder": str(tmp_path), "files": FILES}


def test_a_folder_with_files_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    said = cauce("new", tmp_path)
    assert (said.code, said.err.splitlines()[0]) == (2, f"error: {tmp_path} is there already and is not empty.")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert cauce("new", tmp_path / "mine").err.startswith(f"error: {tmp_path / 'mine'} is there already.")


def test_the_definition_can_be_loaded_and_planned(tmp_path: Path) -> None:
    cauce("new", tmp_path)
    definition = load_definition(tmp_path)
    assert definition.project == tmp_path
    assert [node.id for node in definition.pipeline.nodes][-1] == "Pusher"


@pytest.mark.tensorflow
def test_the_project_runs_as_it_is_and_serves_a_model(tmp_path: Path) -> None:
    cauce("new", tmp_path)
    command = [sys.executable, "-m", "pipeline", "run", "."]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (version,) = cauce("models", "--json", root=tmp_path / "cauce_root").json("models-list")
    assert (version["state"], version["blessed"]) == ("served", True)
    lineage = cauce("lineage", version["uri"], "--up", root=tmp_path / "cauce_root").out
    assert "input=data/penguins.csv" in lineage
    assert "features.py@" in lineage
