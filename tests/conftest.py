"""Fixtures of the engine's tests."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.project import Project

MEMORY = Path("/dev/shm")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project; in memory where that can be, for SQLite waits for the disk at the end of each transaction."""
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < 100_000_000:
        yield Project(tmp_path)
        return
    with tempfile.TemporaryDirectory(prefix="cauce-", dir=MEMORY, ignore_cleanup_errors=True) as folder:
        yield Project(Path(folder))


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], None]:
    """Forgets the user code that was loaded, as each command of its own process does."""
    temporary = (str(tmp_path_factory.getbasetemp()), f"{MEMORY}/")

    def forget() -> None:
        importlib.invalidate_caches()
        for name, module in list(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(temporary):
                del sys.modules[name]

    return forget


@pytest.fixture(autouse=True)
def forget_user_code(fresh: Callable[[], None]) -> Iterator[None]:
    """Each test may load a `features.py` of its own: modules and search paths of temporary folders do not outlive it."""
    path = list(sys.path)
    yield
    sys.path[:] = path
    fresh()
