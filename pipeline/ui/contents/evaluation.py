"""An evaluation: metrics by slice beside the champion's, thresholds, and plots of what the model gets wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.ui.contents.statistics import HISTOGRAM_HEIGHT, HISTOGRAM_WIDTH, Bin
from pipeline.ui.plots import Plot, plot

Summary = Mapping[str, Any]
PER_PAGE = 100
_SIDES = (("candidate", "model"), ("baseline", "champion"))
_MOST_CURVES = 6
_MOST_COLUMNS = 4
_LEAST_ROWS = 5
_PART = re.compile(r" of | at step ")


@dataclass(frozen=True)
class Value:
    """A metric on a slice, with its 95 % interval where there is one."""

    value: float | None
    lower: float | None
    upper: float | None
    baseline: float | None
    difference: float | None
    share: float | None


@dataclass(frozen=True)
class SliceLine:
    """A slice with its metrics, in the order of the columns; None where it has no such metric."""

    name: str
    examples: int | None
    error: str
    values: tuple[Value | None, ...]


@dataclass(frozen=True)
class Square:
    """A cell of a confusion matrix: rows, and their share of all rows with this truth."""

    rows: float
    share: float


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix: the outer tuple is by the truth, the inner by the prediction."""

    side: str
    classes: tuple[str, ...]
    cells: tuple[tuple[Square, ...], ...]


@dataclass(frozen=True)
class Residuals:
    """A histogram of label minus prediction."""

    side: str
    low: float
    high: float
    bins: tuple[Bin, ...]
    zero: float | None


@dataclass(frozen=True)
class Part:
    """A class, or a step of the horizon, with its metrics on all rows."""

    name: str
    values: tuple[Value | None, ...]


@dataclass(frozen=True)
class EvaluationContents:
    """An evaluation as it is shown.

    Metrics of single classes or steps are in a table of their own where there are many: `parts`, whose columns are `part_metrics`.
    """

    metrics: tuple[str, ...]
    part_metrics: tuple[str, ...]
    parts: tuple[Part, ...]
    slices: tuple[SliceLine, ...]
    matching: int
    page: int
    pages: int
    sort: str
    ascending: bool
    left_out: int
    plots: tuple[Plot, ...]
    confusions: tuple[Confusion, ...]
    residuals: tuple[Residuals, ...]


def evaluation_contents(summary: Summary, *, sort: str = "", ascending: bool = True, page: int = 1) -> EvaluationContents:
    """Returns an evaluation as it is shown.

    Args:
        summary: Of a ModelEvaluation.
        sort: A metric, or `rows`, to sort the slices by; all rows stay first.
        ascending: Whether the smallest come first.
        page: Number of the page of slices, from 1.
    """
    everything = tuple(dict.fromkeys(name for found in summary["slices"] for name in found["metrics"]))
    of_parts = [name for name in everything if _PART.search(name)]
    metrics = tuple(name for name in everything if name not in of_parts) if len(of_parts) > _MOST_COLUMNS else everything
    spans = {name: _span(summary["slices"], name) for name in metrics}
    lines = [_slice(found, metrics, spans) for found in summary["slices"]]
    overall, rest = lines[:1], lines[1:]
    if sort in (*metrics, "rows"):
        place = metrics.index(sort) if sort in metrics else -1
        keys = {id(line): line.examples if place < 0 else getattr(line.values[place], "value", None) for line in rest}
        known = sorted((line for line in rest if keys[id(line)] is not None), key=lambda line: keys[id(line)] or 0.0, reverse=not ascending)
        rest = [*known, *(line for line in rest if keys[id(line)] is None)]
    pages = max(1, -(-len(rest) // PER_PAGE))
    page = min(max(1, page), pages)
    columns, parts = _parts(summary["slices"][0], [name for name in everything if name not in metrics])
    plots = summary.get("plots") or {}
    sides = [(label, plots[side]) for side, label in _SIDES if plots.get(side)]
    return EvaluationContents(
        metrics=metrics,
        part_metrics=columns,
        parts=parts,
        slices=(*overall, *rest[(page - 1) * PER_PAGE : page * PER_PAGE]),
        matching=len(lines),
        page=page,
        pages=pages,
        sort=sort,
        ascending=ascending,
        left_out=int(summary.get("slices_left_out") or 0),
        plots=tuple(_plots(sides)),
        confusions=tuple(_confusion(label, found["confusion"]) for label, found in sides if found.get("confusion")),
        residuals=tuple(_residuals(label, found["residuals"]) for label, found in sides if found.get("residuals")),
    )


def _parts(overall: Summary, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[Part, ...]]:
    """Returns the columns and lines of the table of classes or steps."""
    columns = tuple(dict.fromkeys(_PART.split(name, maxsplit=1)[0] for name in names))
    found: dict[str, dict[str, str]] = {}
    for name in names:
        metric, part = _PART.split(name, maxsplit=1)
        found.setdefault(part, {})[metric] = name
    lines = [(part, _slice(overall, [of.get(column, "") for column in columns], {}).values) for part, of in found.items()]
    return columns, tuple(Part(*line) for line in sorted(lines, key=lambda line: _in_order(line[0])))


def _in_order(name: str) -> tuple[bool, float, str]:
    """Returns what sorts names of classes: numbers by their size, then words."""
    return (not name.isdecimal(), float(name) if name.isdecimal() else 0.0, name)


def _span(slices: Sequence[Summary], name: str) -> tuple[float, float]:
    values = [value for found in slices if (value := _number(found["metrics"].get(name), "candidate")) is not None]
    return (min(values, default=0.0), max(values, default=0.0))


def _number(metric: Summary | None, side: str, what: str = "value") -> float | None:
    value = ((metric or {}).get(side) or {}).get(what)
    return float(value) if value is not None else None


def _slice(found: Summary, metrics: Sequence[str], spans: Mapping[str, tuple[float, float]]) -> SliceLine:
    values = []
    for name in metrics:
        metric = found["metrics"].get(name)
        value = _number(metric, "candidate")
        low, high = spans.get(name, (0.0, 0.0))
        low = 0.0 if low >= 0 else low
        share = (value - low) / (high - low) if value is not None and high > low else None
        values.append(
            None
            if metric is None
            else Value(
                value,
                _number(metric, "candidate", "lower"),
                _number(metric, "candidate", "upper"),
                _number(metric, "baseline"),
                _number(metric, "difference"),
                share,
            )
        )
    return SliceLine(str(found["name"]), found["examples"], str(found.get("error") or ""), tuple(values))


def _plots(sides: Sequence[tuple[str, Summary]]) -> list[Plot]:
    made = []
    diagonal = [("chance", [(0.0, 0.0), (1.0, 1.0)])]
    roc = _curves(sides, "roc", "false_positive_rate", "true_positive_rate")
    if roc:
        made.append(plot("ROC", "false positive rate", "true positive rate", roc, guides=diagonal, unit=True))
    recall = _curves(sides, "precision_recall", "recall", "precision")
    if recall:
        made.append(plot("Precision and recall", "recall", "precision", recall, unit=True))
    calibration = [(label, found["calibration"]) for label, found in sides if found.get("calibration")]
    if calibration:
        lines = [(_with_error(label, of), _points(*_well_filled(of))) for label, of in calibration]
        title = f"Calibration of {calibration[0][1].get('of') or 'the prediction'}, bins of {_LEAST_ROWS} rows or more"
        made.append(plot(title, "predicted", "observed", lines, guides=[("perfect", diagonal[0][1])], unit=True))
    for key, title, x, names in (
        ("by_prediction", "Residual by prediction", "prediction", ("residual", "deviation")),
        ("by_step", "Error by step of the horizon", "step", ("root_mean_squared_error", "mean_absolute_error", "mean_residual")),
    ):
        lines = [
            (f"{label}: {name.replace('_', ' ')}", _points(found[key][x], found[key][name]))
            for label, found in sides
            if found.get(key)
            for name in names
            if found[key].get(name)
        ]
        if lines:
            made.append(plot(title, x, "", lines))
    return made


def _curves(sides: Sequence[tuple[str, Summary]], key: str, x: str, y: str) -> list[tuple[str, list[tuple[float, float | None]]]]:
    """Returns the curves of both sides; of many classes the averages and the first ones of the model alone."""
    found = []
    for label, plots in sides:
        curves = plots.get(key) or []
        for curve in curves[: _MOST_CURVES if label == "model" else 1]:
            name = label if len(curves) == 1 else curve["name"] if len(sides) == 1 else f"{label}: {curve['name']}"
            area = curve.get("area")
            found.append((f"{name} ({area:.4f})" if area is not None else name, _points(curve[x], curve[y])))
    return found


def _points(x: Sequence[float], y: Sequence[float | None]) -> list[tuple[float, float | None]]:
    """Returns points in the order of x; of several at one place, as where a curve goes straight up, the last."""
    return sorted(dict(zip(x, y, strict=True)).items())


def _well_filled(calibration: Summary) -> tuple[list[float], list[float]]:
    """Returns the bins whose share means something; all where none has enough rows."""
    bins = list(zip(calibration["predicted"], calibration["observed"], calibration["rows"], strict=True))
    known = [found for found in bins if found[2] >= _LEAST_ROWS] or bins
    return [found[0] for found in known], [found[1] for found in known]


def _with_error(label: str, calibration: Summary) -> str:
    error = calibration.get("error")
    return f"{label} (error {error:.4f})" if error is not None else label


def _confusion(label: str, found: Summary) -> Confusion:
    classes = tuple(map(str, found["classes"]))
    order = sorted(range(len(classes)), key=lambda place: _in_order(classes[place]))
    cells = []
    for truth in order:
        row = found["rows"][truth]
        total = sum(row)
        cells.append(tuple(Square(float(row[place]), row[place] / total if total else 0.0) for place in order))
    return Confusion(label, tuple(classes[place] for place in order), tuple(cells))


def _residuals(label: str, found: Summary) -> Residuals:
    edges, rows = found["edges"], found["rows"]
    low, high, top = edges[0], edges[-1], max(rows, default=0) or 1.0
    scale = HISTOGRAM_WIDTH / (high - low) if high > low else 0.0
    bins = []
    for start, end, count in zip(edges, edges[1:], rows):
        tall = count / top * (HISTOGRAM_HEIGHT - 2)
        bins.append(
            Bin(
                round((start - low) * scale, 1),
                round(HISTOGRAM_HEIGHT - tall, 1),
                round(max((end - start) * scale - 0.6, 1.0), 1),
                round(tall, 1),
            )
        )
    zero = -low * scale if low < 0 < high and math.isfinite(scale) else None
    return Residuals(label, low, high, tuple(bins), zero)
