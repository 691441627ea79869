"""The history of a training: values of each evaluation, learning curves as JSON and as a picture."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.trainer.moment import Listener, Moment, Plan

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HISTORY_FILE, CURVES_FILE, PICTURE_FILE = "history.json", "curves.json", "curves.png"
_MOST_POINTS = 500
_PREFIX = "val_"

Curve = dict[str, Any]
"""As `schemas/summaries/ModelRun.json` describes an item of `curves`."""


@dataclass
class History(Listener):
    """What became of each round, and points of the training loss and metrics between.

    Attributes:
        plan: How long is trained.
        metrics: Values by name, one per round; None where the value is no number.
        best_round: The round whose weights the model has, from 1; the last one without early stopping.
        evaluated_at: The step of each round's evaluation.
    """

    plan: Plan
    metrics: dict[str, list[float | None]] = field(default_factory=dict)
    best_round: int = 0
    evaluated_at: list[int] = field(default_factory=list)
    _points: dict[str, list[tuple[int, float | None]]] = field(default_factory=dict)
    _last: tuple[int, dict[str, float]] = (0, {})

    def steps_done(self, moment: Moment) -> None:
        """Keeps a point of each curve, at most 1,000 in all and equally far apart.

        A mean is that since the point before; what is no mean, such as a precision, is that since the round began, as Keras counts it.
        """
        done, means = self._last
        if moment.step // self._stride == done // self._stride:
            return
        began = moment.round * self.plan.steps_per_round
        before = done - began if done > began else 0
        now = moment.step - began
        others = _no_means(moment.model)
        for name, value in moment.logs.items():
            mean = (value * now - means.get(name, 0.0) * before) / (now - before) if before and name not in others else value
            self._points.setdefault(name, []).append((moment.step, number(mean)))
        self._last = (moment.step, dict(moment.logs))

    def round_done(self, moment: Moment) -> None:
        """Keeps the values of the round."""
        self.evaluated_at.append(moment.step)
        for name, value in moment.logs.items():
            self.metrics.setdefault(name, []).append(number(value))
        self.best_round = len(self.evaluated_at)

    @property
    def steps(self) -> int:
        """Training steps done."""
        return self.evaluated_at[-1] if self.evaluated_at else 0

    @property
    def _stride(self) -> int:
        return max(math.ceil(self.plan.steps / (2 * _MOST_POINTS)), 1)

    def state(self) -> dict[str, Any]:
        """Returns everything that was kept."""
        return {"metrics": self.metrics, "evaluated_at": self.evaluated_at, "points": self._points, "last": self._last}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes what `state` returned."""
        self.metrics = {name: list(values) for name, values in state["metrics"].items()}
        self.evaluated_at = list(state["evaluated_at"])
        self.best_round = len(self.evaluated_at)
        self._points = {name: [(int(step), value) for step, value in points] for name, points in state["points"].items()}
        self._last = (int(state["last"][0]), dict(state["last"][1]))

    def curves(self) -> list[Curve]:
        """Returns all curves: those of the training between evaluations, and those of the evaluations."""
        found = [_curve(name, [step for step, _ in points], [value for _, value in points]) for name, points in self._points.items()]
        found += [_curve(name, self.evaluated_at, values) for name, values in self.metrics.items() if name not in self._points]
        return sorted(found, key=lambda curve: (_rank(curve["chart"]), curve["chart"], curve["split"] != "train"))


def _no_means(model: Any) -> set[str]:
    """Returns the names of the metrics of a Keras model that are no means over rows."""
    import keras

    own = [metric for group in model.metrics for metric in getattr(group, "metrics", (group,))]
    return {metric.name for metric in own if getattr(type(metric), "result", None) is not keras.metrics.Mean.result}


def _curve(name: str, steps: Sequence[int], values: Sequence[float | None]) -> Curve:
    split = "eval" if name.startswith(_PREFIX) else "none" if name == "learning_rate" else "train"
    return {"name": name, "chart": name.removeprefix(_PREFIX), "split": split, "steps": list(steps), "values": list(values)}


def _rank(chart: str) -> int:
    return {"loss": 0, "learning_rate": 2}.get(chart, 1)


def thinned(curves: Sequence[Curve]) -> list[Curve]:
    """Returns the curves with at most 500 points each, evenly chosen, the last one among them."""
    return [curve | {name: _every(curve[name]) for name in ("steps", "values")} for curve in curves]


def _every(values: list[Any]) -> list[Any]:
    stride = math.ceil(len(values) / _MOST_POINTS)
    return values[::-1][::stride][::-1] if stride > 1 else values


def number(value: Any) -> float | None:
    """Returns a value as JSON can hold it."""
    return float(value) if math.isfinite(value) else None


def write_history(history: History, folder: Path, logs: Path) -> None:
    """Writes `history.json` below the logs, and the curves as `curves.json` and `curves.png`."""
    curves = history.curves()
    content = {"metrics": history.metrics, "best_round": history.best_round}
    (logs / HISTORY_FILE).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (folder / CURVES_FILE).write_text(json.dumps({"curves": curves}) + "\n", encoding="utf-8")
    draw(curves, history, folder / PICTURE_FILE)


def draw(curves: Sequence[Curve], history: History, file: Path) -> None:
    """Draws one chart for the loss, one for each metric and one for the learning rate; the best round is marked."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    charts = list(dict.fromkeys(curve["chart"] for curve in curves))
    columns = min(len(charts), 2)
    rows = math.ceil(len(charts) / columns)
    figure = Figure(figsize=(6.4 * columns, 3.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for index, chart in enumerate(charts):
        axes = figure.add_subplot(rows, columns, index + 1)
        _draw_chart(axes, chart, [curve for curve in curves if curve["chart"] == chart])
        if len(history.evaluated_at) > 1:
            axes.axvline(
                history.evaluated_at[history.best_round - 1], color="0.6", linestyle=":", label=f"best round: {history.best_round}"
            )
        axes.legend(fontsize="small", frameon=False)
    figure.savefig(file, dpi=110, metadata={"Software": None})


def _draw_chart(axes: Axes, chart: str, curves: Sequence[Curve]) -> None:
    styles: dict[str, dict[str, Any]] = {"train": {"color": "C0", "linewidth": 1}, "eval": {"color": "C1", "marker": "o", "markersize": 3}}
    for curve in curves:
        values = [math.nan if value is None else value for value in curve["values"]]
        marker = {"marker": "o", "markersize": 3} if len(values) == 1 else {}
        axes.plot(
            curve["steps"], values, label=curve["split"] if curve["split"] != "none" else chart, **styles.get(curve["split"], {}) | marker
        )
    axes.set_title(chart.replace("_", " "), fontsize="medium")
    axes.set_xlabel("step")
    axes.spines[["top", "right"]].set_visible(False)
