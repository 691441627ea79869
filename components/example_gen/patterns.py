"""Input patterns: paths with wildcards and with parts that name span and version. Imports nothing heavy.

Besides `*`, `?`, `[...]` and `**` a pattern may hold:

    {SPAN} {SPAN:4}        number of the span, with any or with this number of digits
    {YYYY} {MM} {DD} {HH}  the span as a time: its months, days or hours since 1970-01-01, as fine as the pattern is
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
_KNOWN_PART = re.compile(r"(SPAN|VERSION)(?::([1-9]\d*))?|YYYY|MM|DD|HH")
_DATE_PARTS = ("YYYY", "MM", "DD", "HH")
_DATE_FORMS = {2: "%Y-%m", 3: "%Y-%m-%d", 4: "%Y-%m-%dT%H"}
_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]/]*\]|\{[^{}]*\}|.", re.DOTALL)
_WILDCARDS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_EPOCH = datetime.datetime(1970, 1, 1)
_SHOWN_NAMES = 8


@dataclass(frozen=True)
class Match:
    """A file that matches a pattern, with the numbers in its path; None where the pattern has no such part.

    `folder` is that of its span and version; None where they have none of their own.
    """

    path: Path
    span: int | None
    version: int | None
    folder: Path | None = None


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
        if dates and (dates != set(_DATE_PARTS[: len(dates)]) or len(dates) < 2 or "SPAN" in names):
            raise DefinitionError(
                f"The input pattern '{text}': a time needs {{YYYY}} and {{MM}}, then {{DD}}, then {{HH}}, and no {{SPAN}} beside them."
            )
        self.date_form = _DATE_FORMS.get(len(dates))
        self.has_span = bool(dates) or "SPAN" in names
        self.has_version = "VERSION" in names
        if self.has_version and not self.has_span:
            raise DefinitionError(f"The input pattern '{text}' has a {{VERSION}} of no span.", hint="Add {SPAN}, or {YYYY} and {MM}.")
        self._relative = os.path.normpath(Path(text).expanduser())

    def folder(self, project: Path) -> Path:
        """Returns the folder in front of the first part that is not literal."""
        parents = Path(self._relative).parts[:-1]
        literal = next((index for index, part in enumerate(parents) if not _is_literal(part)), len(parents))
        return project.joinpath(*parents[:literal])

    def span_name(self, span: int) -> str:
        """Returns what a span is called: its number, or its time such as `2024-02-29`."""
        if self.date_form is None:
            return str(span)
        if self.date_form == _DATE_FORMS[2]:
            return f"{1970 + span // 12:04}-{span % 12 + 1:02}"
        unit = datetime.timedelta(hours=1) if self.date_form == _DATE_FORMS[4] else datetime.timedelta(days=1)
        return (_EPOCH + span * unit).strftime(self.date_form)

    def span_number(self, name: str) -> int:
        """Returns the number of the span that is called `name`.

        Raises:
            ValueError: If nothing is called so.
        """
        if self.date_form is None or re.fullmatch(r"-?\d+", name):
            return int(name)
        return _number(datetime.datetime.strptime(name, self.date_form), self.date_form)

    def span_folder(self, name: str) -> Path | None:
        """Returns the folder of span and version of a matching file, as `name` begins: that of the last part in braces.

        None where the file's own name holds such a part, or where the pattern does not say how deep the folder lies.
        """
        parts = Path(self._relative).parts
        last = max((index for index, part in enumerate(parts) if _PART.search(part)), default=0)
        return None if last == len(parts) - 1 or "**" in parts[:last] else Path(*Path(name).parts[: last + 1])

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
                folder = self.span_folder(name) if self.has_span else None
                found.append(Match(project / name, _span_of(name, numbers), version, project / folder if folder else None))
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
    digits = {"YYYY": "4", "MM": "2", "DD": "2", "HH": "2"}.get(name, width)
    return rf"(?P<{name}>[0-9]{f'{{{digits}}}' if digits else '+'})"


def _span_of(path: str, numbers: Mapping[str, str]) -> int | None:
    if "SPAN" in numbers:
        return int(numbers["SPAN"])
    given = [int(numbers[part]) for part in _DATE_PARTS if part in numbers]
    if not given:
        return None
    try:
        time = datetime.datetime(*given, *[1] * (3 - len(given)))  # type: ignore[arg-type]
        return _number(time, _DATE_FORMS[len(given)])
    except ValueError as error:
        raise DataError(f"{path} is not named after a date: {error}.") from error


def _number(time: datetime.datetime, form: str) -> int:
    """Returns the months, days or hours from 1970-01-01 to a time."""
    if form == _DATE_FORMS[2]:
        return (time.year - 1970) * 12 + time.month - 1
    return (time - _EPOCH) // (datetime.timedelta(hours=1) if form == _DATE_FORMS[4] else datetime.timedelta(days=1))


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
