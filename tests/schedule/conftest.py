"""Fixtures of the scheduler's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.project import Project
from tests.schedule.world import World


@pytest.fixture
def world(project: Project) -> Iterator[Callable[..., World]]:
    """Makes a scheduler in a folder in memory, on a clock that is moved."""
    made: list[World] = []

    def make(start: str = "2026-01-01 00:00", **given: Any) -> World:
        project.root.mkdir(exist_ok=True)
        made.append(World(project.root, start, **given))
        return made[-1]

    yield make
    for world in made:
        world.daemon.collector.end()
