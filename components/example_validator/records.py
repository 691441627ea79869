"""What ExampleValidator makes of the issues that an ExampleGen found: how severe each is, and whether it blocks the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.record_issues import Issue, issues_in, named

SEVERITY = "WARNING"
_IN_A_REASON = 5
_LONGEST = 180  # letters before the count of the others
_SHORTEST_RECORD = 60

Blocks = Callable[[str, Sequence[str]], bool]
"""Whether an anomaly of this severity and of these kinds blocks."""


@dataclass(frozen=True)
class RecordFinding:
    """An issue, and whether it blocks the run."""

    issue: Issue
    blocks: bool

    def sentence(self) -> str:
        """Returns the finding for a person, in one line: what, and as many of the first records as there is room for."""
        text = f"{self.issue.kind}: {self.issue.text}"
        if not self.issue.records:
            return text
        text = text.removesuffix(".")
        room = max(_LONGEST - len(text), _SHORTEST_RECORD)
        shown: list[str] = []
        for record in self.issue.records[:_IN_A_REASON]:
            if shown and len(", ".join([*shown, record])) > room:
                break
            shown.append(shorten(record, room))
        return f"{text}: {named(shown, max(self.issue.count, len(self.issue.records)), _IN_A_REASON)}."

    def to_json(self) -> dict[str, Any]:
        """Returns the finding as the summary of ExampleAnomalies holds it."""
        return {**self.issue.to_json(), "severity": SEVERITY, "blocks": self.blocks}


def judge_records(summary: Mapping[str, Any], splits: Sequence[str], blocks: Blocks) -> list[RecordFinding]:
    """Returns the findings of the splits that are looked at, from the summary of their statistics."""
    concerned = [issue for issue in issues_in(summary) if not issue.splits or set(issue.splits) & set(splits)]
    return [RecordFinding(issue, blocks(SEVERITY, (str(issue.kind),))) for issue in concerned]


def extremes_in(summary: Mapping[str, Any]) -> dict[str, str]:
    """Returns for features, in words, which records have the lowest and the highest value."""
    said = {}
    for feature, found in summary.get("extremes", {}).items():
        places = [(place, found[place]["value"], found[place]["records"][:1]) for place in ("lowest", "highest")]
        words = [f"{place} {value:g} in {records[0]}" for place, value, records in places if records]
        if words:
            said[str(feature)] = "; ".join(words)
    return said


def shorten(text: str, length: int) -> str:
    """Returns a text with `...` in the place of what is too much, in its middle: both the file and the end of the reason tell."""
    if len(text) <= length:
        return text
    half = (length - 3) // 2
    return f"{text[:half]}...{text[-half:]}"
