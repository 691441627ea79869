"""Which spans an ExampleGen reads: the latest complete one, a given one, a range, or a rolling window; and what it says of the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from components.example_gen.inputs import ResolvedInput, resolve_input, resolve_matches
from components.example_gen.patterns import Pattern
from components.example_gen.spans import AvailableSpan, PatternText, Ready, find_spans, listed, patterns_of, spanned
from pipeline.errors import DataError, DefinitionError

_RANGE = ".."
_LARGEST_WINDOW = 100_000
MISSING_SPANS = ("error", "allow")


@dataclass(frozen=True)
class SpanChoice:
    """Which spans are asked for.

    Attributes:
        span: A number, or a time as the paths have it; a negative number counts from the latest, -1. `first..last` is a range, which
            may lack either end. None is the latest.
        version: Number of the version within each span, in the same way.
        window: How many spans, the last of which is `span`; not looked at where `span` is a range.
        missing: `error` or `allow`: what becomes of a span that a window or range lacks.
        ready: When a span is complete, see `spans.available`.
    """

    span: int | str | None = None
    version: int | None = None
    window: int | None = None
    missing: str = "error"
    ready: Ready = None

    @property
    def is_range(self) -> bool:
        """Whether it names the first and the last span."""
        return isinstance(self.span, str) and _RANGE in self.span

    @property
    def several(self) -> bool:
        """Whether it stands for more than one span."""
        return self.is_range or (self.window or 1) > 1

    def check(self, pattern: Pattern) -> None:
        """Checks that it fits the pattern.

        Raises:
            DefinitionError: If it does not.
        """
        if self.window is not None and not 1 <= self.window <= _LARGEST_WINDOW:
            raise DefinitionError(f"window must be from 1 to {_LARGEST_WINDOW:,} spans. Received: {self.window}")
        if self.missing not in MISSING_SPANS:
            raise DefinitionError(f"missing_spans must be one of: {', '.join(MISSING_SPANS)}. Received: {self.missing!r}")
        for end in self.ends():
            _number(end, pattern)

    def ends(self) -> tuple[str, ...]:
        """Returns the texts of the ends that are given."""
        if self.span is None:
            return ()
        return tuple(text.strip() for text in str(self.span).split(_RANGE, 1) if text.strip())


@dataclass(frozen=True)
class ChosenSpans:
    """What is read.

    Attributes:
        inputs: The files of each span, in order; one without a span where the patterns name none.
        names: What the spans are called; empty where the patterns name none.
        remarks: What a person should know of the choice: spans that are not complete, or missing.
    """

    inputs: tuple[ResolvedInput, ...]
    names: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def choose_spans(value: PatternText, choice: SpanChoice, project: Path, *, allow_empty: bool = False) -> ChosenSpans:
    """Finds the files of the spans to read, and fingerprints them.

    Args:
        value: A pattern, several, or a dict of them by split.
        choice: Which spans.
        project: Folder that relative patterns are relative to.
        allow_empty: Whether a file may be empty.

    Raises:
        DataError: If a pattern matches nothing, no span is complete, one that is asked for is missing, or a file is empty.
    """
    patterns = patterns_of(value)
    pattern = spanned(patterns)
    if pattern is None:
        return ChosenSpans((resolve_input(value, span=None, version=None, project=project, allow_empty=allow_empty),), ())
    if not choice.several and choice.ready is None and (choice.span is None or isinstance(choice.span, int)):
        found = resolve_input(value, span=choice.span, version=choice.version, project=project, allow_empty=allow_empty)
        return ChosenSpans((_named(found, pattern),), (pattern.span_name(found.span),))
    matches = [each.matches(project) for _, each in patterns]
    for (_, each), files in zip(patterns, matches, strict=True):
        if not files:
            raise each.explain_no_match(project)
    selection = _Selection(pattern, find_spans(patterns, matches, project, ready=choice.ready), choice)
    chosen = selection.spans()
    inputs = [
        resolve_matches(patterns, matches, span.span, span.version, project, set(span.files), allow_empty=allow_empty) for span in chosen
    ]
    return ChosenSpans(tuple(_named(found, pattern) for found in inputs), tuple(span.name for span in chosen), tuple(selection.remarks))


def _named(found: ResolvedInput, pattern: Pattern) -> ResolvedInput:
    return replace(found, name=pattern.span_name(found.span)) if pattern.date_form else found


class _Selection:
    """The choice among the spans that there are.

    Attributes:
        remarks: What was passed over; filled by `spans`.
    """

    def __init__(self, pattern: Pattern, known: Sequence[AvailableSpan], choice: SpanChoice) -> None:
        self._pattern = pattern
        self._choice = choice
        self._versions: dict[int, list[AvailableSpan]] = {}
        for span in known:
            self._versions.setdefault(span.span, []).append(span)
        chosen = {number: _version(versions, choice.version) for number, versions in self._versions.items()}
        self._usable = {number: span for number, span in chosen.items() if span is not None}
        self.remarks: list[str] = []

    def spans(self) -> list[AvailableSpan]:
        """Returns the spans to read, in order."""
        if not self._usable:
            newest = self._versions[max(self._versions)][-1]
            raise DataError(f"No span of '{self._pattern.text}' is complete. The latest, {newest}: {newest.reason}.")
        first, last = self._ends()
        wanted = range(first, last + 1)
        if not wanted or len(wanted) > _LARGEST_WINDOW:
            raise DataError(f"The range of spans {self._choice.span} has {len(wanted):,} spans. Expected 1 to {_LARGEST_WINDOW:,}.")
        missing = [number for number in wanted if number not in self._usable]
        if missing:
            self._refuse(missing) if self._choice.missing == "error" or len(missing) == len(wanted) else self._allow(missing)
        found = [self._usable[number] for number in wanted if number in self._usable]
        self._remark_on_newer(found[-1])
        for span in found:
            self._remark_on_versions(span)
        return found

    def _ends(self) -> tuple[int, int]:
        """Returns the first and the last span that are wanted."""
        choice = self._choice
        if choice.is_range:
            texts = [text.strip() for text in str(choice.span).split(_RANGE, 1)]
            first, last = (self._counted(text) if text else None for text in texts)
            return min(self._usable) if first is None else first, max(self._usable) if last is None else last
        last = max(self._usable) if choice.span is None else self._counted(str(choice.span))
        first = last - (choice.window or 1) + 1
        oldest = min(self._versions)
        if first < oldest <= last:
            self.remarks.append(f"the window has {last - oldest + 1} of {choice.window} spans: there is none before {self._named(oldest)}")
            first = oldest
        return first, last

    def _counted(self, text: str) -> int:
        number = _number(text, self._pattern)
        if number >= 0 or not text.startswith("-"):
            return number
        known = sorted(self._usable)
        if number < -len(known):
            raise DataError(f"There is no span {number} counted from the latest: there are {len(known)}.", hint=f"Known: {self._listed()}.")
        return known[number]

    def _refuse(self, missing: Sequence[int]) -> None:
        number = missing[0] if self._choice.is_range or self._choice.span is None else missing[-1]
        more = f"; {len(missing) - 1} more are missing" if len(missing) > 1 else ""
        if number in self._versions:
            why = f"{self._named(number)} of '{self._pattern.text}' is not complete: {self._why_not(number)}"
            raise DataError(f"{why}{more}.", hint=self._hint("Wait for it"))
        raise DataError(
            f"The input pattern '{self._pattern.text}' has no {self._named(number)}{more}.",
            hint=self._hint(f"It has: {self._listed()}. Write it"),
        )

    def _hint(self, remedy: str) -> str:
        return f"{remedy}, or go on without it: missing_spans='allow'." if self._choice.several else f"{remedy}, or name another one."

    def _allow(self, missing: Sequence[int]) -> None:
        for number in missing:
            why = f"not complete: {self._why_not(number)}" if number in self._versions else "missing"
            self.remarks.append(f"{self._named(number)} is {why} (allowed)")

    def _remark_on_newer(self, taken: AvailableSpan) -> None:
        if self._choice.span is not None:
            return
        for number in sorted(number for number in self._versions if number > taken.span):
            self.remarks.append(f"{self._named(number)} is not complete: {self._why_not(number)}; span {taken.name} taken")

    def _remark_on_versions(self, taken: AvailableSpan) -> None:
        newest = self._versions[taken.span][-1]
        if self._choice.version is None and newest is not taken:
            passed = f"version {newest.version} of span {taken.name} is not complete: {newest.reason}"
            self.remarks.append(f"{passed}; version {taken.version} taken")

    def _why_not(self, number: int) -> str:
        versions = self._versions[number]
        unready = next((span for span in reversed(versions) if not span.ready), None)
        wanted = f"it has no version {self._choice.version}"
        return unready.reason if unready is not None else wanted

    def _named(self, number: int) -> str:
        return f"span {self._pattern.span_name(number)}"

    def _listed(self) -> str:
        return listed(self._pattern.span_name(number) for number in sorted(self._usable))


def _version(versions: Iterable[AvailableSpan], wanted: int | None) -> AvailableSpan | None:
    """Returns the version of a span to read; None if it is not there, or not complete."""
    ready = [span for span in versions if span.ready]
    if wanted is None:
        return ready[-1] if ready else None
    if wanted < 0:
        return ready[wanted] if -wanted <= len(ready) else None
    return next((span for span in ready if span.version == wanted), None)


def _number(text: str, pattern: Pattern) -> int:
    try:
        return pattern.span_number(text)
    except ValueError:
        example = pattern.span_name(600) if pattern.date_form else "12"
        hint = f"Expected a span such as {example}, -1 for the latest, or a range: {example}..-1"
        raise DefinitionError(f"'{text}' is no span of '{pattern.text}'.", hint=hint) from None


def parameters_of(values: Mapping[str, object]) -> SpanChoice:
    """Returns what the parameters of an ExampleGen ask for; it need not declare all of them."""
    return SpanChoice(
        span=values.get("span"),  # type: ignore[arg-type]
        version=values.get("version"),  # type: ignore[arg-type]
        window=values.get("window"),  # type: ignore[arg-type]
        missing=str(values.get("missing_spans", "error")),
        ready=values.get("ready"),  # type: ignore[arg-type]
    )
