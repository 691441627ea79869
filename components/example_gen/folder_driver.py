"""The driver of ExampleGens that read folders: a folder stands for all files below it, and one without files is noticed.

Imports nothing heavy.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from components.example_gen.base import InputDriver
from components.example_gen.inputs import ResolvedInput
from components.example_gen.patterns import Pattern
from components.example_gen.windows import ChosenSpans, choose_spans, parameters_of
from pipeline.hashing import digest

_PART = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True)
class ResolvedFolders(ResolvedInput):
    """The files of folders and archives.

    Attributes:
        empty_folders: Folders below them that hold no file.
    """

    empty_folders: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over split, name and content of each file, and the names of the empty folders."""
        return digest([super().fingerprint, self.empty_folders])


class FolderDriver(InputDriver):
    """Takes a folder in a pattern for all files below it, and looks for folders that hold none."""

    def choose(self, given: Mapping[str, Any], project: Path) -> ChosenSpans:
        """Returns the files of the spans that the parameters ask for, and the empty folders beside them."""
        chosen = choose_spans(_with_folders(given["input"], project), parameters_of(given), project, allow_empty=True)
        return replace(chosen, inputs=tuple(_with_empty(found, given["input"], project) for found in chosen.inputs))


def below(text: str) -> str:
    """Returns the pattern of all files below the folders that a pattern matches; `data/*` finds those in `data` too."""
    return f"{text.removesuffix('*') if text.endswith('/*') else text.rstrip('/') + '/'}**/*"


def _with_folders(value: Any, project: Path) -> Any:
    """Returns the patterns of an input, with one for the files below each pattern that matches a folder."""
    if isinstance(value, Mapping):
        return {split: _with_folders(given, project) for split, given in value.items()}
    texts = (value,) if isinstance(value, str) else tuple(value)
    expanded: list[str] = []
    for text in texts:
        has_folders = any(path.is_dir() for path in _matches(text, project))
        has_files = not text.endswith("/*") and bool(Pattern(text).matches(project))
        expanded += [text] if has_files or not has_folders else []
        expanded += [below(text)] if has_folders else []
    return tuple(expanded)


def _with_empty(found: ResolvedInput, value: Any, project: Path) -> ResolvedInput:
    empty = tuple(_empty_folders(value, found, project))
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    return ResolvedFolders(**values, empty_folders=empty) if empty else found


def _matches(text: str, project: Path) -> list[Path]:
    pattern = os.path.normpath(Path(_PART.sub("*", text)).expanduser())
    return [project / name for name in sorted(glob.glob(pattern, root_dir=project, recursive=True))]  # noqa: PTH207


def _empty_folders(value: Any, found: ResolvedInput, project: Path) -> Iterator[str]:
    """Yields the folders without a file, in or beside those folders of the input from which a file is read."""
    used = {os.path.dirname(file.path) for file in found.files}  # noqa: PTH120
    for folder in [*used]:
        used.update(map(str, Path(folder).parents))
    values = value.values() if isinstance(value, Mapping) else [value]
    for text in [text for given in values for text in ((given,) if isinstance(given, str) else given)]:
        names_span = _PART.search(Path(text).name)  # the folders beside it are other spans
        for matched in _matches(text, project):
            if str(matched if names_span else matched.parent) not in used or not matched.is_dir():
                continue
            for path, names, _ in os.walk(matched):
                names[:] = sorted(name for name in names if not name.startswith("."))
                if path not in used:
                    names.clear()
                    yield f"{os.path.relpath(path, project) if matched.is_relative_to(project) else path}/"
