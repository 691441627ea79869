"""`cauce config`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli import cauce


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which the test stands, without settings of the surroundings."""
    monkeypatch.chdir(tmp_path)
    for name in ("ROOT", "METADATA", "PARALLEL", "RUNNER", "BEAM_ARGS"):
        monkeypatch.delenv(f"CAUCE_{name}", raising=False)
    return tmp_path


def test_each_setting_is_shown_with_its_origin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "cauce.toml").write_text('parallel = 3\nroot = "results"\nbeam_args = ["--runner=FlinkRunner", "--x"]\n')
    monkeypatch.setenv("CAUCE_PARALLEL", "2")
    said = cauce("config", "--metadata", "postgresql://me:secret@db:5432/cauce")
    assert said.code == 0
    assert (
        said.plain(folder)
        == """\
setting  value  from
root  DIR/results  DIR/cauce.toml
metadata  postgresql://me:***@db:5432/cauce  --metadata
parallel  2  CAUCE_PARALLEL
runner  local  default
beam_args  --runner=FlinkRunner --x  DIR/cauce.toml"""
    )


def test_settings_as_json(folder: Path) -> None:
    rows = {row["name"]: (row["value"], row["origin"]) for row in cauce("config", "--json").json("config")}
    assert rows == {
        "root": (str(folder / "cauce_root"), "default"),
        "metadata": (f"sqlite:///{folder / 'cauce_root'}/metadata.db", "default"),
        "parallel": (0, "default"),
        "runner": ("local", "default"),
        "beam_args": ([], "default"),
    }


def test_the_settings_of_another_project_are_shown_by_its_path(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other/cauce.toml").write_text("parallel = 5\n")
    rows = {row["name"]: row["value"] for row in cauce("config", "other", "--json").json("config")}
    assert (rows["parallel"], rows["root"]) == (5, str(folder / "other/cauce_root"))


def test_a_wrong_setting_is_told_with_its_file(folder: Path) -> None:
    (folder / "cauce.toml").write_text("paralel = 5\n")
    said = cauce("config")
    assert (said.code, said.out) == (2, "")
    assert f"{folder / 'cauce.toml'}: unknown setting 'paralel'. Did you mean 'parallel'?" in said.err
