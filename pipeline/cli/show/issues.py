"""What is the matter with single records: bad ones, equal ones, gaps in time; with the first records of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from pipeline.cli.common import counted
from pipeline.cli.show.cells import listed, number

_SHOWN = 5


def render_issues(issues: Sequence[dict[str, Any]]) -> list[RenderableType]:
    """Returns a paragraph for each issue."""
    shown: list[RenderableType] = []
    for issue in issues:
        kind = str(issue.get("kind", "-"))
        shown.append(Text(f"{kind}  {issue.get('text', '')}" + ("  blocks" if issue.get("blocks") else ""), style="yellow"))
        records = issue.get("records", ())
        shown += [Text(f"    {record}") for record in records[:_SHOWN]]
        more = (issue.get("count") or 0) - _SHOWN
        if more > 0 and len(records) > _SHOWN:
            shown.append(Text(f"    and {more:,} more", style="dim"))
    return shown


def duplicates_line(duplicates: dict[str, Any]) -> str:
    """Returns how many records are equal, in words."""
    within = [f"{number(count)} in {split}" for split, count in duplicates.get("within", {}).items() if count]
    across = duplicates.get("across") or 0
    leaks = f"; {counted(across, 'record')} in more than one split" if across else "; none in more than one split"
    return (f"records that equal an earlier one: {', '.join(within)}" if within else "no two records of a split are equal") + leaks


def dropped_line(dropped: dict[str, Any]) -> str:
    """Returns how many records were left out, by reason."""
    return "left out: " + listed([f"{number(count)} ({reason})" for reason, count in dropped.items()])
