"""Plots as PNG files, drawn by Matplotlib without a display. The same series give the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOLDER = "pictures"
_DPI = 100
_CURVES = 8
_NUMBERED_CLASSES = 12
_FLAT_NAMES = 4
_NAME_MARGIN = 0.22
_STYLES = {"candidate": "-", "baseline": "--"}

Plots = Mapping[str, Mapping[str, Any]]
"""Plots by role, `candidate` or `baseline`, then by key as in the summary."""


def draw(plots: Plots, folder: Path) -> list[dict[str, str]]:
    """Draws what there is of `plots` into `pictures/`; returns file, title and plot of each."""
    drawn = []
    (folder / FOLDER).mkdir(exist_ok=True)
    for plot, title, paint in _PICTURES:
        given = {role: found[plot] for role, found in plots.items() if found.get(plot)}
        if "candidate" not in given:
            continue
        file = f"{FOLDER}/{plot}.png"
        _save(given, title, paint, folder / file)
        drawn.append({"file": file, "title": title, "plot": plot})
    return drawn


def _save(given: Mapping[str, Any], title: str, paint: Callable[[Axes, Mapping[str, Any]], None], file: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Figure = Figure(figsize=(6.4, 4.8), dpi=_DPI)
    canvas: Any = FigureCanvasAgg(figure)  # drawn once and at once: to let the figure find its layout takes three times as long
    axes = figure.subplots()
    figure.subplots_adjust(left=0.13, right=0.97, bottom=0.13, top=0.92)
    paint(axes, given)
    axes.set_title(title, fontsize=11)
    canvas.print_png(file, metadata={"Software": None}, pil_kwargs={"compress_level": 1})


def _confusion(axes: Axes, given: Mapping[str, Any]) -> None:
    classes, rows = given["candidate"]["classes"], given["candidate"]["rows"]
    shares = [[value / sum(row) if sum(row) else 0.0 for value in row] for row in rows]
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    places = range(len(classes))
    axes.figure.subplots_adjust(left=_NAME_MARGIN, bottom=_NAME_MARGIN if len(classes) > _FLAT_NAMES else 0.13)
    names = [_cut(name) for name in classes]
    axes.set_xticks(places, names, rotation=90 if len(names) > _FLAT_NAMES else 0, fontsize=8)
    axes.set_yticks(places, names, fontsize=8)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    for truth in places if len(classes) <= _NUMBERED_CLASSES else ():
        for predicted in places:
            colour = "white" if shares[truth][predicted] > 0.5 else "black"
            axes.text(predicted, truth, f"{rows[truth][predicted]:g}", ha="center", va="center", color=colour, fontsize=8)


def _cut(name: str) -> str:
    return (name if len(name) <= 16 else name[:15] + "…").replace("$", r"\$")


def _curves(across: str, along: str) -> Callable[[Axes, Mapping[str, Any]], None]:
    def paint(axes: Axes, given: Mapping[str, Any]) -> None:
        for role, curves in given.items():
            for place, curve in enumerate(curves[:_CURVES]):
                name = _cut(curve["name"]) + (" (baseline)" if role == "baseline" else "")
                label = f"{name}: {_area(curve['area'])}"
                axes.plot(curve[across], curve[along], _STYLES[role], color=f"C{place}", label=label, linewidth=1.2)
        if across == "false_positive_rate":
            axes.plot([0, 1], [0, 1], ":", color="grey", linewidth=1)
        axes.set_xlabel(across.replace("_", " "))
        axes.set_ylabel(along.replace("_", " "))
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.legend(fontsize=8, title="area", loc="best")

    return paint


def _area(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _calibration(axes: Axes, given: Mapping[str, Any]) -> None:
    axes.plot([0, 1], [0, 1], ":", color="grey", linewidth=1)
    for role, found in given.items():
        axes.plot(found["predicted"], found["observed"], "o" + _STYLES[role], markersize=4, label=f"{role}: error {_area(found['error'])}")
    axes.set_xlabel(f"probability of {_cut(given['candidate']['of'])}")
    axes.set_ylabel("share for which it came true")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.legend(fontsize=8)


def _residuals(axes: Axes, given: Mapping[str, Any]) -> None:
    for role, found in given.items():
        axes.stairs(found["rows"], found["edges"], fill=role == "candidate", alpha=0.7, label=role)
    axes.axvline(0.0, color="grey", linestyle=":", linewidth=1)
    axes.set_xlabel("label minus prediction")
    axes.set_ylabel("rows")
    axes.legend(fontsize=8)


def _by_prediction(axes: Axes, given: Mapping[str, Any]) -> None:
    axes.axhline(0.0, color="grey", linestyle=":", linewidth=1)
    for role, found in given.items():
        axes.errorbar(
            found["prediction"], found["residual"], found["deviation"], fmt="o" + _STYLES[role], markersize=4, capsize=2, label=role
        )
    axes.set_xlabel("prediction")
    axes.set_ylabel("label minus prediction: mean and deviation")
    axes.legend(fontsize=8)


def _by_step(axes: Axes, given: Mapping[str, Any]) -> None:
    for role, found in given.items():
        for place, measure in enumerate(("root_mean_squared_error", "mean_absolute_error", "mean_residual")):
            label = measure.replace("_", " ") + (" (baseline)" if role == "baseline" else "")
            axes.plot(found["step"], found[measure], _STYLES[role], color=f"C{place}", label=label)
    axes.set_xlabel("step of the horizon")
    axes.set_ylabel("error")
    axes.legend(fontsize=8)


_PICTURES: tuple[tuple[str, str, Callable[[Any, Mapping[str, Any]], None]], ...] = (
    ("confusion", "Confusion matrix: rows are the truth", _confusion),
    ("roc", "ROC curve", _curves("false_positive_rate", "true_positive_rate")),
    ("precision_recall", "Precision and recall", _curves("recall", "precision")),
    ("calibration", "Calibration", _calibration),
    ("residuals", "Residuals", _residuals),
    ("by_prediction", "Residuals by prediction", _by_prediction),
    ("by_step", "Errors by step", _by_step),
)
