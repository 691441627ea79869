"""ExampleAnomalies: what the data break of the schema, split by split."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from pipeline.cli.common import counted, table
from pipeline.cli.show.cells import number
from pipeline.cli.show.issues import render_issues


def render(summary: dict[str, Any]) -> list[RenderableType]:
    """Returns verdict, anomalies and measured drift of each split, and how to accept them."""
    blocked = summary.get("blocked")
    verdict = Text("blocked: the data may not be used as they are", style="bold red") if blocked else Text("valid", style="bold green")
    shown: list[RenderableType] = [verdict]
    for name, split in summary.get("splits", {}).items():
        found = split.get("anomalies", ())
        anomalies = counted(len(found), "anomaly", "anomalies")
        shown.append(Text(f"\nsplit {name}: {number(split.get('rows'))} rows, {anomalies}", style="bold"))
        if found:
            shown.append(table(["feature", "severity", "blocks", "what", "counts"], [_line(anomaly) for anomaly in found]))
        measured = split.get("drift") or ()
        if measured:
            columns = ["feature", "", "measure", "distance", "threshold", "by chance", "changed most"]
            shown.append(table(columns, map(_drift, measured), right=["distance", "threshold", "by chance"]))
    if summary.get("records"):
        shown += [Text(), *render_issues(summary["records"])]
    file = summary.get("schema_file")
    if summary.get("changes"):
        shown.append(
            Text("\nto review what would make the schema accept the data: cauce schema diff" + (f" {file}" if file else ""), style="dim")
        )
    return shown


def _line(anomaly: dict[str, Any]) -> list[str]:
    text = " ".join(part for part in (f"{anomaly.get('short', '-')}.", anomaly.get("description")) if part)
    blocks = "yes" if anomaly.get("blocks") else "no"
    return [anomaly.get("feature") or "(all)", str(anomaly.get("severity", "-")).lower(), blocks, text, str(anomaly.get("facts", ""))]


def _drift(one: dict[str, Any]) -> list[str]:
    measure = str(one.get("measure", "-")).lower().replace("_", " ")
    chance = (one.get("chance") or {}).get("p_value")
    changed = [
        f"{change.get('value', '-')} {_share(change.get('before'))} -> {_share(change.get('now'))}" for change in one.get("changed") or ()
    ]
    distance = [number(one.get("value")), number(one.get("threshold"))]
    often = "-" if chance is None else f"{chance:.1%}".replace("%", " %")
    told = "; ".join([*changed, *([str(one["note"])] if one.get("note") else [])])
    return [str(one.get("feature", "-")), str(one.get("kind", "-")), measure, *distance, often, told]


def _share(value: Any) -> str:
    return "-" if value is None else f"{value:.1%}".replace("%", " %")
