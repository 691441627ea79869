"""`cauce schedule`: the verbs that list, show and change schedules; those that add and run them are in modules of their own."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.common import Verbs, console, json_option, limit_of, limit_option, print_json, store_options
from pipeline.cli.schedule_add import add
from pipeline.cli.schedule_run import backfill, install, run
from pipeline.cli.schedule_store import opened
from pipeline.cli.show.schedules import print_history, print_list, print_schedule, print_status
from pipeline.config import load_settings
from pipeline.errors import UsageError
from pipeline.schedule import operations
from pipeline.schedule.reports import Reports


def _reports(root: str | None, metadata: str | None) -> Reports:
    return Reports(load_settings(Path.cwd(), {"root": root, "metadata": metadata}).metadata_url)


@click.group(cls=Verbs)
def schedule() -> None:
    """Run pipelines by the clock, on new data, on drift; unattended.

    A schedule has triggers; each gives ticks; each tick says why it did or did not start a run. The daemon is `cauce schedule run`.

    \b
    Examples:
      cauce schedule add taxi examples/taxi --cron "0 6 * * *" --on-span input
      cauce schedule run
      cauce schedule history taxi
    """


@schedule.command("list")
@store_options
@json_option
def list_schedules(root: str | None, metadata: str | None, as_json: bool) -> None:
    """List the schedules, each with its next time and what its last tick did.

    \b
    Example:
      cauce schedule list
    """
    found = _reports(root, metadata).schedules()
    if as_json:
        print_json([report.as_json() for report in found])
    elif found:
        print_list(found, console())
    else:
        click.echo("There are no schedules. Make one: cauce schedule add NAME PATH --cron '0 6 * * *'", err=True)


@schedule.command()
@click.argument("name")
@store_options
@json_option
def show(name: str, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Show the schedule NAME: its triggers, its policies, its next five times, its last ticks.

    \b
    Example:
      cauce schedule show taxi
    """
    report = _reports(root, metadata).schedule(name)
    if as_json:
        print_json(report.as_json())
    else:
        print_schedule(report, console())


@schedule.command()
@click.argument("name", required=False)
@limit_option("ticks")
@store_options
@json_option
def history(name: str | None, limit: int | None, root: str | None, metadata: str | None, as_json: bool) -> None:
    """List the ticks of the schedule NAME, or of all: what each came from, what became of it, and why.

    \b
    Examples:
      cauce schedule history taxi
      cauce schedule history --limit 100
    """
    found = _reports(root, metadata).history(name, limit=limit_of(limit, as_json=as_json))
    if as_json:
        print_json([tick.as_json() for tick in found])
    elif found:
        print_history(found, console(), named=name is None)
    else:
        click.echo("No tick has come yet.", err=True)


@schedule.command()
@store_options
@json_option
def status(root: str | None, metadata: str | None, as_json: bool) -> int:
    """Show whether a daemon works, what runs, and what waits. It leaves with code 1 where none works.

    \b
    Example:
      cauce schedule status
    """
    report = _reports(root, metadata).daemon()
    if as_json:
        print_json(report.as_json())
    else:
        print_status(report, console())
    return 0 if report.state == "working" else 1


@schedule.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why; it is shown, and recorded with each tick that is skipped.")
@store_options
@json_option
def pause(name: str, reason: str, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Let the schedule NAME start nothing until it is resumed. A run that goes on is not stopped.

    \b
    Example:
      cauce schedule pause taxi --reason "the meters are being exchanged"
    """
    known = opened(root, metadata)
    if not reason.strip():
        raise UsageError("--reason is empty. Expected why, in a few words.")
    known.state.pause(known.state.schedule(name), reason.strip())
    _said(name, "paused", f"{name} is paused. Go on: cauce schedule resume {name}", as_json=as_json)


@schedule.command()
@click.argument("name")
@store_options
@json_option
def resume(name: str, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Let the schedule NAME go on. Times that came while it was paused are not made up for; spans, files and artifacts are found now.

    \b
    Example:
      cauce schedule resume taxi
    """
    known = opened(root, metadata)
    found = known.state.schedule(name)
    if found.paused is not None:
        operations.go_on(known.state, found, known.clock.now())
    text = f"{name} goes on. Its next times: cauce schedule show {name}" if found.paused is not None else f"{name} is not paused."
    _said(name, "active", text, as_json=as_json)


@schedule.command()
@click.argument("name")
@store_options
@json_option
def remove(name: str, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Remove the schedule NAME with its history. Runs, artifacts and models stay.

    \b
    Example:
      cauce schedule remove taxi
    """
    known = opened(root, metadata)
    known.state.remove(known.state.schedule(name))
    _said(name, "removed", f"{name} is removed. Its runs are still there: cauce runs list", as_json=as_json)


@schedule.command()
@click.argument("name")
@click.option("--reason", default="", help="Why; it is recorded.")
@store_options
@json_option
def trigger(name: str, reason: str, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Make a tick of the schedule NAME now, by hand; also where it is paused, and in quiet hours.

    \b
    Example:
      cauce schedule trigger taxi --reason "labels were corrected"
    """
    known = opened(root, metadata)
    found = known.state.schedule(name)
    tick = operations.trigger(known.state, found, reason.strip(), known.clock.now())
    works = known.reports.daemon().state == "working"
    if as_json:
        print_json({"schedule": name, "tick": tick, "daemon": works})
        return
    click.echo(f"Tick {tick} of {name} is recorded. See what becomes of it: cauce schedule history {name}")
    if not works:
        click.echo("No daemon works. Start it: cauce schedule run, or do what is due now: cauce schedule run --once", err=True)


@schedule.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why; it is recorded.")
@store_options
@json_option
def stop(name: str, reason: str, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Stop the run of the schedule NAME that goes on; it is not tried again.

    \b
    Example:
      cauce schedule stop taxi --reason "the wrong parameters"
    """
    known = opened(root, metadata)
    found = known.state.schedule(name)
    going = [attempt for attempt in known.state.open_attempts() if attempt.schedule == found.id]
    if not going:
        raise UsageError(f"No run of schedule '{name}' goes on.", hint=f"See its ticks: cauce schedule history {name}")
    known.state.stop(going[-1], reason.strip() or "by hand")
    _said(name, "stopping", f"Run {going[-1].run} is being stopped.", as_json=as_json, run=going[-1].run)


def _said(name: str, state: str, text: str, *, as_json: bool, run: str | None = None) -> None:
    if as_json:
        print_json({"schedule": name, "state": state, "run": run})
    else:
        click.echo(text)


for command in (add, backfill, run, install):
    schedule.add_command(command)
