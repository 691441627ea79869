"""ExampleStatistics: one table per split, a line per feature."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from pipeline.cli.common import table
from pipeline.cli.show.cells import number, share
from pipeline.reports import shortened

_TOP_WIDTH = 50
_COLUMNS = ["feature", "type", "missing", "mean", "std", "min", "median", "max", "zeros", "unique", "most frequent"]
_RIGHT = ["missing", "mean", "std", "min", "median", "max", "zeros", "unique"]


def render(summary: dict[str, Any]) -> list[RenderableType]:
    """Returns the tables of all splits."""
    shown: list[RenderableType] = []
    for name, split in summary.get("splits", {}).items():
        rows = split.get("rows")
        shown.append(Text(f"{chr(10) if shown else ''}split {name}: {number(rows)} rows", style="bold"))
        shown.append(table(_COLUMNS, [_line(feature, rows) for feature in split.get("features", ())], right=_RIGHT))
        slices = split.get("slices") or {}
        if slices:
            shown.append(Text("slices: " + ", ".join(f"{slice} {number(count)}" for slice, count in slices.items()), style="dim"))
    return shown


def _line(feature: dict[str, Any], rows: Any) -> list[str]:
    numeric, strings = feature.get("numeric") or {}, feature.get("strings") or {}
    top = ", ".join(f"{value.get('value')} {number(value.get('count'))}" for value in strings.get("top_values", ()))
    measured = [number(numeric[name]) if name in numeric else "" for name in ("mean", "std", "min", "median", "max")]
    return [
        str(feature.get("name", "-")),
        str(feature.get("type", "-")).lower(),
        share(feature.get("missing"), rows),
        *measured,
        share(numeric.get("zeros"), feature.get("values")) if numeric else "",
        number(strings.get("unique")) if strings else "",
        shortened(top, _TOP_WIDTH),
    ]
