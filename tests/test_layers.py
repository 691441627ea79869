"""Who may import whom, and what merely importing loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"apache_beam", "keras", "ml_metadata", "numpy", "pandas", "pyarrow", "tensorflow", "tensorflow_data_validation", "tfx_bsl"}


def loaded_by(statement: str) -> tuple[set[str], str]:
    """Returns the top-level modules that a new process has loaded after a statement, and all that it printed."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    *said, modules = done.stdout.splitlines()
    return set(json.loads(modules)), "\n".join(said) + done.stderr


def test_every_module_stands_in_its_layer() -> None:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(config_filename='pyproject.toml', no_cache=True))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "import pipeline, components",
        "import pipeline.loading; pipeline.loading.load_definition(pipeline.loading.Path('examples/taxi'))",
        "import pipeline.cli.main",
    ],
)
def test_importing_loads_no_heavy_library_and_says_nothing(statement: str) -> None:
    modules, said = loaded_by(statement)
    assert modules & HEAVY == set()
    assert said == ""


def test_engine_loads_ml_metadata_and_nothing_heavier() -> None:
    modules, said = loaded_by("import pipeline.runner, pipeline.planning")
    assert modules & HEAVY == {"ml_metadata"}
    assert said == ""


def test_server_of_the_workers_loads_nothing_heavy_by_itself() -> None:
    modules, said = loaded_by("import pipeline.worker_server")
    assert modules & HEAVY == set()
    assert said == ""
