"""The environment of a run: Python, platform, and the version of each installed package.

It is recorded, not compared: only the libraries that a component names are part of its cache key.
"""

from __future__ import annotations

import functools
import json
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.version import __version__

_INSTALLED = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info")


@functools.cache
def environment_as_json() -> str:
    """Returns `{"cauce": ..., "python": ..., "platform": ..., "packages": {name: version}}`, equal for equal environments."""
    found = {"cauce": __version__, "python": platform.python_version(), "platform": platform.platform(), "packages": packages()}
    return json.dumps(found, sort_keys=True)


def packages() -> dict[str, str]:
    """Returns the version of each distribution on the search path, the first of each name.

    Name and version stand in the name of its folder, so that nothing is opened: asking `importlib.metadata` takes half a second.
    """
    found: dict[str, str] = {}
    for folder in sys.path:
        for name, version in _in(Path(folder or ".")):
            found.setdefault(name, version)
    return dict(sorted(found.items()))


def _in(folder: Path) -> Iterator[tuple[str, str]]:
    try:
        entries = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    except OSError:
        return
    for entry in entries:
        match = _INSTALLED.fullmatch(entry)
        if match is not None:
            yield re.sub(r"[-_.]+", "-", match["name"]).lower(), match["version"]
