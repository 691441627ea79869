"""Examples: rows per split, and the columns."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from pipeline.cli.common import size, table
from pipeline.cli.show.cells import listed, number, share


def render(summary: dict[str, Any]) -> list[RenderableType]:
    """Returns the tables of splits and columns."""
    splits = summary.get("splits") or {name: {"rows": rows} for name, rows in summary.get("record_counts", {}).items()}
    total = sum(split.get("rows") or 0 for split in splits.values())
    rows = [
        [name, number(split.get("rows")), share(split.get("rows"), total), size(split["bytes"]) if "bytes" in split else ""]
        for name, split in splits.items()
    ]
    shown: list[RenderableType] = [table(["split", "rows", "share", "size"], rows, right=["rows", "share", "size"])]
    columns = [
        [column.get("name", "-"), column.get("type", "-"), number(column.get("missing")), share(column.get("missing"), total)]
        for column in summary.get("columns", ())
    ]
    if columns:
        shown += [Text(), table(["column", "type", "missing", "share"], columns, right=["missing", "share"])]
    if summary.get("files"):
        shown += [Text(), Text(f"read from {listed(summary['files'])}", style="dim")]
    return shown
