"""`cauce schedule install`: a unit that systemd takes, and a line that a crontab takes."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.schedule.install import crontab_line, unit_text
from tests.cli import cauce
from tests.project import Project


def test_unit_is_written_once_and_never_over_another(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    said = cauce("schedule", "install", root=project.root)
    file = tmp_path / "config" / "systemd" / "user" / "cauce-schedule.service"
    text = file.read_text()
    assert (said.code, f"Wrote {file}" in said.out) == (0, True)
    assert f"Environment=CAUCE_ROOT={project.root}\n" in text
    assert f"WorkingDirectory={project.folder}\n" in text
    assert "Restart=always" in text
    assert "WantedBy=default.target" in text
    assert f"There was already {file}" in cauce("schedule", "install", root=project.root).out
    file.write_text("[Unit]\n")
    refused = cauce("schedule", "install", root=project.root)
    assert (refused.code, "is there already, and is different" in refused.err) == (2, True)
    assert cauce("schedule", "install", "--force", root=project.root).code == 0
    assert file.read_text() == text
    assert "systemctl --user enable --now cauce-schedule.service" in said.out
    assert "* * * * * cd " in said.out


def test_printing_writes_nothing(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    said = cauce("schedule", "install", "--system", "--print", root=project.root)
    assert said.out.startswith("[Unit]\n")
    assert "WantedBy=multi-user.target" in said.out
    assert not (tmp_path / "config").exists()


def test_password_of_the_store_stands_in_no_unit_and_no_crontab(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(project.folder)
    unit = tmp_path / "unit"
    said = cauce("schedule", "install", "--output", unit, "--metadata", "postgresql://cauce:hunter2@db/cauce", root=project.root)
    assert "hunter2" not in unit.read_text() + said.out + said.err
    assert "put CAUCE_METADATA=... into" in said.err
    plain = cauce("schedule", "install", "--print", "--metadata", "postgresql://cauce@db/cauce", root=project.root)
    assert "Environment=CAUCE_METADATA=postgresql://cauce@db/cauce\n" in plain.out


def test_awkward_paths_survive_the_quoting_of_unit_and_crontab() -> None:
    folder = Path("/data/my projects/50% $done")
    text = unit_text(folder, {"CAUCE_ROOT": f"{folder}/root"}, ["--max-runs", "2"], system=False)
    assert 'Environment="CAUCE_ROOT=/data/my projects/50%% $done/root"' in text
    assert "WorkingDirectory=/data/my projects/50%% $done\n" in text
    line = crontab_line(folder, {"CAUCE_ROOT": f"{folder}/root"}, [])
    command = line.removeprefix("* * * * * ").replace(r"\%", "%")
    assert shlex.split(command)[1] == str(folder)
    assert f"CAUCE_ROOT={folder}/root" in shlex.split(command)
    assert line.endswith("schedule run --once")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "cauce-schedule.service"
    unit.write_text(unit_text(tmp_path, {"CAUCE_ROOT": str(tmp_path)}, [], system=True))
    checked = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
