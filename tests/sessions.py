"""Sessions in Markdown files: what stands between `<!-- session: NAME -->` and `<!-- /session -->`, typed and printed as in a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_SESSION = re.compile(r"<!-- session: (\w+) -->\n```console\n(.*?)```\n<!-- /session -->", re.DOTALL)
_MARKER = re.compile(r"<!-- session: (\w+) -->")
_MASKS = [
    (re.compile(r"\b\d{8}-\d{6}-[0-9a-f]{6}\b"), "RUN"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d"), "TIME"),
    (re.compile(r"\b(\d+ h )?(\d+ min )?\d+(\.\d+)? (s|min)\b"), "DURATION"),
    (re.compile(r"\b\d+(\.\d+)? ([kMG]B|B)\b"), "SIZE"),
    (re.compile(r"\b(model|blessing|lineage|show|ModelEvaluation|ModelBlessing) \d+\b"), r"\1 ID"),
    (re.compile(r"-?\b\d[\d,]*\.\d+\b|(?<= is )[01](?=, )|(?<= )[01]$"), "FIGURE"),
]


@dataclass(frozen=True)
class Step:
    """A command, and what it printed."""

    command: str
    printed: str


def sessions(file: Path) -> dict[str, tuple[Step, ...]]:
    """Returns the sessions of a file by name.

    Raises:
        ValueError: If a session is not written as one.
    """
    text = file.read_text(encoding="utf-8")
    found = {name: _steps(body) for name, body in _SESSION.findall(text)}
    broken = set(_MARKER.findall(text)) - set(found)
    if broken:
        raise ValueError(f"{file.name}: no fenced session, or no end, for {', '.join(sorted(broken))}")
    return found


def _steps(body: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        steps.append(Step(command, printed))
    return tuple(steps)


def with_session(text: str, name: str, steps: Iterable[Step]) -> str:
    """Returns a page with the session `name`, which it has already or has an empty marker for, as it is typed and printed now."""
    body = "".join(f"$ {step.command}\n{plain(step.printed)}" for step in steps)
    block = f"<!-- session: {name} -->\n```console\n{body}```\n<!-- /session -->"
    marker = re.compile(rf"<!-- session: {name} -->(\n```console\n.*?```\n<!-- /session -->)?", re.DOTALL)
    return marker.sub(lambda _: block, text, count=1)


def plain(printed: str) -> str:
    """Returns what was printed without spaces at the ends of lines."""
    return "".join(f"{line.rstrip()}\n" for line in printed.rstrip("\n").splitlines())


def masked(text: str) -> list[str]:
    """Returns the lines of what a command printed without what differs between runs and machines: ids, times, sizes, figures.

    Whole numbers stay, as row counts do not differ; columns are one space apart, as their width depends on what is in them.
    """
    return [_masked(" ".join(line.split())) for line in text.strip().splitlines()]


def _masked(line: str) -> str:
    for pattern, word in _MASKS:
        line = pattern.sub(word, line)
    return line
