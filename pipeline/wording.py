"""How times, durations, sizes and counts are written, on the terminal and in pages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime


def moment(milliseconds: int) -> str:
    """Returns a time in the local zone, to the second; `-` for none."""
    return datetime.fromtimestamp(milliseconds / 1000).astimezone().isoformat(sep=" ", timespec="seconds") if milliseconds else "-"


def duration(seconds: float) -> str:
    """Returns `0.31 s`, `12.4 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: float) -> str:
    """Returns bytes as `512 B`, `15.4 MB`."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def counted(count: int, noun: str, plural: str = "") -> str:
    """Returns `1 run`, `1,000 runs`, `no anomalies`."""
    return f"{count:,} {noun}" if count == 1 else f"{f'{count:,}' if count else 'no'} {plural or noun + 's'}"


def sentences(texts: Iterable[str]) -> str:
    """Returns sentences as one: `auc is 0.95; There is no baseline model.`; one alone stays as it is."""
    *others, last = list(texts) or [""]
    return "; ".join([*(text.removesuffix(".") for text in others), last])
