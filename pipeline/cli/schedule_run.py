"""`cauce schedule run`, `backfill` and `install`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pipeline.cli.common import console, json_option, print_json, store_options, table
from pipeline.cli.schedule_store import Opened, opened
from pipeline.cli.show.schedules import print_history, print_plans
from pipeline.config import load_settings
from pipeline.errors import CauceError, UsageError
from pipeline.extensions import spans as spans_module
from pipeline.loading import Definition, find_project, load_definition
from pipeline.metadata import EMPTY, MetadataStore, redacted, sqlite_file
from pipeline.planning import plan
from pipeline.runner import RunOptions, new_run_id, run_info
from pipeline.schedule import install as installing
from pipeline.schedule import operations
from pipeline.schedule.answering import Answerer
from pipeline.schedule.daemon import Daemon, Helper
from pipeline.schedule.keeping import Keeper
from pipeline.schedule.logs import set_up
from pipeline.schedule.model import Schedule, TickState
from pipeline.schedule.notifying import Notifier, Teller
from pipeline.schedule.reports import tick_report
from pipeline.schedule.runs import CauceRuns
from pipeline.schedule.secrets import variables
from pipeline.schedule.targets import references
from pipeline.schedule.triggers import Webhook
from pipeline.storage import Storage

PORT = 8751
_FOLLOW = 0.5


def _hidden(known: Opened) -> set[str]:
    """Returns the names of the variables that hold secrets of schedules."""
    found = [trigger.token for schedule in known.state.schedules() for trigger in schedule.triggers if isinstance(trigger, Webhook)]
    found += [reference for schedule in known.state.schedules() for target in schedule.targets for reference in references(target)]
    return variables(found)


def daemon(known: Opened, *, places: int, once: bool = False, port: int | None = None, only: frozenset[int] | None = None) -> Daemon:
    """Returns a daemon with all that works beside it; without a port it does not answer."""
    Storage(known.settings.root_path)
    runs = CauceRuns(known.settings.root_path, known.settings.metadata_url, hidden=lambda: _hidden(known))
    helpers: list[Helper] = [Answerer(known.state, known.clock, port)] if port is not None else []
    helpers += [Notifier(known.state, known.clock), Keeper(known.state, runs, known.clock)]
    tell = Teller(known.settings.root_path.resolve(), runs.log)
    watcher = known.watcher
    watcher.store = runs.store
    return Daemon(known.state, runs, watcher, known.clock, places=places, once=once, only=only, tell=tell, helpers=helpers)


@click.command()
@click.option("--once", is_flag=True, help="Do what is due now, wait for its end, and leave: for a crontab.")
@click.option(
    "--max-runs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="How many runs may go on at once, over all schedules.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    metavar="N",
    help="Where to answer on loopback: /health, /metrics, /hooks/NAME; 0 for nowhere.",
)
@click.option("--log-json", is_flag=True, help="Log JSON, an object a line.")
@click.option(
    "--log-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Log there, in files of 10 MB of which five are kept, instead of stderr.",
)
@store_options
def run(once: bool, max_runs: int, port: int, log_json: bool, log_file: Path | None, root: str | None, metadata: str | None) -> int:
    """Be the daemon: find what is due, start runs, watch over them. In the foreground; stop it with Ctrl-C or SIGTERM.

    One daemon works on a database; a second one waits, and takes over when the first is gone. Runs that are stopped with it are resumed by
    the next one; after `kill -9` they go on, and the next one takes them over.

    \b
    Examples:
      cauce schedule run
      cauce schedule run --max-runs 2 --log-json --log-file /var/log/cauce.log
      cauce schedule run --once
    """
    set_up(as_json=log_json, file=log_file)
    known = opened(root, metadata)
    works = daemon(known, places=max_runs, once=once, port=port if port and not once else None)
    _stop_on_signals(works)
    holder = works.run()
    if holder is None:
        return 0
    if holder.once:
        return 0  # of the same crontab: its runs take longer than a minute
    raise UsageError(
        f"A daemon works already: process {holder.pid} on {holder.host}.", hint="It does what is due. See it: cauce schedule status"
    )


def _stop_on_signals(works: Daemon) -> None:
    def stop(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second Ctrl-C does not wait for the runs
        works.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


@click.command()
@click.argument("name")
@click.option("--spans", required=True, metavar="SPANS", help="Which spans: 1..12, 3, or 1..3,7.")
@click.option("--dry-run", is_flag=True, help="Show for each span what would run and what is cached; run nothing.")
@store_options
@json_option
def backfill(name: str, spans: str, dry_run: bool, root: str | None, metadata: str | None, as_json: bool) -> int:
    """Run the schedule NAME once for each of some spans of the past, in order.

    Where a daemon works, it runs them, and this command follows; else this command runs them itself. Exit code 1 where one failed.

    \b
    Examples:
      cauce schedule backfill taxi --spans 1..12 --dry-run
      cauce schedule backfill taxi --spans 1..12
    """
    known = opened(root, metadata)
    schedule = known.state.schedule(name)
    definition = load_definition(Path(schedule.definition))
    nodes = _nodes(definition)
    numbers = operations.spans_of(spans)
    _check_spans(definition, numbers)
    if dry_run:
        plans = [_plan(known, schedule, nodes, span) for span in numbers]
        if as_json:
            print_json(plans)
        else:
            print_plans(plans, console())
        return 0
    ticks = operations.backfill(known.state, schedule, nodes, numbers, known.clock.now())
    _work_off(known, ticks)
    ended = known.state.ticks(ids=ticks)
    attempts = known.state.attempts(ticks)
    reports = [tick_report(tick, schedule.name, attempts[tick.id]) for tick in ended]
    if as_json:
        print_json([report.as_json() for report in reports])
    else:
        print_history(reports, console(), named=False)
    return int(any(tick.state is not TickState.DONE for tick in ended))


def _nodes(definition: Definition) -> tuple[str, ...]:
    nodes = tuple(node.id for node in operations.span_nodes(definition.pipeline))
    if not nodes:
        raise UsageError(f"No node of '{definition.pipeline.name}' has a parameter 'span', so it cannot be run span by span.")
    return nodes


def _check_spans(definition: Definition, numbers: Sequence[int]) -> None:
    """Refuses spans that are not there, before anything is run."""
    for node in operations.span_nodes(definition.pipeline):
        there = {found.span for found in spans_module().available(node.parameters["input"], definition.project, ready=None, now=None)}
        missing = [number for number in numbers if number not in there]
        if missing:
            known = f"{min(there)}..{max(there)}" if there else "none"
            raise UsageError(
                f"Node '{node.id}' has no span {', '.join(map(str, missing[:5]))}{' and others' if len(missing) > 5 else ''}.",
                hint=f"Its spans: {known}, from {node.parameters['input']}",
            )


def _plan(known: Opened, schedule: Schedule, nodes: Sequence[str], span: int) -> dict[str, Any]:
    """Returns what a run for a span would do now."""
    options = RunOptions(
        known.settings.root_path,
        known.settings.metadata_url,
        settings={**schedule.settings, **{f"{node}.span": str(span) for node in nodes}},
    )
    definition = load_definition(Path(schedule.definition))
    file = sqlite_file(options.metadata)
    store = MetadataStore(EMPTY if file is not None and not file.exists() else options.metadata)
    try:
        info = run_info(definition, options, new_run_id())
        planned = plan(definition.pipeline, info, store, Storage(options.root, create=False))
    except CauceError as error:
        return {"span": span, "error": error.message, "nodes": []}
    rows = [{"id": node.node, "action": node.decision.action.value, "reasons": list(node.decision.reasons)} for node in planned]
    return {"span": span, "error": None, "nodes": rows}


def _work_off(known: Opened, ticks: Sequence[int]) -> None:
    """Waits until a daemon has done ticks; where none works, does them here."""
    said: dict[int, str] = {}
    while True:
        open = [tick for tick in known.state.ticks(ids=ticks) if tick.state.is_open]
        for tick in known.state.ticks(ids=ticks):
            text = f"{tick.cause}: {tick.state.value}{f', {tick.reason}' if tick.reason else ''}"
            if tick.state is not TickState.WAITING and said.get(tick.id) != text:
                said[tick.id] = text
                click.echo(text, err=True)
        if not open:
            return
        if known.reports.daemon().state == "none":
            set_up(as_json=False, file=None)
            works = daemon(known, places=1, once=True, only=frozenset(ticks))
            _stop_on_signals(works)
            works.run()
            if works.was_stopped:
                raise UsageError("The backfill was stopped.", hint="The daemon goes on with it: cauce schedule run")
        else:
            time.sleep(_FOLLOW)


@click.command("install")
@click.option("--system", is_flag=True, help="For the machine (needs root), not for this user.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the unit there.")
@click.option("--print", "printed", is_flag=True, help="Print the unit, write nothing.")
@click.option("--force", is_flag=True, help="Write over a unit that is different.")
@click.option("--max-runs", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="As of `cauce schedule run`.")
@store_options
def install(system: bool, output: Path | None, printed: bool, force: bool, max_runs: int, root: str | None, metadata: str | None) -> None:
    """Write a unit of systemd that starts the daemon with the machine, and print the line of a crontab for those who have none.

    \b
    Examples:
      cauce schedule install
      cauce schedule install --system --print
    """
    settings = load_settings(Path.cwd(), {"root": root, "metadata": metadata})
    folder = (find_project(Path.cwd()) or Path.cwd()).resolve()
    environment = {"CAUCE_ROOT": str(settings.root_path)}
    secret = redacted(settings.metadata_url) != settings.metadata_url
    if settings.metadata.origin != "default" and not secret:
        environment["CAUCE_METADATA"] = settings.metadata_url
    options = ["--max-runs", str(max_runs)] if max_runs != 1 else []
    text = installing.unit_text(folder, environment, options, system=system)
    if printed:
        click.echo(text, nl=False)
        return
    file = output or installing.unit_file(system=system)
    changed = installing.write_unit(file, text, force=force)
    click.echo(f"{'Wrote' if changed else 'There was already'} {file}")
    control = "systemctl" if system else "systemctl --user"
    steps = [f"{control} daemon-reload", f"{control} enable --now {installing.UNIT}"]
    steps += [] if system else [f"loginctl enable-linger {os.environ.get('USER', '$USER')}"]
    console().print(table(["next"], [[step] for step in steps]))
    click.echo(f"\nWithout systemd, as a line of your crontab (crontab -e):\n{installing.crontab_line(folder, environment, options)}")
    if secret:
        click.echo(
            f"\nThe URL of the store holds a password, which is in neither: put CAUCE_METADATA=... into {folder / 'cauce.env'}", err=True
        )
