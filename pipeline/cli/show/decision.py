"""RetrainingDecision: whether a model is trained, and what each rule says."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from pipeline.cli.common import table


def render(summary: dict[str, Any]) -> list[RenderableType]:
    """Returns decision, reason and policy, and a line for each rule."""
    train = summary.get("retrain")
    verdict = Text("a model is trained" if train else "no model is trained", style="bold green" if train else "bold yellow")
    told = [Text(f"  {summary.get('reason', '-')}"), Text(f"  The policy: {summary.get('policy', '-')}.\n", style="dim")]
    rules = [
        ["yes" if rule.get("holds") else "no", str(rule.get("rule", "-")), str(rule.get("text", ""))] for rule in summary.get("rules", ())
    ]
    return [verdict, *told, *([table(["asks for it", "rule", "because"], rules)] if rules else [])]
