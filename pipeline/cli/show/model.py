"""Model and ModelRun: what was built, how it was trained, and how training went."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from pipeline.cli.common import table
from pipeline.cli.show.cells import listed, number

_ROUNDS = 10


def render_model(summary: dict[str, Any]) -> list[RenderableType]:
    """Returns the model's facts, and the metrics of training."""
    facts = [
        ["made by", str(summary.get("way", "-"))],
        ["label", str(summary.get("label") or "-")],
        ["classes", listed(summary.get("classes")) or "-"],
        ["parameters", number(summary.get("parameters"))],
        ["needs", listed(summary.get("raw_features"), 20) or "-"],
    ]
    shown: list[RenderableType] = [table(["", ""], [fact for fact in facts if fact[1] != "-"])]
    metrics = summary.get("metrics") or {}
    if metrics:
        shown += [
            Text(),
            table(["metric in training", "value"], [[name, number(value)] for name, value in metrics.items()], right=["value"]),
        ]
    return shown


def render_run(summary: dict[str, Any]) -> list[RenderableType]:
    """Returns the settings of the training, and its history; of a long one the last rounds."""
    facts = [
        [name.replace("_", " "), number(summary[name])]
        for name in ("steps", "batch_size", "seed", "best_round")
        if summary.get(name) is not None
    ]
    shown: list[RenderableType] = [table(["", ""], facts)]
    history = {name: values for name, values in (summary.get("history") or {}).items() if values}
    if history:
        rounds = max(len(values) for values in history.values())
        first = max(rounds - _ROUNDS, 0)
        rows = [
            [str(index + 1), *(number(values[index]) if index < len(values) else "" for values in history.values())]
            for index in range(first, rounds)
        ]
        shown += [Text(), table(["round", *history], rows, right=["round", *history])]
        if first:
            shown.append(Text(f"the last {_ROUNDS} of {rounds} rounds", style="dim"))
    return shown
