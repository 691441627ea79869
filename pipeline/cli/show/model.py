"""Model and ModelRun: what was built, how it was trained, and how training went."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from pipeline.cli.common import table
from pipeline.cli.show.cells import listed, number, share

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
    shown: list[RenderableType] = [table(["", ""], _facts(summary))]
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
    return shown + _watch(summary.get("watch") or {})


def _facts(summary: dict[str, Any]) -> list[list[str]]:
    numbers = {name.replace("_", " "): summary.get(name) for name in ("steps", "batch_size", "seed", "best_round")}
    facts = [[name, number(value)] for name, value in numbers.items() if value is not None]
    texts = {
        "ended": summary.get("ended"),
        "went on at": ", ".join(f"step {step:,}" for step in summary.get("resumed_at") or []),
        "trained on": ", ".join(summary.get("devices") or []),
        "backend": summary.get("backend"),
        "precision": summary.get("precision"),
        "rows per second": number(summary["rows_per_second"]) if summary.get("rows_per_second") is not None else None,
        "waited for data": share(summary["waiting"], 1) if summary.get("waiting") is not None else None,
    }
    return facts + [[name, str(value)] for name, value in texts.items() if value]


def _watch(watch: dict[str, Any]) -> list[RenderableType]:
    """Returns what the training watch found, and which rules were quiet or did not look."""
    if not watch:
        return []
    rules = watch.get("rules") or []
    shown: list[RenderableType] = [Text()]
    for finding in watch.get("findings") or []:
        times = f" (seen {finding['times']} times, last at step {finding['last_step']:,})" if finding["times"] > 1 else ""
        shown.append(Text.assemble((f"{finding['rule']}: ", "yellow"), finding["text"], times))
        shown.append(Text(f"  {finding['advice']}", style="dim"))
    quiet = [rule["rule"] for rule in rules if rule["state"] == "quiet"]
    shown.append(Text(f"watched, and quiet: {', '.join(quiet) or 'none'}"))
    reasons: dict[str, list[str]] = {}
    for rule in rules:
        if rule["state"] == "not looked":
            reasons.setdefault(rule["reason"], []).append(rule["rule"])
    return shown + [Text(f"not looked: {', '.join(names)}: {reason}", style="dim") for reason, names in reasons.items()]
