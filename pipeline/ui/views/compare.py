"""Runs or models side by side: two in every detail, more than two by what they came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import DataError, UsageError
from pipeline.lineage.comparison import Comparison, MetricChange, Side, compare, side_of_run
from pipeline.ui.contents import expecting
from pipeline.ui.render import segment
from pipeline.ui.site import Site
from pipeline.ui.views.runs import RunRow, rows_of

MOST_SIDES = 8
_MOST_SLICES = 200


@dataclass(frozen=True)
class SideLink:
    """A side, and its page."""

    name: str
    address: str
    pipeline: str
    created: int


@dataclass(frozen=True)
class Column:
    """The same thing on each of several sides, and whether it is different."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether it is not everywhere the same."""
        return len(set(self.values)) > 1


@dataclass(frozen=True)
class CompareView:
    """Two sides in detail.

    Attributes:
        names: What is compared, as it was named.
        before: The first side.
        after: The second side.
        changes: What is different; None where there are more than two sides.
        metrics: The metrics on all rows, and then the slices whose metrics changed most.
        slices_left_out: How many slices are not shown.
        runs: The sides as rows, where there are more than two.
        parameters: The parameters that are not the same on all of more than two sides.
        causes: What could have made the results different.
        problem: Why two sides cannot be compared; empty if they can.
    """

    names: tuple[str, ...]
    before: SideLink | None = None
    after: SideLink | None = None
    changes: Comparison | None = None
    metrics: tuple[MetricChange, ...] = ()
    slices_left_out: int = 0
    runs: tuple[RunRow, ...] = ()
    parameters: tuple[Column, ...] = ()
    causes: tuple[str, ...] = ()
    problem: str = ""


def compare_view(site: Site, names: Sequence[str]) -> CompareView:
    """Returns what is different between runs, or models.

    Args:
        site: The site.
        names: What a person names: ids of runs, numbers of artifacts, paths.

    Raises:
        UsageError: If one names nothing, or nothing that can be compared.
    """
    names = tuple(name.strip() for name in names if name.strip())[:MOST_SIDES]
    if len(names) < 2:
        return CompareView(tuple(names))
    if len(names) > 2:
        return _several(site, names)
    before, after = (_side(site, name) for name in names)
    if after.created < before.created:
        before, after = after, before
    try:
        with expecting("A summary of what is compared"):
            changes = compare(before, after, site.storage)
    except DataError as error:
        return CompareView(names, _link(before), _link(after), problem=str(error))
    overall = [change for change in changes.metrics if change.slice in ("", "all rows")]
    others = sorted((change for change in changes.metrics if change not in overall), key=lambda change: -abs(change.difference or 0.0))
    return CompareView(
        names,
        _link(before),
        _link(after),
        changes,
        (*overall, *others[:_MOST_SLICES]),
        max(0, len(others) - _MOST_SLICES),
        causes=changes.causes,
    )


def _link(side: Side) -> SideLink:
    address = f"/runs/{segment(side.id)}" if side.kind == "run" else f"/artifacts/{side.id}"
    return SideLink(side.name, address, side.pipeline, side.created)


def _side(site: Site, name: str) -> Side:
    """Returns the run or model that a person names."""
    run = next((run for run in site.runs() if run.id == name), None)
    return side_of_run(site.store, run) if run is not None else site.ledger.side(name)


def _several(site: Site, names: Sequence[str]) -> CompareView:
    runs = []
    for name in names:
        found = site.ledger.find(name)
        if found.run is None or found.node is not None:
            raise UsageError(f"'{name}' is no run. Expected runs where more than two are compared.")
        runs.append(found.run)
    parameters: dict[str, list[str]] = {}
    for place, run in enumerate(runs):
        for node, execution in side_of_run(site.store, run).executions.items():
            for parameter, value in execution.parameters.items():
                parameters.setdefault(f"{node}.{parameter}", [""] * len(runs))[place] = str(value)
    columns = [Column(name, tuple(values)) for name, values in parameters.items()]
    return CompareView(tuple(names), runs=tuple(rows_of(site, runs)), parameters=tuple(column for column in columns if column.differs))
