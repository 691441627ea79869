"""How a model was trained, as learning curves and what the training watch found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.ui.plots import Plot, Value, plot

_EVALUATION = "val_"


@dataclass(frozen=True)
class TrainingContents:
    """The curves: one plot for each quantity, training beside evaluation."""

    plots: tuple[Plot, ...]
    best_step: int | None


def training_contents(summary: Mapping[str, Any]) -> TrainingContents:
    """Returns the curves of a ModelRun's summary: those that it was told step by step, or else one point for each round."""
    curves: dict[str, list[tuple[str, list[tuple[float, Value]]]]] = defaultdict(list)
    per_round = summary.get("steps_per_round")
    if summary.get("curves"):
        for curve in summary["curves"]:
            curves[curve["chart"]].append((_line(curve["name"]), list(zip(curve["steps"], curve["values"], strict=True))))
        axis = "step"
    else:
        axis = "round"
        for name, values in (summary.get("history") or {}).items():
            curves[name.removeprefix(_EVALUATION)].append((_line(name), [(number, value) for number, value in enumerate(values, 1)]))
    order = sorted(curves, key=lambda name: (name != "loss", name == "learning_rate", name))
    best = summary.get("best_round")
    return TrainingContents(
        tuple(plot(name.replace("_", " "), axis, "", sorted(curves[name], key=lambda line: line[0] != "train")) for name in order),
        int(best * per_round) if best and per_round else None,
    )


def _line(name: str) -> str:
    return "eval" if name.startswith(_EVALUATION) else name if name == "learning_rate" else "train"
