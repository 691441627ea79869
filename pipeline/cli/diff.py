"""`cauce diff`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.text import Text

from pipeline.cli.common import console, duration, json_option, open_store, print_json, size, store_options, table
from pipeline.cli.show.cells import number
from pipeline.lineage.comparison import Change, CodeChange, Comparison, DataChange, FeatureChange, FeatureFacts, Measured, MetricChange
from pipeline.lineage.comparison.changes import NodeChange, NodeFacts, SchemaChange
from pipeline.lineage.ledger import Ledger
from pipeline.reports import shortened

_VALUE_WIDTH = 80
_FEATURES, _SLICES = 12, 12
_DISTANCES = ["L-infinity", "Jensen-Shannon"]


@click.command()
@click.argument("before")
@click.argument("after")
@click.option("--all", "everything", is_flag=True, help="All features and slices, also those that are equal.")
@store_options
@json_option
def diff(before: str, after: str, everything: bool, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Show what is different between two runs, or two models: data, schema, code, parameters, environment, metrics, time.

    BEFORE and AFTER are runs (an id, the start of one, latest) or models (a number, latest:Model, the path of a served version). Data are
    compared feature by feature with the distances that ExampleValidator's drift thresholds are about.

    \b
    Examples:
      cauce diff 20260131-2359 latest
      cauce diff serving/taxi/2 serving/taxi/3
    """
    opened = open_store(root, metadata)
    found = Ledger(opened.store, opened.storage).diff(before, after)
    if as_json:
        print_json(found.as_json())
    else:
        _print(found, everything=everything)


def _print(found: Comparison, *, everything: bool) -> None:
    screen = console()
    screen.print(Text.assemble(("before  ", "dim"), (found.before.name, "bold"), f" of {found.before.pipeline}"))
    screen.print(Text.assemble(("after   ", "dim"), (found.after.name, "bold"), f" of {found.after.pipeline}"))
    screen.print(Text(f"different: {', '.join(found.causes)}" if found.causes else "different: nothing that results depend on"))
    _changes(screen, "input files", found.inputs)
    _data(screen, found.data, everything=everything)
    _schema(screen, found.schema)
    _code(screen, found.code)
    _changes(screen, "parameters", found.parameters)
    _changes(screen, "environment", found.environment)
    _metrics(screen, found.metrics, everything=everything)
    _nodes(screen, found.nodes)


def _title(screen: Console, text: str) -> None:
    screen.print(Text(f"\n{text}", style="bold"))


def _changes(screen: Console, title: str, changes: Sequence[Change]) -> None:
    if changes:
        _title(screen, title)
        screen.print(table(["", "before", "after"], [[change.name, _value(change.before), _value(change.after)] for change in changes]))


def _value(value: Any) -> RenderableType:
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, dict) and "sha256" in value:
        return f"{size(value['size_bytes'])}, sha256 {value['sha256'][:8]}"
    return shortened(value if isinstance(value, str) else json.dumps(value), _VALUE_WIDTH)


def _data(screen: Console, changes: Sequence[DataChange], *, everything: bool) -> None:
    for change in changes:
        if change.problem:
            _title(screen, f"data of {change.source}")
            screen.print(Text(f"cannot be compared: {change.problem}", style="yellow"))
            continue
        if not (change.differs or everything):
            continue
        _title(
            screen,
            f"data of {change.source}, split {change.split}: {number(change.rows_before)} rows before, {number(change.rows_after)} after",
        )
        shown = [feature for feature in change.features if feature.differs or everything]
        rows = [_feature(feature) for feature in (shown if everything else shown[:_FEATURES])]
        screen.print(table(["feature", *_DISTANCES, "most changed", "missing", "mean", "unique"], rows, right=_DISTANCES))
        if len(rows) < len(shown):
            screen.print(Text(f"and {len(shown) - len(rows)} more features that changed less: --all", style="dim"))


def _feature(change: FeatureChange) -> list[RenderableType]:
    before, after, distance = change.before, change.after, change.distance
    if before is None or after is None:
        return [change.feature, "", "", Text("gone" if after is None else "new", style="yellow"), "", "", ""]
    value = distance.value if distance is not None and distance.l_infinity else ""
    return [
        change.feature,
        _distance(distance.l_infinity if distance else None),
        _distance(distance.jensen_shannon if distance else None),
        shortened(value, 30),
        _pair(before, after, lambda facts: None if facts.missing is None else f"{facts.missing:.1%}".replace("%", " %")),
        _pair(before, after, lambda facts: number(facts.numbers["mean"]) if "mean" in facts.numbers else None),
        _pair(before, after, lambda facts: None if facts.unique is None else number(facts.unique)),
    ]


def _distance(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _pair(before: FeatureFacts, after: FeatureFacts, told: Any) -> str:
    first, second = told(before), told(after)
    return (first or "") if first == second else f"{first or '-'} → {second or '-'}"


def _schema(screen: Console, changes: Sequence[SchemaChange]) -> None:
    if changes:
        _title(screen, "schema")
        for change in changes:
            told = "; ".join(f"{part.name}: {_plain(part.before)} → {_plain(part.after)}" for part in change.changes)
            screen.print(Text(f"{change.feature}: {change.kind}{f': {told}' if told else ''}"))


def _plain(value: Any) -> str:
    return "-" if value is None else shortened(value if isinstance(value, str) else json.dumps(value), _VALUE_WIDTH)


def _code(screen: Console, changes: Sequence[CodeChange]) -> None:
    for change in changes:
        state = "new" if change.before is None else "gone" if change.after is None else "changed"
        _title(screen, f"code {change.file}: {state} ({', '.join(change.nodes)})")
        if not change.diff:
            screen.print(Text("its text was not kept", style="dim"))
        for line in change.diff.splitlines():
            style = "green" if line.startswith("+") else "red" if line.startswith("-") else "cyan" if line.startswith("@") else ""
            screen.print(Text(line, style=style))


def _metrics(screen: Console, changes: Sequence[MetricChange], *, everything: bool) -> None:
    different = [change for change in changes if change.difference or change.before is None or change.after is None]
    slices = list(dict.fromkeys(change.slice for change in (changes if everything else different)))
    if not slices:
        return
    _title(screen, "metrics")
    chosen = slices if everything else slices[:_SLICES]
    rows = [_metric(change) for change in (changes if everything else different) if change.slice in chosen]
    screen.print(table(["slice", "metric", "before", "after", "difference", ""], rows, right=["before", "after", "difference"]))
    if len(chosen) < len(slices):
        screen.print(Text(f"and {len(slices) - len(chosen)} more slices: --all", style="dim"))


def _metric(change: MetricChange) -> list[RenderableType]:
    difference = change.difference
    apart = {True: "intervals do not overlap", False: "intervals overlap", None: ""}[change.apart]
    style = "" if not difference else "green" if difference > 0 else "red"
    told = "" if difference is None else f"{difference:+.5f}"
    return [
        change.slice,
        change.metric,
        _measured(change.before),
        _measured(change.after),
        Text(told, style=style),
        Text(apart, style="dim"),
    ]


def _measured(value: Measured | None) -> str:
    if value is None:
        return "-"
    return number(value.value) + (f" [{number(value.lower)}, {number(value.upper)}]" if value.lower is not None else "")


def _nodes(screen: Console, changes: Sequence[NodeChange]) -> None:
    _title(screen, "nodes")
    sides = [(change.node, change.before, change.after) for change in changes]
    rows = [[node, _state(before), _state(after), _time(before), _time(after)] for node, before, after in sides]
    screen.print(table(["node", "before", "after", "time before", "time after"], rows, right=["time before", "time after"]))


def _state(facts: NodeFacts | None) -> str:
    return "-" if facts is None else f"{facts.state}{f', {facts.verdict}' if facts.verdict not in ('', facts.state) else ''}"


def _time(facts: NodeFacts | None) -> str:
    return "-" if facts is None else duration(facts.seconds)
