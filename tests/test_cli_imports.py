"""Commands that only read or plan load no heavy library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.fakes import Source
from tests.project import Project

HEAVY = (
    "tensorflow",
    "apache_beam",
    "pyarrow",
    "numpy",
    "pandas",
    "tensorflow_data_validation",
    "tensorflow_model_analysis",
    "tfx_bsl",
    "keras",
)
READING = [
    *("runs", "runs show", "nodes", "logs Source", "artifacts", "artifacts show 1", "lineage 1", "models", "gc", "config", "doctor"),
    *("why Source", "diff latest latest", "search Source", "executions", "lineage export", "runs list --sort -seconds", "runs list --csv"),
    *("executions list --library click", "artifacts list --unused", "lineage latest --format mermaid"),
    *("schedule", "schedule history"),
]
PROBE = """
import contextlib, io, json, sys
from pipeline.cli.main import main
heavy, commands = json.loads(sys.argv[1])
found = {}
for command in commands:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            main(command.split())
    except SystemExit as left:
        found[command] = [left.code or 0, *(name for name in heavy if name in sys.modules)]
print(json.dumps(found))
"""


def loaded(*commands: str, folder: Path) -> dict[str, list[object]]:
    """Returns the exit code of each command and the heavy libraries that are loaded after it; all run in one process."""
    environment = {"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": "", "CAUCE_ROOT": str(folder / "root")}
    command = [sys.executable, "-c", PROBE, json.dumps([HEAVY, commands])]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=True)
    found: dict[str, list[object]] = json.loads(ran.stdout)
    return found


def test_commands_that_read_load_no_heavy_library(project: Project) -> None:
    project.run(Source())
    assert loaded("--help", *READING, folder=project.folder) == {"--help": [0], **{command: [0] for command in READING}}


def test_a_plan_of_a_whole_project_loads_no_heavy_library(tmp_path: Path) -> None:
    assert loaded("new penguins", "plan penguins", folder=tmp_path) == {"new penguins": [0], "plan penguins": [0]}


def test_help_loads_neither_the_store_nor_any_command() -> None:
    names = ("ml_metadata", "rich", "pipeline.cli.common")
    run = "import sys, pipeline.cli.main as cli; cli.cauce.main(['--help'], standalone_mode=False)"
    code = f"{run}; print([name for name in {names} if name in sys.modules])"
    environment = {"PYTHONPATH": str(Path(__file__).parents[1])}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"
