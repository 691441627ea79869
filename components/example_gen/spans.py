"""Which spans a pattern has, and which of them are complete. Reads names, sizes and times of files, never their content.

What a scheduler asks again and again (`available`), and what an ExampleGen selects from (`find_spans`). Imports nothing heavy.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.example_gen.patterns import Match, Pattern
from pipeline.errors import DefinitionError
from pipeline.hashing import digest

PatternText = str | Sequence[str] | Mapping[str, str | Sequence[str]]
"""One pattern, several, or those of each given split."""

Patterns = Sequence[tuple[str | None, Pattern]]

Ready = str | float | None
"""When a span is complete: the name of a file in its folder (`_SUCCESS`), or for how many seconds its files must have been left alone."""


@dataclass(frozen=True)
class AvailableSpan:
    """One version of a span, as its files are now.

    Attributes:
        span: Its number.
        version: Number of the version; None where the pattern has none.
        name: What people call it: the number, or the time that the path names, such as `2024-02-29`.
        ready: Whether it is complete, and may be read.
        reason: Why it is or is not, for example `no _SUCCESS in data/span-12`.
        fingerprint: Changes when a file is added, removed or written again; made of names, sizes and times, not of content.
        files: Its files, in the order of the patterns.
        size: Bytes of all files.
        modified: When the last file was written, in seconds since 1970-01-01 UTC.
    """

    span: int
    version: int | None
    name: str
    ready: bool
    reason: str
    fingerprint: str
    files: tuple[Path, ...]
    size: int
    modified: float

    def __str__(self) -> str:
        return f"span {self.name}" if self.version is None else f"span {self.name}, version {self.version}"


def patterns_of(value: PatternText) -> Patterns:
    """Returns the patterns of a parameter `input` with their splits: a pattern, several, or a dict of them by split.

    Raises:
        DefinitionError: If there is none, or one is wrong, or they count spans in different ways.
    """
    found: list[tuple[str | None, Pattern]] = []
    for split, given in (value if isinstance(value, Mapping) else {None: value}).items():
        texts = (given,) if isinstance(given, str) else tuple(given)
        if not texts:
            raise DefinitionError(f"input{'' if split is None else f' of split {split!r}'} is empty. Expected a pattern, or several.")
        found += [(split, Pattern(text)) for text in texts]
    if not found:
        raise DefinitionError("input is empty. Expected a pattern, several, or a dict of them by split.")
    forms = {pattern.date_form for _, pattern in found if pattern.has_span}
    if len(forms) > 1:
        raise DefinitionError(f"The patterns of input count spans in different ways: {', '.join(pattern.text for _, pattern in found)}.")
    return found


def spanned(patterns: Patterns) -> Pattern | None:
    """Returns the first pattern that names spans; None if none does."""
    return next((pattern for _, pattern in patterns if pattern.has_span), None)


def available(value: PatternText, project: Path, *, ready: Ready = None, now: float | None = None) -> list[AvailableSpan]:
    """Returns each version of each span that has a file now, in the order of span and version; empty where the patterns name no span.

    Args:
        value: A pattern, several, or a dict of them by split, as ExampleGen's `input`.
        project: Folder that relative patterns are relative to.
        ready: When a span is complete; None: as soon as it has a file. A name is that of a file in the span's folder; one with
            {SPAN} (and {VERSION}) is a pattern of its own. A number is the seconds since its files were last written.
        now: The time to judge by, in seconds since 1970-01-01 UTC. Default: None, the clock's.

    Raises:
        DefinitionError: If a pattern is wrong, or `ready` does not fit it.
        DataError: If a path is named after an impossible date.
    """
    patterns = patterns_of(value)
    return find_spans(patterns, [pattern.matches(project) for _, pattern in patterns], project, ready=ready, now=now)


def find_spans(
    patterns: Patterns, matches: Sequence[Sequence[Match]], project: Path, *, ready: Ready, now: float | None = None
) -> list[AvailableSpan]:
    """Returns what `available` does, for files that were found already."""
    naming = spanned(patterns)
    if naming is None:
        return []
    check_ready(patterns, ready)
    judge = _Judge(patterns, project, ready, time.time() if now is None else now)
    grouped: dict[tuple[int, int | None], dict[int, list[Match]]] = defaultdict(lambda: defaultdict(list))
    for index, found in enumerate(matches):
        for match in found:
            if match.span is not None and not judge.is_marker(match.path):
                grouped[(match.span, match.version)][index].append(match)
    versions = sorted(grouped, key=lambda key: (key[0], -1 if key[1] is None else key[1]))
    return [judge.judge(naming.span_name(span), span, version, grouped[(span, version)]) for span, version in versions]


def check_ready(patterns: Patterns, ready: Ready) -> None:
    """Checks that `ready` can be judged for the patterns.

    Raises:
        DefinitionError: If it cannot.
    """
    if ready is None:
        return
    naming = spanned(patterns)
    if naming is None:
        raise DefinitionError(f"ready={ready!r} is given, and input has no {{SPAN}}: '{patterns[0][1].text}'.")
    if not isinstance(ready, str):
        if ready < 0:
            raise DefinitionError(f"ready expects seconds of 0 or more, or the name of a file. Received: {ready!r}")
    elif "{" in ready:
        if not Pattern(ready).has_span:
            raise DefinitionError(f"ready='{ready}' is a pattern without a {{SPAN}}.")
    elif not ready or "/" in ready:
        raise DefinitionError(
            f"ready expects the name of a file such as '_SUCCESS', a pattern with {{SPAN}}, or seconds. Received: {ready!r}"
        )
    elif any(pattern.has_span and pattern.span_folder(pattern.text) is None for _, pattern in patterns):
        raise DefinitionError(
            f"ready='{ready}' is looked for in the span's folder, and '{naming.text}' names the span in its files.",
            hint="Name the marker of each span: ready='data/{SPAN}.done', or give seconds: ready=60.",
        )


class _Judge:
    """Says of each version of a span whether it is complete."""

    def __init__(self, patterns: Patterns, project: Path, ready: Ready, now: float) -> None:
        self._patterns = patterns
        self._project = project
        self._ready = ready
        self._now = now
        self._markers: dict[tuple[int | None, int | None], Path] | None = None
        if isinstance(ready, str) and "{" in ready:
            self._markers = {(found.span, found.version): found.path for found in Pattern(ready).matches(project)}

    def is_marker(self, path: Path) -> bool:
        """Returns whether a file is a marker, which a pattern such as `span-{SPAN}/*` finds too."""
        if self._markers is not None:
            return path in self._markers.values()
        return isinstance(self._ready, str) and path.name == self._ready

    def judge(self, name: str, span: int, version: int | None, found: Mapping[int, Sequence[Match]]) -> AvailableSpan:
        """Returns what is known of a version of a span; `found` has its files by the number of their pattern."""
        files = [match.path for index in sorted(found) for match in found[index]]
        states = [(path, state.st_size, state.st_mtime) for path in files if (state := _state(path)) is not None]
        modified = max((time for _, _, time in states), default=0.0)
        lacking = self._lacking(found) or self._not_marked(span, version, found) or self._not_quiet(modified)
        prints = digest([(self._shown(path), size, round(time * 1e6)) for path, size, time in states])
        size = sum(size for _, size, _ in states)
        return AvailableSpan(span, version, name, not lacking, lacking or self._why_ready(), prints, tuple(files), size, modified)

    def _lacking(self, found: Mapping[int, Sequence[Match]]) -> str:
        """Returns which pattern has no file of a span that others have."""
        for index, (split, pattern) in enumerate(self._patterns):
            if pattern.has_span and index not in found:
                return f"no file matches '{pattern.text}'" + (f" of split '{split}'" if split else "")
        return ""

    def _not_marked(self, span: int, version: int | None, found: Mapping[int, Sequence[Match]]) -> str:
        if not isinstance(self._ready, str):
            return ""
        if self._markers is not None:
            marked = (span, version) in self._markers or (span, None) in self._markers
            return "" if marked else f"nothing matches '{self._ready}'"
        folders = {match.folder for matches in found.values() for match in matches if match.folder is not None}
        missing = next((folder for folder in sorted(folders) if not (folder / self._ready).is_file()), None)
        return f"no {self._ready} in {self._shown(missing)}" if missing else ""

    def _not_quiet(self, modified: float) -> str:
        if isinstance(self._ready, str) or self._ready is None:
            return ""
        age = self._now - modified
        return "" if age >= self._ready else f"written {max(age, 0.0):.0f} s ago, and must be quiet for {self._ready:g} s"

    def _why_ready(self) -> str:
        if self._ready is None:
            return "it has files"
        return f"it has {self._ready}" if isinstance(self._ready, str) else f"quiet for {self._ready:g} s"

    def _shown(self, path: Path) -> str:
        return (path.relative_to(self._project) if path.is_relative_to(self._project) else path).as_posix()


def _state(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:  # removed since it was found
        return None


def listed(names: Iterable[str], *, limit: int = 8) -> str:
    """Returns names as a person reads them, the last ones where there are many."""
    known = list(names)
    shown = ", ".join(known[-limit:])
    return shown if len(known) <= limit else f"..., {shown}"
