"""The driver of ExampleGens that read folders: a folder stands for all files below it, and one without files is noticed.

Imports nothing heavy.
"""

from __future__ import annotations

import copy
import dataclasses
import glob
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.example_gen.base import InputDriver
from components.example_gen.inputs import ResolvedInput
from components.example_gen.patterns import Pattern
from pipeline.artifacts import Artifact
from pipeline.component import Component
from pipeline.driver import KeyPart, Prepared
from pipeline.hashing import digest

_PART = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True)
class ResolvedFolders(ResolvedInput):
    """The files of folders and archives.

    Attributes:
        empty_folders: Folders below them that hold no file.
    """

    empty_folders: tuple[str, ...] = ()


class FolderDriver(InputDriver):
    """Takes a folder in a pattern for all files below it, and looks for folders that hold none."""

    allows_empty_files = True

    def prepare(self, node: Component, inputs: Mapping[str, tuple[Artifact, ...]], project: Path) -> Prepared:
        """Finds the files of `node`, and fingerprints them."""
        expanded = copy.copy(node)
        expanded.parameters = {**node.parameters, "input": _with_folders(node.parameters["input"], project)}
        prepared = super().prepare(expanded, inputs, project)
        found = prepared.parameters["input"]
        empty = tuple(_empty_folders(node.parameters["input"], found, project)) if isinstance(found, ResolvedInput) else ()
        if not empty:
            return prepared
        values = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
        parameters = {**prepared.parameters, "input": ResolvedFolders(**values, empty_folders=empty)}
        return dataclasses.replace(prepared, parameters=parameters, parts=(*prepared.parts, KeyPart("empty folders", digest(empty))))


def _with_folders(value: Any, project: Path) -> Any:
    """Returns the patterns of an input, with one for the files below each pattern that matches a folder."""
    if isinstance(value, Mapping):
        return {split: _with_folders(given, project) for split, given in value.items()}
    texts = (value,) if isinstance(value, str) else tuple(value)
    expanded: list[str] = []
    for text in texts:
        has_folders = any(path.is_dir() for path in _matches(text, project))
        expanded += [text] if not has_folders or Pattern(text).matches(project) else []
        expanded += [f"{text.rstrip('/')}/**/*"] if has_folders else []
    return tuple(expanded)


def _matches(text: str, project: Path) -> list[Path]:
    pattern = os.path.normpath(Path(_PART.sub("*", text)).expanduser())
    return [project / name for name in sorted(glob.glob(pattern, root_dir=project, recursive=True))]  # noqa: PTH207


def _empty_folders(value: Any, found: ResolvedInput, project: Path) -> Iterator[str]:
    """Yields the folders without a file, below those folders of the input from which a file is read."""
    used = {os.path.dirname(file.path) for file in found.files}  # noqa: PTH120
    for folder in [*used]:
        used.update(map(str, Path(folder).parents))
    values = value.values() if isinstance(value, Mapping) else [value]
    for text in [text for given in values for text in ((given,) if isinstance(given, str) else given)]:
        for matched in _matches(text, project):
            if str(matched) not in used or not matched.is_dir():
                continue
            for path, names, _ in os.walk(matched):
                names[:] = sorted(name for name in names if not name.startswith("."))
                if path not in used:
                    names.clear()
                    yield f"{os.path.relpath(path, project) if matched.is_relative_to(project) else path}/"
