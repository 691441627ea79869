"""ModelEvaluation and ModelBlessing: metrics by slice, and each threshold with its verdict."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from pipeline.cli.common import table
from pipeline.cli.show.cells import number

_ROLES = {"candidate": "", "baseline": " (baseline)", "difference": " (difference)"}


def render_evaluation(summary: dict[str, Any]) -> list[RenderableType]:
    """Returns the metrics of all slices: all rows first."""
    slices = summary.get("slices", ())
    names = sorted({name for slice in slices for name in slice.get("metrics") or {}})
    columns = [
        (name, role) for name in names for role in _ROLES if any(role in ((slice.get("metrics") or {}).get(name) or {}) for slice in slices)
    ]
    titles = [f"{name}{_ROLES[role]}" for name, role in columns]
    rows = [
        [
            str(slice.get("name", "-")),
            number(slice.get("examples")),
            *(_cell(slice, name, role) for name, role in columns),
            str(slice.get("error") or ""),
        ]
        for slice in slices
    ]
    splits = ", ".join(summary.get("splits", ()))
    head = f"label {summary.get('label', '-')}, split {splits or '-'}, {number(summary.get('examples'))} rows, "
    shown: list[RenderableType] = [
        Text(head + ("against a baseline model" if summary.get("baseline") else "without a baseline model") + "\n")
    ]
    shown.append(table(["slice", "rows", *titles, ""], rows, right=["rows", *titles]))
    if summary.get("slices_left_out"):
        shown.append(Text(f"{number(summary['slices_left_out'])} smaller slices are in TFMA's result files", style="dim"))
    return shown


def _cell(slice: dict[str, Any], name: str, role: str) -> str:
    found = ((slice.get("metrics") or {}).get(name) or {}).get(role)
    if found is None:
        return ""
    bounds = f" [{number(found['lower'])}, {number(found['upper'])}]" if "lower" in found else ""
    return number(found.get("value")) + bounds


def render_blessing(summary: dict[str, Any]) -> list[RenderableType]:
    """Returns the verdict with its reasons in words, and each threshold."""
    verdict = str(summary.get("verdict", "-"))
    shown: list[RenderableType] = [Text(verdict, style="bold green" if verdict == "blessed" else "bold red")]
    shown += [Text(f"  {reason}") for reason in summary.get("reasons", ())]
    rows = [
        [
            "kept" if check.get("passed") else "FAILED",
            str(check.get("metric", "-")),
            str(check.get("slice", "-")),
            number(check.get("value")),
            number(check.get("baseline")) if check.get("baseline") is not None else "",
            str(check.get("rule", "-")),
        ]
        for check in summary.get("checks", ())
    ]
    if rows:
        shown += [Text(), table(["threshold", "metric", "slice", "value", "baseline", "must be"], rows, right=["value", "baseline"])]
    return shown
