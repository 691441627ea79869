"""The environment of a run: Python, platform, and the version of each installed package.

It is recorded, not compared: only the libraries that a component names are part of its cache key.
"""

from __future__ import annotations

import functools
import json
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline.version import __version__

_INSTALLED = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info")


@dataclass(frozen=True)
class Environment:
    """What was installed where a node ran; empty where that is not known.

    Attributes:
        cauce: Version of cauce.
        python: Version of Python.
        platform: System and machine, as `platform.platform` names them.
        packages: Version of each installed distribution, by its normalised name.
    """

    cauce: str = ""
    python: str = ""
    platform: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Returns it as text, equal for equal environments."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | None) -> Environment:
        """Reads what `to_json` wrote; None gives an empty one."""
        return cls(**json.loads(text)) if text else cls()

    def versions(self) -> dict[str, str]:
        """Returns all versions by name; empty if nothing is known."""
        own = {"cauce": self.cauce, "python": self.python, "platform": self.platform}
        return {**own, **self.packages} if self.python else {}


@functools.cache
def this_environment() -> Environment:
    """Returns the environment of this process."""
    return Environment(__version__, platform.python_version(), platform.platform(), packages())


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
