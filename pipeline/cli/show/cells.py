"""Numbers and shares as cells of tables."""

from __future__ import annotations

from typing import Any

UNKNOWN = "-"


def number(value: Any) -> str:
    """Returns `1,234`, `0.012346`, `1.2e+09`; `-` for what is missing, other values as text."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:,.2f}" if 1000 <= abs(value) < 1e9 else f"{value:.5g}"


def share(part: Any, whole: Any) -> str:
    """Returns a part of a whole as `12.3 %`; `-` where that cannot be said, empty for none."""
    if not isinstance(part, int | float) or not whole:
        return UNKNOWN
    return f"{part / whole:.1%}".replace("%", " %") if part else ""


def listed(values: Any, limit: int = 6) -> str:
    """Returns the first values, and how many more there are."""
    items = [str(value) for value in values or ()]
    more = f" … and {len(items) - limit:,} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more
