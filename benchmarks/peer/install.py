"""Installs TFX into a virtual environment of its own, `.bench/tfx`, as `docs/performance.md` describes.

The versions are pinned in `constraints.txt`, which `uv pip compile --python-version 3.11 --no-annotate --no-header constraints.in`
makes; a second call returns at once. TFX is never part of cauce's own environment.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parent.parent / ".bench" / "tfx"
CONSTRAINTS = HERE / "constraints.txt"
PYTHON = (3, 11)


def install() -> Path:
    """Returns the interpreter of the environment, which is made first where it is missing or of other versions."""
    python = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / "installed"
    wanted = hashlib.sha256(CONSTRAINTS.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    if sys.version_info[:2] != PYTHON:
        raise SystemExit(f"TFX 1.16 needs Python 3.11 here. Received: {sys.version.split()[0]}.")
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    print(f"Installing TFX into {ENVIRONMENT} (once, some minutes)", file=sys.stderr)
    venv.create(ENVIRONMENT, with_pip=True)
    packages = ENVIRONMENT / "lib" / "python{}.{}".format(*PYTHON) / "site-packages"
    pinned = {**os.environ, "PIP_CONSTRAINT": str(CONSTRAINTS)}  # the environment also reaches the builds of source packages
    # TFX 1.16 says that it needs Python below 3.11, its wheel is pure Python and works on 3.11: both sides run on one Python.
    options = ("--quiet", "--no-compile", "--no-deps", "--ignore-requires-python")
    subprocess.run([python, "-m", "pip", "install", *options, "--requirement", CONSTRAINTS], env=pinned, check=True)
    # A few packages ship files of Python 2: their failure to compile harms nothing.
    subprocess.run([python, "-m", "compileall", "-q", "-j0", packages], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stamp.write_text(wanted, encoding="utf-8")
    return python


if __name__ == "__main__":
    print(install())
