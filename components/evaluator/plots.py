"""Plots of all rows as short series: what each task needs to be counted, and what the counts look like."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from components.evaluator.measures import Ranking, calibration_error, thinned, weighted_mean
from components.evaluator.subject import Subject
from components.evaluator.tally import Buckets, ByPrediction, ClassMatrix, Errors, Reliability, Residuals, Scores, Tally, matrix_of

Floats = npt.NDArray[np.float64]

BINS = 15
"""Bins of the calibration, as in Guo et al., On Calibration of Modern Neural Networks, 2017."""

MAX_CURVE_CLASSES = 100
MAX_CONFUSION_CLASSES = 30
MAX_CURVES = 10
POINTS = 101
MAX_STEPS = 512
_RESIDUAL_BINS = 40
_GROUPS = 20
_OUTLIERS = 0.005


def tallies_of(subject: Subject) -> tuple[Tally, ...]:
    """Returns what the plots of a task need to be counted."""
    if subject.task == "binary":
        return ClassMatrix(), Scores(1), Reliability(BINS)
    if subject.task == "classes":
        classes = range(len(subject.classes)) if len(subject.classes) <= MAX_CURVE_CLASSES else ()
        return ClassMatrix(), *map(Scores, classes), Reliability(BINS)
    if subject.task == "regression":
        return Residuals(), ByPrediction()
    return (Residuals(), ByPrediction(), Errors()) if subject.task == "forecast" else ()


def plots_of(subject: Subject, counted: Sequence[Buckets], *, curves: int = MAX_CURVES) -> dict[str, Any]:
    """Returns the plots in the summary's format.

    Args:
        subject: What is evaluated.
        counted: What was counted of `tallies_of(subject)`, in that order.
        curves: Of how many classes, the most frequent ones, there are curves besides the averages.
    """
    if subject.classifies:
        matrix = matrix_of(counted[0].ids, counted[0].sums[0], len(subject.classes))
        plots = {"confusion": _confusion(matrix, subject.classes)}
        if len(counted) > 2:
            rankings = [Ranking.of(found.sums[0]) for found in counted[1:-1]]
            plots |= _curves(subject, rankings, matrix, functools.reduce(Buckets.merged, counted[1:-1]), curves)
        return plots | {"calibration": _calibration(counted[-1], subject)}
    if subject.task == "other" or not counted[0].sums[0, :, 0].sum():
        return {}
    plots = {"residuals": _residuals(counted[0].sums[0]), "by_prediction": _by_prediction(counted[1].sums[0])}
    return plots | ({"by_step": _by_step(counted[2])} if subject.task == "forecast" else {})


def _confusion(matrix: Floats, classes: tuple[str, ...]) -> dict[str, Any]:
    if len(classes) > MAX_CONFUSION_CLASSES:
        order = np.argsort(-matrix.sum(axis=1), kind="stable")
        kept = np.sort(order[: MAX_CONFUSION_CLASSES - 1])
        places = np.full(len(classes), MAX_CONFUSION_CLASSES - 1)
        places[kept] = np.arange(len(kept))
        smaller = np.zeros((MAX_CONFUSION_CLASSES, MAX_CONFUSION_CLASSES))
        np.add.at(smaller, (places[:, None], places[None, :]), matrix)
        matrix, classes = smaller, (*(classes[place] for place in kept), "other")
    return {"classes": list(classes), "rows": [[_short(value) for value in row] for row in matrix]}


def _curves(subject: Subject, rankings: list[Ranking], matrix: Floats, pooled: Buckets, curves: int) -> dict[str, Any]:
    if subject.task == "binary":
        named = [(subject.classes[1], rankings[0])]
        averages: list[tuple[str, list[Ranking]]] = []
    else:
        order = np.argsort(-matrix.sum(axis=1), kind="stable")[:curves]
        named = [(subject.classes[place], rankings[place]) for place in np.sort(order)]
        averages = [("macro average", rankings), ("micro average", [Ranking.of(pooled.sums[0])])]
    roc = [_mean_curve(name, [ranking for ranking in some if ranking.defined], "roc") for name, some in averages]
    recall = [_mean_curve(name, [ranking for ranking in some if ranking.defined], "precision_recall") for name, some in averages]
    defined = [(name, ranking) for name, ranking in named if ranking.defined]
    roc += [_curve(name, *ranking.roc(), ranking.roc_area(), "roc") for name, ranking in defined]
    recall += [_curve(name, *ranking.precision_recall(), ranking.average_precision(), "precision_recall") for name, ranking in defined]
    return {"roc": [curve for curve in roc if curve], "precision_recall": [curve for curve in recall if curve]}


_AXES = {"roc": ("false_positive_rate", "true_positive_rate"), "precision_recall": ("recall", "precision")}


def _curve(name: str, x: Floats, y: Floats, area: float, kind: str) -> dict[str, Any]:
    across, along = thinned(x, y, POINTS)
    return {"name": name, "area": _short(area), _AXES[kind][0]: across, _AXES[kind][1]: along}


def _mean_curve(name: str, rankings: list[Ranking], kind: str) -> dict[str, Any] | None:
    """Returns the curve of one ranking, or the mean height of several."""
    if not rankings:
        return None
    curves = [ranking.roc() if kind == "roc" else ranking.precision_recall() for ranking in rankings]
    areas = np.array([ranking.roc_area() if kind == "roc" else ranking.average_precision() for ranking in rankings])
    if len(curves) == 1:
        return _curve(name, *curves[0], float(areas[0]), kind)
    grid = np.linspace(0.0, 1.0, POINTS)
    height = np.mean([np.interp(grid, *curve) for curve in curves], axis=0)
    return _curve(name, grid, height, weighted_mean(areas, np.ones(len(areas))), kind)


def _calibration(counted: Buckets, subject: Subject) -> dict[str, Any]:
    predicted, right, rows = counted.sums[0].T
    some = rows > 0
    return {
        "of": subject.classes[1] if len(subject.classes) == 2 else "predicted class",
        "error": _short(calibration_error(counted.sums[0])),
        "predicted": _list(predicted[some] / rows[some]),
        "observed": _list(right[some] / rows[some]),
        "rows": _list(rows[some]),
    }


def _residuals(sums: Floats) -> dict[str, Any]:
    some = sums[:, 0] > 0
    rows, values = sums[some, 0], sums[some, 1] / sums[some, 0]
    share = np.cumsum(rows) / rows.sum()
    low, high = values[np.searchsorted(share, [_OUTLIERS, 1 - _OUTLIERS]).clip(0, len(values) - 1)]
    margin = 0.0 if high > low else max(abs(low) * 1e-3, 1e-9)
    edges = np.linspace(low - margin, high + margin, _RESIDUAL_BINS + 1)
    places = np.clip(np.searchsorted(edges, values, "right") - 1, 0, _RESIDUAL_BINS - 1)
    return {"edges": _list(edges), "rows": _list(np.bincount(places, rows, _RESIDUAL_BINS))}


def _by_prediction(sums: Floats) -> dict[str, Any]:
    some = sums[sums[:, 0] > 0]
    middle = np.cumsum(some[:, 0]) - some[:, 0] / 2
    places = np.minimum((middle / some[:, 0].sum() * _GROUPS).astype(np.int64), _GROUPS - 1)
    groups = np.stack([np.bincount(places, column, _GROUPS) for column in some.T], axis=1)
    rows, predictions, residuals, squares = groups[groups[:, 0] > 0].T
    mean = residuals / rows
    deviation = np.sqrt(np.maximum(squares / rows - mean**2, 0.0))
    return {"prediction": _list(predictions / rows), "residual": _list(mean), "deviation": _list(deviation), "rows": _list(rows)}


def _by_step(counted: Buckets) -> dict[str, Any]:
    weights, _, _, squares, absolute, plain, _, _ = counted.sums[0, :MAX_STEPS].T
    some = weights > 0
    shares = (part[some] / weights[some] for part in (squares, absolute, plain))
    squared, mean_absolute, mean = shares
    return {
        "step": [int(step) + 1 for step in counted.ids[:MAX_STEPS][some]],
        "root_mean_squared_error": _list(np.sqrt(squared)),
        "mean_absolute_error": _list(mean_absolute),
        "mean_residual": _list(mean),
    }


def _list(values: Any) -> list[float]:
    return [_short(value) or 0.0 for value in values]


def _short(value: float) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None
