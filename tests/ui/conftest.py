"""The store that the tests of the pages look at; made once, for nothing changes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.ui.showcase import Showcase, make_showcase


@pytest.fixture(scope="session")
def showcase(tmp_path_factory: pytest.TempPathFactory) -> Showcase:
    """A store with something of everything."""
    return make_showcase(Path(tmp_path_factory.mktemp("showcase")))


@pytest.fixture(scope="session")
def client(showcase: Showcase) -> TestClient:
    """A browser without a screen."""
    return showcase.client()
