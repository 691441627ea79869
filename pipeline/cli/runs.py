"""`cauce runs`, `cauce nodes`, `cauce logs`."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from pipeline.cli.common import (
    NO_RUNS,
    Opened,
    Verbs,
    console,
    duration,
    find_run,
    json_option,
    limit_of,
    limit_option,
    moment,
    open_store,
    print_json,
    size,
    store_options,
    table,
)
from pipeline.cli.lists import Asked, answer, list_options, print_table, values_as_json
from pipeline.errors import UsageError, did_you_mean
from pipeline.lineage import producers
from pipeline.lineage.finding import find_node
from pipeline.lineage.tables import Tables
from pipeline.metadata import MetadataStore
from pipeline.outcome import NodeState
from pipeline.records import Run, RunState
from pipeline.reports import RUNNING, NodeReport, nodes_of_run, run_as_json, run_seconds, short_parameters, shortened
from pipeline.wording import sentences

_STYLES = {
    RunState.DONE.value: "green",
    NodeState.CACHED.value: "cyan",
    NodeState.SELECTED.value: "cyan",
    NodeState.SKIPPED.value: "yellow",
    NodeState.CANCELED.value: "yellow",
    RunState.FAILED.value: "red",
    RunState.BLOCKED.value: "red",
    RunState.INTERRUPTED.value: "yellow",
    RUNNING: "blue",
}
_REASON_WIDTH = 120
_POLL_SECONDS = 0.3


@click.group(cls=Verbs)
def runs() -> None:
    """List runs, show one.

    \b
    Examples:
      cauce runs
      cauce runs show latest
    """


@runs.command("list")
@click.option("--pipeline", metavar="NAME", help="Only runs of this pipeline.")
@list_options
@limit_option("runs")
@store_options
@json_option
def list_runs(
    pipeline: str | None,
    where: tuple[str, ...],
    sort: str,
    columns: tuple[str, ...],
    as_csv: bool,
    fields: bool,
    limit: int | None,
    root: str | None,
    metadata: str | None,
    as_json: bool,
) -> None:
    """List runs, oldest first; those that meet a condition, in another order, with parameters and metrics as columns.

    Conditions know parameters (Trainer.train_steps, or train_steps where one node has it), metrics (auc), state, started, seconds, blessed,
    pushed, age; all of them: --fields.

    \b
    Examples:
      cauce runs
      cauce runs list --pipeline taxi --limit 5
      cauce runs list --where "auc > 0.9 and learning_rate < 0.001" --sort -auc
      cauce runs list --csv > runs.csv
    """
    opened = open_store(root, metadata)
    asked = Asked(where, sort, columns, as_csv, fields)
    found = opened.store.runs()
    names = {run.pipeline for run in found}
    if pipeline is not None and found and pipeline not in names:
        raise UsageError(f"No pipeline '{pipeline}' has run.{did_you_mean(pipeline, names)}")
    found = [run for run in found if pipeline in (None, run.pipeline)]
    if not asked.plain:
        _answer(opened, asked if pipeline is None else replace(asked, where=(*where, f'pipeline = "{pipeline}"')), limit, as_json=as_json)
        return
    shown = found[-(limit_of(limit, as_json=as_json) or 0) :]
    if as_json:
        print_json([run_as_json(run) for run in shown])
        return
    if not found:
        click.echo(f"There are no runs in {opened.settings.root_path}. {NO_RUNS}", err=True)
        return
    console().print(_run_table(shown))
    if len(shown) < len(found):
        click.echo(f"The last {len(shown)} of {len(found):,} runs. All of them: --limit 0", err=True)


def _answer(opened: Opened, asked: Asked, limit: int | None, *, as_json: bool) -> None:
    """Prints the runs that were asked for."""
    found = answer(Tables(opened.store).runs, asked, limit, as_json=as_json)
    if found is None:
        return
    if as_json:
        runs = {run.id: run for run in opened.store.runs()}
        print_json([{**run_as_json(runs[str(row.id)]), "values": values_as_json(row)} for row in found.rows])
    elif found.rows:
        print_table(found, "run")
    else:
        click.echo("There are no such runs.", err=True)


@runs.command("show")
@click.argument("run_id", metavar="[RUN]", required=False)
@store_options
@json_option
def show_run(run_id: str | None, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Show a run: each node with its state, time, memory, why it ran and what it decided; parameters; errors; the next command.

    RUN is an id, the start of one, or latest (the default).

    \b
    Examples:
      cauce runs show
      cauce runs show 20260131-2359
    """
    store = open_store(root, metadata).store
    run = find_run(store, run_id)
    nodes = nodes_of_run(store, run)
    if as_json:
        settings = json.loads(str(run.properties.get("settings") or "{}"))
        print_json(
            {**run_as_json(run), "settings": settings, "properties": dict(run.properties), "nodes": [node.as_json() for node in nodes]}
        )
        return
    _print_run(run, nodes)


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@store_options
@json_option
def nodes(run_id: str | None, root: str | None, metadata: str | None, as_json: bool) -> None:
    """List the nodes of a run, in the order in which they began.

    RUN is an id, the start of one, or latest (the default).

    \b
    Example:
      cauce nodes latest
    """
    store = open_store(root, metadata).store
    found = nodes_of_run(store, find_run(store, run_id))
    if as_json:
        print_json([node.as_json() for node in found])
    else:
        console().print(_node_table(found))


@click.command()
@click.argument("words", metavar="[RUN] NODE", nargs=-1, required=True)
@click.option("--follow", is_flag=True, help="Print what is added, until the node has ended.")
@store_options
@json_option
def logs(words: tuple[str, ...], follow: bool, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Print the log of a node: what it and its libraries said, and the whole traceback where it failed.

    RUN is an id, the start of one, or latest (the default).

    \b
    Examples:
      cauce logs Trainer
      cauce logs 20260131-2359 Trainer --follow
    """
    if len(words) > 2:
        raise UsageError(f"Expected [RUN] NODE. Received: {' '.join(words)}", hint="For example: cauce logs latest Trainer")
    if follow and as_json:
        raise UsageError("Expected --follow or --json, not both.")
    store = open_store(root, metadata).store
    run = find_run(store, words[0] if len(words) == 2 else None)
    node = find_node(store, run, words[-1])
    file = _log_file(store, run, node)
    if as_json:
        print_json(
            {"run": run.id, "node": node.id, "path": str(file), "lines": file.read_text(encoding="utf-8", errors="replace").splitlines()}
        )
        return
    _print_log(store, run, node, file, follow=follow)


def _run_table(found: Sequence[Run]) -> Table:
    made = table(["run", "pipeline", "state", "started", "time", "because"], [], right=["time"])
    for run in found:
        seconds = run_seconds(run)
        made.add_row(
            run.id,
            run.pipeline,
            _state(run.state.value),
            moment(run.started),
            "" if seconds is None else duration(seconds),
            Text(shortened(run.reason, _REASON_WIDTH), style="dim"),
        )
    return made


def _state(state: str) -> Text:
    return Text(state, style=_STYLES.get(state, ""))


def _node_table(found: Sequence[NodeReport]) -> Table:
    made = table(["node", "state", "time", "memory", "verdict", "why"], [], right=["time", "memory"])
    for node in found:
        known = node.execution
        report = node.as_json()
        made.add_row(
            node.id,
            _state(node.state),
            duration(known.seconds) if known and known.seconds else "",
            size(known.peak_memory) if known and known.peak_memory else "",
            report["verdict"]["kind"] if report["verdict"] else "",
            Text(shortened(known.error if known and known.error else sentences(node.reasons), _REASON_WIDTH), style="dim"),
        )
    return made


def _print_run(run: Run, found: Sequence[NodeReport]) -> None:
    screen = console()
    seconds = run_seconds(run)
    screen.print(
        Text.assemble((f"run {run.id}", "bold"), f" of {run.pipeline}: ", _state(run.state.value), f" — {run.reason}" if run.reason else "")
    )
    screen.print(Text(f"started {moment(run.started)}" + ("" if seconds is None else f", took {duration(seconds)}"), style="dim"))
    screen.print(Text(f"definition {run.properties.get('definition', '-')}", style="dim"))
    settings = json.loads(str(run.properties.get("settings") or "{}"))
    if settings:
        screen.print(Text("set " + " ".join(f"{name}={value}" for name, value in settings.items())))
    screen.print()
    screen.print(_node_table(found))
    for title, text in _details(found):
        screen.print(Text.assemble("\n", (title, "bold"), f"\n{text}"))
    screen.print(Text(f"\nnext: {_next_command(run, found)}", style="dim"))


def _details(found: Sequence[NodeReport]) -> list[tuple[str, str]]:
    """Returns title and text of what does not fit into the table: parameters, verdicts, errors."""
    details = []
    parameters = [(node.id, short_parameters(node.execution, 1_000)) for node in found if node.execution]
    if any(text for _, text in parameters):
        details.append(("parameters", "\n".join(f"  {id}: {text}" for id, text in parameters if text)))
    for node in found:
        known = node.execution
        if known and known.verdict_reasons:
            details.append((f"{node.id}: {known.verdict}", "\n".join(f"  {reason}" for reason in known.verdict_reasons)))
        if known and known.error:
            log = f"\n  The whole traceback: {known.log}" if known.log else ""
            details.append((f"{node.id} {node.state}", "\n".join(f"  {line}" for line in known.error.splitlines()) + log))
    return details


def _next_command(run: Run, found: Sequence[NodeReport]) -> str:
    by_state = {node.state: node for node in reversed(found)}
    outputs = [(node, id) for node in reversed(found) for ids in (node.outputs or {}).values() for id in ids]
    if run.state is RunState.RUNNING:
        working = by_state.get(RUNNING)
        return f"cauce logs {run.id} {working.id} --follow" if working else f"cauce runs show {run.id}"
    if run.state is RunState.BLOCKED:
        blocking = by_state.get(NodeState.BLOCKED.value)
        return next((f"cauce artifacts show {id}" for node, id in outputs if node is blocking), f"cauce resume {run.id}")
    if run.state is RunState.DONE:
        return f"cauce lineage {outputs[0][1]}" if outputs else "cauce runs list"
    failed = by_state.get(NodeState.FAILED.value)
    return (
        f"cauce logs {run.id} {failed.id}; then: cauce resume {run.id}"
        if failed and failed.execution and failed.execution.log
        else f"cauce resume {run.id}"
    )


def _log_file(store: MetadataStore, run: Run, node: NodeReport) -> Path:
    """Returns the node's log file.

    Raises:
        UsageError: If it has none, saying why and where there is one.
    """
    known = node.execution
    if known is not None and known.log and Path(known.log).is_file():
        return Path(known.log)
    if known is not None and known.log:
        raise UsageError(f"The log of '{node.id}' is gone: {known.log}", hint="Run the node again: cauce run PATH --rerun " + node.id)
    made = producers(store, [id for ids in (node.outputs or {}).values() for id in ids]) if node.state == NodeState.CACHED.value else {}
    origin = next(iter(store.executions(event.execution for event in made.values())), None)
    hint = (
        f"See the run: cauce runs show {run.id}"
        if origin is None
        else f"See the log of what was reused: cauce logs {origin.run} {origin.node}"
    )
    why = f"it was {node.state}" if known is not None else f"its state is '{node.state}'"
    reasons = f": {sentences(node.reasons)}" if node.reasons else ""
    raise UsageError(f"'{node.id}' wrote no log in run {run.id}; {why}{reasons}.", hint=hint)


def _print_log(store: MetadataStore, run: Run, node: NodeReport, file: Path, *, follow: bool) -> None:
    with file.open(encoding="utf-8", errors="replace") as lines:
        while True:
            ended = not follow or find_node(store, run, node.id).state != RUNNING
            click.echo(lines.read(), nl=False)
            if ended:
                return
            time.sleep(_POLL_SECONDS)
