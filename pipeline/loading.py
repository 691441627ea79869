"""Loads definitions by path, and finds the project that they belong to.

A project is the nearest folder at or above the definition that holds `cauce.toml`; without one it is the definition's own
folder. Relative paths of a definition are relative to the project.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.definition import Pipeline
from pipeline.errors import CauceError, DefinitionError, UsageError, UserCodeError, did_you_mean
from pipeline.hashing import digest
from pipeline.usercode import add_to_path, line_in, load_module

SETTINGS_FILE = "cauce.toml"
_NAMES = ("definition.py", "pipeline.py")
_MODULE = "cauce_definition_"


@dataclass(frozen=True)
class Definition:
    """A loaded pipeline, its file, and its project's folder."""

    pipeline: Pipeline
    file: Path
    project: Path

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where user modules are looked for: beside the definition, then in the project."""
        return tuple(dict.fromkeys((self.file.parent, self.project)))


def find_project(start: Path) -> Path | None:
    """Returns the nearest folder at or above `start` that holds `cauce.toml`."""
    start = start.resolve()
    return next((folder for folder in (start, *start.parents) if (folder / SETTINGS_FILE).is_file()), None)


def definition_file(path: Path) -> Path:
    """Returns the definition's file for a file or its folder.

    Raises:
        UsageError: If there is none, naming what was looked for.
    """
    if path.is_dir():
        found = next((path / name for name in _NAMES if (path / name).is_file()), None)
        if found is None:
            raise UsageError(f"{path} holds no definition. Expected one of: {', '.join(_NAMES)}.", hint="Make one: cauce new FOLDER")
        return found.resolve()
    if not path.is_file():
        near = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UsageError(
            f"There is no definition at '{path}'.{did_you_mean(path.name, near) if near else ''}", hint="Make one: cauce new FOLDER"
        )
    return path.resolve()


def load_definition(path: Path) -> Definition:
    """Loads a definition by path and calls its `create_pipeline`.

    Raises:
        UsageError: If there is no such file.
        DefinitionError: If it does not define a pipeline, or a wrong one.
        UserCodeError: If it raises, naming file and line.
    """
    file = definition_file(path)
    project = find_project(file.parent) or file.parent
    create = _factory(file, project)
    try:
        pipeline = create()
    except CauceError:
        raise
    except Exception as error:
        raise UserCodeError(f"{file}: create_pipeline raised {type(error).__name__}: {error}{line_in(file, error)}") from error
    if not isinstance(pipeline, Pipeline):
        raise DefinitionError(f"{file}: create_pipeline must return a Pipeline. Received: {pipeline!r}")
    return Definition(pipeline, file, project)


def _factory(file: Path, project: Path) -> Callable[[], Pipeline]:
    add_to_path(dict.fromkeys((file.parent, project)))
    module = load_module(module_name(file), file)
    create: Callable[[], Pipeline] | None = getattr(module, "create_pipeline", None)
    if not callable(create):
        raise DefinitionError(
            f"{file} has no function 'create_pipeline'.{did_you_mean('create_pipeline', [n for n in vars(module) if n[0] != '_'])}"
        )
    return create


def module_name(file: Path) -> str:
    """Returns the name under which a definition is imported; no library can have it."""
    return _MODULE + digest(file)[:12]
