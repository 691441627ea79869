"""Schema: what each feature must be, and the changes that the data ask for."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from pipeline.cli.common import table
from pipeline.cli.show.cells import listed, number


def render(summary: dict[str, Any]) -> list[RenderableType]:
    """Returns the table of features, and the proposed changes."""
    rows = [
        [
            str(feature.get("name", "-")),
            str(feature.get("type", "-")),
            _presence(feature),
            _values(feature),
            _domain(feature.get("domain") or {}),
            _notes(feature),
        ]
        for feature in summary.get("features", ())
    ]
    shown: list[RenderableType] = [table(["feature", "type", "presence", "values a row", "domain", ""], rows)]
    if summary.get("environments"):
        shown.append(Text(f"environments: {', '.join(summary['environments'])}", style="dim"))
    if summary.get("changes"):
        shown += changes(summary["changes"])
    return shown


def changes(found: list[dict[str, Any]]) -> list[RenderableType]:
    """Returns changes of a curated schema, a sentence each."""
    lines: list[RenderableType] = [Text("\nthe data ask for", style="bold")]
    return [*lines, *(Text(f"  {change.get('what', '-')}: {change.get('text', '-')}") for change in found)]


def _presence(feature: dict[str, Any]) -> str:
    fraction, count = feature.get("min_fraction") or 0, feature.get("min_count") or 0
    if fraction >= 1:
        return "each row"
    if fraction:
        return f"{fraction:.1%} of rows".replace("%", " %")
    return f"{count:,} rows" if count > 1 else "may be missing"


def _values(feature: dict[str, Any]) -> str:
    if feature.get("shape") is not None:
        return " x ".join(str(size) for size in feature["shape"]) or "1"
    if not feature.get("value_count"):
        return "any"
    low, high = feature["value_count"]
    return f"{low}" if low == high else f"{low} to {high}" if high else f"{low} or more"


def _domain(domain: dict[str, Any]) -> str:
    if domain.get("values"):
        return listed(domain["values"])
    if domain.get("min") is None and domain.get("max") is None:
        return ""
    return f"{number(domain.get('min'))} to {number(domain.get('max'))}"


def _notes(feature: dict[str, Any]) -> str:
    notes = [f"only in {', '.join(feature['in_environment'])}"] if feature.get("in_environment") else []
    notes += [f"not in {', '.join(feature['not_in_environment'])}"] if feature.get("not_in_environment") else []
    notes += [str(feature["lifecycle_stage"]).lower()] if feature.get("lifecycle_stage") else []
    return "; ".join(notes)
