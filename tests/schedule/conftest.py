"""Fixtures of the scheduler's tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.project import Project
from tests.schedule.world import World


@pytest.fixture
def world(project: Project) -> Callable[..., World]:
    """Makes a scheduler in a folder in memory, on a clock that is moved."""

    def make(start: str = "2026-01-01 00:00", **given: Any) -> World:
        project.root.mkdir(exist_ok=True)
        return World(project.root, start, **given)

    return make
