"""Input patterns: paths with wildcards and with parts that name span and version. Imports nothing heavy.

Besides `*`, `?`, `[...]` and `**` a pattern may hold:

    {SPAN} {SPAN:4}        number of the span, with any or with this number of digits
    {YYYY} {MM} {DD}       the span as a date, counted in days since 1970-01-01
    {VERSION} {VERSION:2}  number of the version within its span
"""

from __future__ import annotations

import datetime
import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DataError, DefinitionError, did_you_mean

_PART = re.compile(r"\{([^{}]*)\}")
_KNOWN_PART = re.compile(r"(SPAN|VERSION)(?::([1-9]\d*))?|YYYY|MM|DD")
_DATE_PARTS = ("YYYY", "MM", "DD")
_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]/]*\]|\{[^{}]*\}|.", re.DOTALL)
_WILDCARDS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_EPOCH = datetime.date(1970, 1, 1)
_SHOWN_NAMES = 8


@dataclass(frozen=True)
class Match:
    """A file that matches a pattern, with the numbers in its path; None where the pattern has no such part."""

    path: Path
    span: int | None
    version: int | None


class Pattern:
    """One pattern, checked when it is made; a relative one is relative to `project`.

    Raises:
        DefinitionError: If it is empty, or a part in braces is unknown or does not fit the others.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        if not text:
            raise DefinitionError("An input pattern is empty.", hint="Expected a path, also with *, ** and {SPAN}.")
        parts = _PART.findall(text)
        for part in parts:
            if not _KNOWN_PART.fullmatch(part):
                known = did_you_mean(part, ("SPAN", "VERSION", *_DATE_PARTS))
                raise DefinitionError(f"The input pattern '{text}' has an unknown part {{{part}}}.{known}")
        names = {part.partition(":")[0] for part in parts}
        dates = names.intersection(_DATE_PARTS)
        if dates and (len(dates) < len(_DATE_PARTS) or "SPAN" in names):
            raise DefinitionError(f"The input pattern '{text}': a date needs {{YYYY}}, {{MM}} and {{DD}}, and no {{SPAN}} beside it.")
        self.has_span = bool(dates) or "SPAN" in names
        self.has_version = "VERSION" in names
        if self.has_version and not self.has_span:
            raise DefinitionError(f"The input pattern '{text}' has a {{VERSION}} of no span.", hint="Add {SPAN}, or {YYYY}, {MM} and {DD}.")
        self._relative = os.path.normpath(Path(text).expanduser())

    def folder(self, project: Path) -> Path:
        """Returns the folder in front of the first part that is not literal."""
        parents = Path(self._relative).parts[:-1]
        literal = next((index for index, part in enumerate(parents) if not _is_literal(part)), len(parents))
        return project.joinpath(*parents[:literal])

    def matches(self, project: Path) -> list[Match]:
        """Returns the files that match, sorted by path.

        Raises:
            DataError: If a path that is named after a date has an impossible one.
        """
        expression = re.compile(_regular_expression(self._relative), re.DOTALL)
        found = []
        # Path.glob has no absolute patterns, and finds hidden files.
        for name in sorted(glob.glob(_PART.sub("*", self._relative), root_dir=project, recursive=True)):  # noqa: PTH207
            match = expression.fullmatch(name)
            if match and not (project / name).is_dir():
                numbers = match.groupdict()
                version = int(numbers["VERSION"]) if self.has_version else None
                found.append(Match(project / name, _span_of(name, numbers), version))
        return found

    def explain_no_match(self, project: Path) -> DataError:
        """Returns an error that says which part of the path does not exist, and what is there instead."""
        folder, missing = _first_missing(project, Path(self._relative))
        problem = f"The input pattern '{self.text}' matches no file"
        if not missing:
            return DataError(f"{problem}: {folder} is a folder.", hint=f"Name its files: '{self.text}/*'")
        names = _names_in(folder)
        guess = did_you_mean(missing, names) if _is_literal(missing) else ""
        shown = ", ".join(names[:_SHOWN_NAMES]) + (", ..." if len(names) > _SHOWN_NAMES else "")
        return DataError(
            f"{problem}: nothing in {folder} matches '{missing}'.{guess if 'Did you mean' in guess else ''}",
            hint=f"{folder} holds: {shown or 'nothing'}.",
        )


def _is_literal(part: str) -> bool:
    return not (glob.has_magic(part) or _PART.search(part))


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError:
        return []


def _regular_expression(pattern: str) -> str:
    """Translates a pattern; a part in braces becomes a group, and one that is repeated must be the same each time."""
    seen: set[str] = set()
    pieces = []
    for token in _TOKEN.findall(pattern):
        if token.startswith("{"):
            pieces.append(_group(token[1:-1], seen))
        elif token.startswith("[") and len(token) > 1:
            pieces.append("[^" + token[2:] if token[1] == "!" else token)
        else:
            pieces.append(_WILDCARDS.get(token) or re.escape(token))
    return "".join(pieces)


def _group(part: str, seen: set[str]) -> str:
    name, _, width = part.partition(":")
    if name in seen:
        return f"(?P={name})"
    seen.add(name)
    digits = {"YYYY": "4", "MM": "2", "DD": "2"}.get(name, width)
    return rf"(?P<{name}>[0-9]{f'{{{digits}}}' if digits else '+'})"


def _span_of(path: str, numbers: Mapping[str, str]) -> int | None:
    if "SPAN" in numbers:
        return int(numbers["SPAN"])
    if "YYYY" not in numbers:
        return None
    try:
        return (datetime.date(*(int(numbers[part]) for part in _DATE_PARTS)) - _EPOCH).days
    except ValueError as error:
        raise DataError(f"{path} is not named after a date: {error}.") from error


def _first_missing(project: Path, pattern: Path) -> tuple[Path, str]:
    """Returns the last folder of a pattern that exists, and the part below it that matches nothing; empty if all of it exists."""
    reached = [project]
    for index, part in enumerate(pattern.parts):
        if part == "**":
            return reached[0], "/".join(pattern.parts[index:])
        if _is_literal(part):
            following = [folder / part for folder in reached if (folder / part).exists()]
        else:
            expression = re.compile(_regular_expression(part))
            following = [folder / name for folder in reached for name in _names_in(folder) if expression.fullmatch(name)]
        if not following:
            return reached[0], part
        reached = following
    return reached[0], ""
