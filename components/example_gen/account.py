"""What became of each record that an ExampleGen read: the bad ones, the dropped ones, and those that differ from all others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from components.record_issues import MOST_LISTED, Issue, IssueKind, named
from pipeline.errors import DataError

OnBadRecord = Literal["fail", "skip", "keep"]

_MOST_BAD = 10_000  # with more of them, something is wrong with all
_MOST_VALUES = 10_000
_NAMES_PER_VALUE = 5
_USUAL_SHARE = 0.95
_FACTOR = 8
_FEWEST = 10  # of fewer records nothing is usual


@dataclass(frozen=True)
class BadRecord:
    """A record that is not as it should be.

    Attributes:
        name: The file, or file and row.
        category: What is wrong, in the words in which such records are counted.
        reason: What is wrong with this one.
    """

    name: str
    category: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass
class Seen:
    """How many records have a value, and the names of the first."""

    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, other: Seen) -> None:
        """Takes further records with the value into account."""
        self.count += other.count
        self.names += other.names[: _NAMES_PER_VALUE - len(self.names)]


@dataclass
class Named:
    """How many files there are of a sort, and the names of the first."""

    count: int = 0
    names: list[str] = field(default_factory=list)

    def add_all(self, names: Iterable[str]) -> None:
        """Takes further files into account."""
        for name in names:
            self.count += 1
            if len(self.names) < MOST_LISTED:
                self.names.append(name)

    def add(self, other: Named) -> None:
        """Takes the files of another part into account."""
        self.names += other.names[: MOST_LISTED - len(self.names)]
        self.count += other.count


@dataclass
class Account:
    """The records of some files that are worth telling of.

    Attributes:
        bad: The first bad records.
        bad_count: How many there are, by category.
        dropped: Records that are in no split, by reason.
        values: For features that are alike in most records: which values there are.
        left_out: Files that are no record by name.
        empty: Folders that should hold files of a class and hold none.
        issues: What else the reader found.
        time_series: What the reader says of a table with times.
    """

    bad: list[BadRecord] = field(default_factory=list)
    bad_count: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    values: dict[str, dict[float, Seen]] = field(default_factory=dict)
    left_out: Named = field(default_factory=Named)
    empty: Named = field(default_factory=Named)
    issues: list[Issue] = field(default_factory=list)
    time_series: dict[str, Any] = field(default_factory=dict)

    def add(self, other: Account) -> None:
        """Takes the records of other files into account."""
        self.bad += other.bad[: _MOST_BAD - len(self.bad)]
        self.bad_count += other.bad_count
        self.dropped += other.dropped
        self.left_out.add(other.left_out)
        self.empty.add(other.empty)
        self.issues += other.issues
        self.time_series |= other.time_series
        for feature, values in other.values.items():
            known = self.values.setdefault(feature, {})
            for value, seen in values.items():
                if value in known or len(known) < _MOST_VALUES:
                    known.setdefault(value, Seen()).add(seen)

    def add_bad(self, record: BadRecord, action: OnBadRecord) -> None:
        """Notes a bad record, which the action drops or keeps."""
        if len(self.bad) < _MOST_BAD:
            self.bad.append(record)
        self.bad_count[record.category] += 1
        if action != "keep":
            self.dropped[record.category] += 1

    def add_value(self, feature: str, value: float, name: str) -> None:
        """Notes the value of a feature that most records share."""
        seen = self.values.setdefault(feature, {}).setdefault(value, Seen())
        seen.count += 1
        if len(seen.names) < _NAMES_PER_VALUE:
            seen.names.append(name)

    def refuse_bad(self, action: OnBadRecord) -> None:
        """Raises `DataError` for bad records where these are to fail."""
        total = self.bad_count.total()
        if action != "fail" or not total:
            return
        listed = "\n".join(f"  {record}" for record in self.bad[:10]) + (f"\n  and {total - 10:,} more" if total > 10 else "")
        raise DataError(
            f"{total:,} bad record{'s' * (total > 1)}:\n{listed}",
            hint="Repair or remove what is named, or leave it out with on_bad_record='skip', which counts and lists it.",
        )

    def found(self) -> list[Issue]:
        """Returns the issues: what the reader found, bad records by category, unusual ones by feature."""
        return [*self.issues, *self._file_issues(), *self._bad_issues(), *unusual(self.values)]

    def extremes(self) -> dict[str, dict[str, Any]]:
        """Returns, for features that are alike in most records, the lowest and the highest value with the names of some records."""
        return {
            feature: {
                place: {"value": value, "records": known[value].names if len(known) > 1 else []}
                for place, value in (("lowest", min(known)), ("highest", max(known)))
            }
            for feature, known in self.values.items()
        }

    def _file_issues(self) -> Iterable[Issue]:
        count = self.empty.count
        if count:
            text = f"{count:,} folder{'s hold' if count > 1 else ' holds'} no record."
            yield Issue(IssueKind.EMPTY_CLASS, text, count, tuple(self.empty.names))
        count = self.left_out.count
        if count:
            text = f"{count:,} file{'s are' if count > 1 else ' is'} no record by name or table, and left out."
            yield Issue(IssueKind.OTHER_FILE, text, count, tuple(self.left_out.names))

    def _bad_issues(self) -> Iterable[Issue]:
        for category, count in sorted(self.bad_count.items()):
            kept = "left out" if category in self.dropped else "kept as they are"
            records = tuple(str(record) for record in self.bad if record.category == category)[:MOST_LISTED]
            yield Issue(IssueKind.BAD_RECORD, f"{count:,} bad record{'s' * (count > 1)} ({category}), {kept}.", count, records)


def unusual(values: Mapping[str, Mapping[float, Seen]]) -> list[Issue]:
    """Returns an issue for each feature in which some records differ from nearly all others.

    That is so where at least 95 % share one value and others have another, or where a value is 8 times the median or more, or an
    eighth of it or less.
    """
    found = []
    for feature, known in values.items():
        total = sum(seen.count for seen in known.values())
        if total < _FEWEST:
            continue
        usual, seen = max(known.items(), key=lambda item: item[1].count)
        middle = _median(known)
        if seen.count >= _USUAL_SHARE * total:
            others, expected = [value for value in known if value != usual], f"{seen.count / total:.2%} have {usual:g}".replace("%", " %")
        else:
            others = [value for value in known if value >= _FACTOR * middle or value * _FACTOR <= middle]
            expected = f"the median is {middle:g}"
        if others:
            found.append(_unusual_issue(feature, expected, {value: known[value] for value in sorted(others, reverse=True)}))
    return found


def _unusual_issue(feature: str, expected: str, others: Mapping[float, Seen]) -> Issue:
    records = tuple(f"{name}: {feature} is {value:g}" for value, seen in others.items() for name in seen.names)[:MOST_LISTED]
    count = sum(seen.count for seen in others.values())
    shown = named((f"{value:g}" for value in others), len(others), 5)
    text = f"{count:,} record{'s' * (count > 1)} with {feature} {shown}, where {expected}."
    return Issue(IssueKind.UNUSUAL_RECORD, text, count, records, feature=feature)


def _median(known: Mapping[float, Seen]) -> float:
    half, before = sum(seen.count for seen in known.values()) / 2, 0
    for value in sorted(known):
        before += known[value].count
        if before >= half:
            return value
    return 0.0
