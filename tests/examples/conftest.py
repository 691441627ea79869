"""The examples' sessions: one of each, shared by all tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.examples.project import ExampleProject
from tests.examples.session import Session


@pytest.fixture(scope="session")
def session_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Session]:
    """The session of an example, by name."""
    known: dict[str, Session] = {}

    def find(name: str) -> Session:
        if name not in known:
            known[name] = Session(ExampleProject(name, tmp_path_factory.mktemp(name)))
        return known[name]

    return find


@pytest.fixture(scope="session", params=["penguins", "bikes", "taxi"])
def session(request: pytest.FixtureRequest, session_of: Callable[[str], Session]) -> Session:
    """The session of each example in turn."""
    return session_of(request.param)


@pytest.fixture(scope="session")
def penguins(session_of: Callable[[str], Session]) -> Session:
    """The session of `penguins`."""
    return session_of("penguins")


@pytest.fixture(scope="session")
def bikes(session_of: Callable[[str], Session]) -> Session:
    """The session of `bikes`."""
    return session_of("bikes")


@pytest.fixture(scope="session")
def taxi(session_of: Callable[[str], Session]) -> Session:
    """The session of `taxi`."""
    return session_of("taxi")
