"""Examples: rows per split, the columns, and what is the matter with single records."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from pipeline.cli.common import counted, size, table
from pipeline.cli.show.cells import listed, number, share
from pipeline.cli.show.issues import dropped_line, duplicates_line, render_issues

_FILES = 6


def render(summary: dict[str, Any]) -> list[RenderableType]:
    """Returns the tables of splits and columns."""
    splits = summary.get("splits") or {name: {"rows": rows} for name, rows in summary.get("record_counts", {}).items()}
    total = sum(split.get("rows") or 0 for split in splits.values())
    rows = [
        [name, number(split.get("rows")), share(split.get("rows"), total), size(split["bytes"]) if "bytes" in split else ""]
        for name, split in splits.items()
    ]
    shown: list[RenderableType] = [table(["split", "rows", "share", "size"], rows, right=["rows", "share", "size"])]
    if summary.get("dropped"):
        shown.append(Text(dropped_line(summary["dropped"])))
    if "duplicates" in summary:
        shown.append(Text(duplicates_line(summary["duplicates"])))
    if summary.get("time_series"):
        shown.append(Text(_times(summary["time_series"])))
    shown += _columns(summary, total)
    if summary.get("issues"):
        shown += [Text(), *render_issues(summary["issues"])]
    if summary.get("files"):
        files = summary["files"]
        more = summary.get("file_count", len(files)) - _FILES
        named = listed(files[:_FILES], _FILES) + (f" … and {more:,} more" if more > 0 else "")
        shown += [Text(), Text(f"read from {named}", style="dim")]
    return shown


def _columns(summary: dict[str, Any], total: int) -> list[RenderableType]:
    columns, extremes = summary.get("columns", ()), summary.get("extremes", {})
    if not columns:
        return []
    lines = [
        [
            column.get("name", "-"),
            f"{column['content']}, {column.get('type', '-')}" if column.get("content") else column.get("type", "-"),
            number(column.get("missing")),
            share(column.get("missing"), total),
            _range(extremes.get(column.get("name"))),
        ]
        for column in columns
    ]
    headings = ["column", "type", "missing", "share", "values"]
    if not extremes:
        headings, lines = headings[:-1], [line[:-1] for line in lines]
    return [Text(), table(headings, lines, right=["missing", "share"])]


def _range(extremes: dict[str, Any] | None) -> str:
    if not extremes:
        return ""
    low, high = extremes["lowest"]["value"], extremes["highest"]["value"]
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def _times(told: dict[str, Any]) -> str:
    begins = ", ".join(f"{split} from {begin}" for split, begin in sorted(told["begins"].items(), key=lambda item: str(item[1])))
    rows = f"{number(told['rows'])} rows of {counted(told['series'], 'series', 'series')}"
    return f"{rows}, a step of {told['step']}; {begins} to {told['ends']}"
