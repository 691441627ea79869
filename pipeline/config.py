"""Settings: `cauce.toml`, then `CAUCE_*` of the environment, then flags; each value knows where it comes from."""

from __future__ import annotations

import difflib
import os
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.component import resolve_path
from pipeline.errors import UsageError
from pipeline.loading import SETTINGS_FILE, find_project

DEFAULT = "default"


@dataclass(frozen=True)
class Setting:
    """A value and its origin: `default`, the path of a file, the name of a variable, or a flag."""

    value: Any
    origin: str


@dataclass(frozen=True)
class Settings:
    """All settings of a command.

    Attributes:
        root: Root folder of artifacts, metadata, logs; default `cauce_root` in the project's folder.
        metadata: URL of the metadata store; default `metadata.db` in the root, as SQLite.
        parallel: How many nodes may run at once; default 0, the number of processors.
        runner: `local` or `beam`; default `local`.
        beam_args: Arguments of Beam for all nodes; default none. In the environment they are split as a shell would.
    """

    root: Setting
    metadata: Setting
    parallel: Setting
    runner: Setting
    beam_args: Setting

    def items(self) -> list[tuple[str, Setting]]:
        """Returns name and setting of each."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]

    @property
    def root_path(self) -> Path:
        """The root folder."""
        return Path(self.root.value)

    @property
    def metadata_url(self) -> str:
        """The URL of the metadata store."""
        return str(self.metadata.value)


NAMES = tuple(field.name for field in fields(Settings))


def load_settings(start: Path, flags: Mapping[str, Any] | None = None) -> Settings:
    """Returns the settings that hold for a definition or a working folder.

    Args:
        start: The definition's file or folder, or the working folder; the project is looked for at and above it.
        flags: Values of flags by setting; None is not given.

    Raises:
        UsageError: For a setting that is unknown or has a wrong type, naming its origin.
    """
    folder = start if start.is_dir() else start.parent
    project = (find_project(folder) or folder).resolve()
    found: dict[str, Setting] = {}
    for name, value in _from_file(project / SETTINGS_FILE).items():
        found[name] = Setting(value, str(project / SETTINGS_FILE))
    for name in NAMES:
        variable = f"CAUCE_{name.upper()}"
        if os.environ.get(variable):
            found[name] = Setting(os.environ[variable], variable)
    for name, value in (flags or {}).items():
        if value is not None and value != ():
            found[name] = Setting(value, f"--{name.replace('_', '-')}")
    return _complete(found, project)


def _from_file(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: {error}") from error
    for name in values:
        if name not in NAMES:
            close = difflib.get_close_matches(name, NAMES, n=1)
            raise UsageError(
                f"{file}: unknown setting '{name}'.{f' Did you mean {close[0]!r}?' if close else ''} Known: {', '.join(NAMES)}."
            )
    return values


def _complete(found: Mapping[str, Setting], project: Path) -> Settings:
    root = found.get("root", Setting("cauce_root", DEFAULT))
    # A path in the environment or a flag is relative to where the user stands.
    base = Path.cwd() if root.origin.startswith(("CAUCE_", "--")) else project
    root = Setting(str(resolve_path(base, str(root.value))), root.origin)
    metadata = found.get("metadata", Setting(f"sqlite:///{root.value}/metadata.db", DEFAULT))
    parallel = found.get("parallel", Setting(0, DEFAULT))
    runner = found.get("runner", Setting("local", DEFAULT))
    beam_args = found.get("beam_args", Setting((), DEFAULT))
    return Settings(root, metadata, _integer("parallel", parallel), runner, _words("beam_args", beam_args))


def _integer(name: str, setting: Setting) -> Setting:
    try:
        return Setting(int(setting.value), setting.origin)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{setting.origin}: '{name}' expects a whole number. Received: {setting.value!r}") from error


def _words(name: str, setting: Setting) -> Setting:
    value = shlex.split(setting.value) if isinstance(setting.value, str) else setting.value
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise UsageError(f"{setting.origin}: '{name}' expects a list of texts. Received: {setting.value!r}")
    return Setting(tuple(value), setting.origin)
