"""What an ExampleGen reads: the files, span and version that its patterns stand for now. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from components.example_gen.known_files import digest_known
from components.example_gen.patterns import Match
from components.example_gen.spans import Patterns, patterns_of
from pipeline.errors import DataError
from pipeline.hashing import digest, digest_file

_SHOWN_NUMBERS = 8


@dataclass(frozen=True)
class InputFile:
    """A file as the driver found it.

    Attributes:
        name: Relative to the project, or to the literal part of its pattern.
        path: Where it is.
        size: Bytes.
        sha256: Of its content.
    """

    name: str
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class InputGroup:
    """The files of one given split, or all files where the rows are yet to be split (`split` is None)."""

    split: str | None
    files: tuple[InputFile, ...]


@dataclass(frozen=True)
class ResolvedInput:
    """What the patterns of an input stand for.

    Attributes:
        groups: One group, or one for each given split.
        span: Number of the span; 0 where the patterns have none.
        version: Number of the version; None where the patterns have none.
        name: What the span is called, where that is not its number.
    """

    groups: tuple[InputGroup, ...]
    span: int
    version: int | None
    name: str = ""

    @property
    def files(self) -> tuple[InputFile, ...]:
        """All files."""
        return tuple(file for group in self.groups for file in group.files)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over split, name and content of each file."""
        return digest([(group.split, file.name, file.sha256) for group in self.groups for file in group.files])

    def __str__(self) -> str:
        return f"{self._extent}, span {self.name or self.span}" + self._version

    @property
    def text(self) -> str:
        """What it consists of, without its span."""
        return self._extent + self._version

    @property
    def _extent(self) -> str:
        count, size = len(self.files), sum(file.size for file in self.files)
        return f"{count} file{'s' if count > 1 else ''}, {size / 1e6:.1f} MB"

    @property
    def _version(self) -> str:
        return "" if self.version is None else f", version {self.version}"

    def verify(self) -> None:
        """Checks that the files are still those that were fingerprinted.

        Raises:
            DataError: If one is not.
        """
        for file in self.files:
            if _digested(file.path, digest_file) != file.sha256:
                raise DataError(
                    f"{file.path} changed while it was read, or shortly before.",
                    hint="Write new data to a new file and rename it when it is complete, then run again.",
                )


def resolve_input(
    value: str | Sequence[str] | Mapping[str, str | Sequence[str]],
    *,
    span: int | None,
    version: int | None,
    project: Path,
    allow_empty: bool = False,
) -> ResolvedInput:
    """Finds the files of a parameter `input`, selects span and version, and fingerprints the files by content.

    Args:
        value: A pattern, several, or a dict of them by split.
        span: Number of the span; None for the latest; a negative number counts from the latest, which is -1.
        version: Number of the version within the span, in the same way.
        project: Folder that relative patterns are relative to.
        allow_empty: Whether a file may be empty.

    Raises:
        DataError: If a pattern matches nothing, or a file is empty, unreadable, or in two splits.
    """
    patterns = patterns_of(value)
    matches = [pattern.matches(project) for _, pattern in patterns]
    for (_, pattern), found in zip(patterns, matches, strict=True):
        if not found:
            raise pattern.explain_no_match(project)
    span = _choose("span", span, patterns, [[match.span for match in found] for found in matches])
    matches = [[match for match in found if match.span in (None, span)] for found in matches]
    version = _choose("version", version, patterns, [[match.version for match in found] for found in matches])
    return resolve_matches(patterns, matches, span or 0, version, project, allow_empty=allow_empty)


def resolve_matches(
    patterns: Patterns,
    matches: Sequence[Sequence[Match]],
    span: int,
    version: int | None,
    project: Path,
    files: Collection[Path] | None = None,
    *,
    allow_empty: bool = False,
) -> ResolvedInput:
    """Returns the files among `matches` that belong to a span and version, or to none, fingerprinted.

    Args:
        patterns: The patterns.
        matches: The files of each pattern.
        span: Number of the span.
        version: Number of the version.
        project: Folder that relative patterns are relative to.
        files: The files of this span and version, where not all that match belong to it; None for all.
        allow_empty: Whether a file may be empty.

    Raises:
        DataError: If a file is empty, unreadable, or in two splits.
    """

    def belongs(match: Match) -> bool:
        listed = files is None or match.span is None or match.path in files
        return listed and match.span in (None, span) and match.version in (None, version)

    chosen = [list(filter(belongs, found)) for found in matches]
    return ResolvedInput(_groups(patterns, chosen, project, allow_empty), span, version)


def _choose(what: str, wanted: int | None, patterns: Patterns, numbers: Sequence[Sequence[int | None]]) -> int | None:
    """Returns the number of the span or version to read; each pattern that has one must have this one."""
    known = sorted({number for found in numbers for number in found if number is not None})
    if not known:
        return None
    if wanted is not None and wanted < -len(known):
        raise DataError(f"There is no {what} {wanted} counted from the latest: there are {len(known)}.", hint=f"Known: {_listed(known)}.")
    chosen = known[-1] if wanted is None else known[wanted] if wanted < 0 else wanted
    for (split, pattern), found in zip(patterns, numbers, strict=True):
        own = sorted({number for number in found if number is not None})
        if own and chosen not in own:
            place = f" of split '{split}'" if split else ""
            raise DataError(f"The input pattern '{pattern.text}'{place} has no {what} {chosen}.", hint=f"It has: {_listed(own)}.")
    return chosen


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[-_SHOWN_NUMBERS:]))
    return shown if len(numbers) <= _SHOWN_NUMBERS else f"..., {shown}"


def _groups(patterns: Patterns, matches: Iterable[Sequence[Match]], project: Path, allow_empty: bool) -> tuple[InputGroup, ...]:
    groups: dict[str | None, list[InputFile]] = {}
    seen: dict[Path, str | None] = {}
    for (split, pattern), found in zip(patterns, matches, strict=True):
        files, folder = groups.setdefault(split, []), pattern.folder(project)
        for match in found:
            if match.path not in seen:
                files.append(_fingerprint(match.path, folder, project, allow_empty))
            elif seen[match.path] != split:
                raise DataError(
                    f"{match.path} would be in split '{seen[match.path]}' and in split '{split}'.",
                    hint="Change the patterns of the splits so that no file matches two of them.",
                )
            seen[match.path] = split
    return tuple(InputGroup(split, tuple(files)) for split, files in groups.items())


def _fingerprint(path: Path, folder: Path, project: Path, allow_empty: bool) -> InputFile:
    sha256 = _digested(path)
    size = path.stat().st_size
    if size == 0 and not allow_empty:
        raise DataError(f"{path} is empty.", hint="Remove it, or write it again.")
    inside = f"{project}/"
    name = str(path).removeprefix(inside) if str(path).startswith(inside) else path.relative_to(folder).as_posix()
    return InputFile(name, path, size, sha256)


def _digested(path: Path, digest: Callable[[Path], str] = digest_known) -> str:
    try:
        return digest(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
