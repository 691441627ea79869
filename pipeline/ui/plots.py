"""Line plots as the pages hold them: drawn by the browser, with the same values in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.ui.render import number

Value = float | None
MOST_POINTS = 1_000


@dataclass(frozen=True)
class Line:
    """One line: a value for each x, None where it has none; a guide is drawn thin, such as the diagonal of a ROC curve."""

    name: str
    values: tuple[Value, ...]
    guide: bool = False


@dataclass(frozen=True)
class Plot:
    """A plot of lines over one x.

    Attributes:
        title: What it shows.
        x_name: Name of the x axis.
        y_name: Name of the y axis.
        x: The places, ascending.
        lines: The lines.
        unit: Whether both axes go from 0 to 1.
    """

    title: str
    x_name: str
    y_name: str
    x: tuple[float, ...]
    lines: tuple[Line, ...]
    unit: bool = False

    @property
    def words(self) -> str:
        """What a person hears who does not see it: where each line begins and ends."""
        told = []
        for line in self.lines:
            known = [value for value in line.values if value is not None]
            if known and not line.guide:
                told.append(f"{line.name} from {number(known[0])} to {number(known[-1])}")
        return "; ".join(told)


def plot(
    title: str,
    x_name: str,
    y_name: str,
    lines: Sequence[tuple[str, Sequence[tuple[float, Value]]]],
    *,
    guides: Sequence[tuple[str, Sequence[tuple[float, Value]]]] = (),
    unit: bool = False,
) -> Plot:
    """Returns a plot of lines that may have places of their own; lines of many points are thinned out evenly.

    Args:
        title: What it shows.
        x_name: Name of the x axis.
        y_name: Name of the y axis.
        lines: Name and points of each line.
        guides: The same, of thin lines that are no data.
        unit: Whether both axes go from 0 to 1.
    """
    thin = [(name, thinned(points), False) for name, points in lines] + [(name, list(points), True) for name, points in guides]
    x = tuple(sorted({place for _, points, _ in thin for place, _ in points}))
    drawn = []
    for name, points, guide in thin:
        known = dict(points)
        drawn.append(Line(name, tuple(known.get(place) for place in x), guide))
    return Plot(title, x_name, y_name, x, tuple(drawn), unit)


def thinned(points: Sequence[tuple[float, Value]], most: int = MOST_POINTS) -> list[tuple[float, Value]]:
    """Returns at most so many of the points, evenly spread, with the first and the last."""
    if len(points) <= most:
        return list(points)
    step = (len(points) - 1) / (most - 1)
    return [points[round(number * step)] for number in range(most)]
