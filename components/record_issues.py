"""What is the matter with single records: found by an ExampleGen, carried by summaries, judged by ExampleValidator.

Imports nothing heavy.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.portioned import portion_names
from components.schema.contents import contents_of
from pipeline.artifacts import Artifact

MOST_LISTED = 100
"""Records that a summary names."""


class IssueKind(enum.StrEnum):
    """Kinds of issue, named as the kinds of anomaly of TensorFlow Data Validation are."""

    BAD_RECORD = "BAD_RECORD"
    """A file that does not decode, is not what it should be, or has a name from which no label can be told."""
    DUPLICATE_RECORD = "DUPLICATE_RECORD"
    """Records of one split that are equal."""
    DUPLICATE_TIME = "DUPLICATE_TIME"
    """Rows of a series that have the same time."""
    EMPTY_CLASS = "EMPTY_CLASS"
    """A folder that should hold the files of a class and holds none."""
    LEAKED_RECORD = "LEAKED_RECORD"
    """Records of different splits that are equal."""
    OTHER_FILE = "OTHER_FILE"
    """A file that was left out, as its name is not that of a record."""
    TIME_GAP = "TIME_GAP"
    """A step of a series that is missing, or of another length than the others."""
    UNUSUAL_RECORD = "UNUSUAL_RECORD"
    """A record that differs from nearly all others: in size, sample rate, channels."""


@dataclass(frozen=True)
class Issue:
    """One thing that a person should know.

    Attributes:
        kind: Its kind.
        text: A sentence.
        count: How many records, files or places.
        records: The first of them: file, or file and row, and what is the matter.
        splits: The splits that it is about; empty for records in none, or in any.
        feature: The feature that it is about; empty for whole records.
    """

    kind: IssueKind
    text: str
    count: int
    records: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    feature: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns the issue as summaries hold it."""
        return {**dataclasses.asdict(self), "kind": str(self.kind)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Issue:
        """Returns the issue that a summary holds."""
        lists = {name: tuple(value[name]) for name in ("records", "splits")}
        return cls(IssueKind(value["kind"]), str(value["text"]), int(value["count"]), feature=str(value["feature"]), **lists)


def issues_in(summary: Mapping[str, Any]) -> list[Issue]:
    """Returns the issues of a summary; none where its producer knew of none."""
    return [Issue.from_json(value) for value in summary.get("issues", ())]


def printable(text: str) -> str:
    """Returns a name of a file as it may be shown and stored: what cannot be printed, or is not Unicode, is escaped."""
    if text.isascii() and text.isprintable():
        return text
    decoded = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in decoded)


def named(names: Iterable[str], total: int, limit: int = 10) -> str:
    """Returns the first names, and how many more there are."""
    shown = [*names][:limit]
    return ", ".join(shown) + (f" and {total - len(shown):,} more" if total > len(shown) else "")


def told_of(examples: Sequence[Artifact]) -> dict[str, Any]:
    """Returns what the summaries of examples say of single records and of what features hold, for the summary of their statistics."""
    told: dict[str, Any] = {}
    issues: list[tuple[str, Issue]] = []
    for name, summary in zip(portion_names(examples), [one.summary() for one in examples], strict=True):
        issues += [(name, issue) for issue in issues_in(summary)]
        for feature, found in summary.get("extremes", {}).items():
            known = told.setdefault("extremes", {}).setdefault(feature, dict(found))
            known["lowest"] = min(known["lowest"], found["lowest"], key=lambda extreme: extreme["value"])
            known["highest"] = max(known["highest"], found["highest"], key=lambda extreme: extreme["value"])
        contents = contents_of(summary)
        if contents:
            told.setdefault("contents", {}).update(contents)
    if issues:
        merged = [issue for _, issue in issues] if len(examples) == 1 else _of_all(issues, len(examples))
        told["issues"] = [issue.to_json() for issue in merged]
    return told


def _of_all(issues: Iterable[tuple[str, Issue]], spans: int) -> Iterator[Issue]:
    """Yields one issue for all of a kind, with the words of the newest span that has it and the records of that one first."""
    groups: dict[tuple[IssueKind, str, tuple[str, ...]], list[tuple[str, Issue]]] = {}
    for name, issue in issues:
        groups.setdefault((issue.kind, issue.feature, issue.splits), []).append((name, issue))
    for (kind, feature, splits), found in groups.items():
        newest, total = found[-1][0], sum(issue.count for _, issue in found)
        text = f"{newest}: {' '.join(issue.text for name, issue in found if name == newest)}"
        concerned = len({name for name, _ in found})
        if concerned > 1:
            text = f"{total:,} in {concerned} of {spans} spans; {text}"
        records = tuple(record for _, issue in reversed(found) for record in issue.records)[:MOST_LISTED]
        yield Issue(kind, text, total, records, splits, feature)
