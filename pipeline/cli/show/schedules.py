"""How schedules, ticks and the daemon look on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from pipeline.cli.common import counted, duration, moment, table
from pipeline.schedule.reports import DaemonReport, ScheduleReport, TickReport
from pipeline.schedule.triggers import span_text
from pipeline.schedule.zones import zone_of

_STYLES = {
    "done": "green",
    "failed": "red",
    "blocked": "red",
    "running": "bold",
    "skipped": "yellow",
    "replaced": "yellow",
    "waiting": "cyan",
}
_ACTIONS = {"cached": "reused", "selected": "reused", "run": "run", "waits": "perhaps", "skipped": "skipped", "done": "reused"}


def print_list(schedules: Sequence[ScheduleReport], screen: Console) -> None:
    """Prints a line for each schedule."""
    rows = [_line(report) for report in schedules]
    screen.print(table(["schedule", "pipeline", "next", "last", "", "why"], rows))


def _line(report: ScheduleReport) -> list[RenderableType]:
    last = report.latest[-1] if report.latest else None
    following = in_zone(report.next[0][0], report.zone) if report.next else ("paused" if report.paused is not None else "-")
    why = (report.paused or "") if report.paused is not None else (_why(last) if last else "no tick has come yet")
    problem = next((trigger.problem for trigger in report.triggers if trigger.problem), "")
    return [
        report.name,
        report.pipeline,
        following,
        in_zone(last.due, report.zone) if last else "-",
        _state(last.state) if last else Text("-"),
        why or problem,
    ]


def print_schedule(report: ScheduleReport, screen: Console) -> None:
    """Prints all that is known of a schedule."""
    screen.print(Text(f"{report.name}: {report.pipeline}", style="bold"))
    facts: list[list[RenderableType]] = [["definition", report.definition]]
    if report.paused is not None:
        facts.append(["paused", Text(report.paused, style="yellow")])
    for place, trigger in enumerate(report.triggers):
        problem = Text(f"  ({trigger.problem})" if trigger.problem else "", style="yellow")
        facts.append(["runs on" if place == 0 else "", Text(trigger.text) + problem])
    facts += [["policy" if place == 0 else "", text] for place, text in enumerate(_policy(report.policy))]
    facts += [["sets", f"{name}={value}"] for name, value in report.settings.items()]
    facts += [["notifies", target] for target in report.targets]
    if report.counts:
        facts.append(["ticks so far", ", ".join(f"{count:,} {state}" for state, count in sorted(report.counts.items()))])
    screen.print(table(["", ""], facts))
    if report.next:
        screen.print()
        screen.print(table(["next", ""], [[in_zone(due, report.zone), text] for due, text in report.next]))
    if report.latest:
        screen.print()
        print_history(report.latest, screen, named=False)


def _policy(policy: Mapping[str, Any]) -> list[str]:
    overlap = {
        "queue": "one tick waits while a run goes on",
        "skip": "what overlaps is skipped",
        "replace": "a newer tick replaces the run",
    }
    missed = {"all": "missed times are all made up for", "latest": "of missed times the latest runs", "none": "missed times are skipped"}
    gone = {
        "resume": "goes on with an interrupted run",
        "retry": "begins an interrupted run again",
        "fail": "an interrupted run has failed",
    }
    retries = f"{counted(policy['retries'], 'retry', 'retries')}"
    said = [overlap[policy["overlap"]], missed[policy["missed"]], gone[policy["interrupted"]]]
    limits = [retries + (f", the first after {span_text(policy['retry_delay'])}" if policy["retries"] else "")]
    limits.append(f"stopped after {span_text(policy['timeout'])}")
    if policy["quiet"]:
        limits.append(f"quiet {policy['quiet']}")
    kept = [f"history of {policy['keep_history']:g} days"]
    if policy["keep_runs"]:
        kept.append(f"gc keeps {counted(policy['keep_runs'], 'run')} of each pipeline")
    return ["; ".join(said), "; ".join(limits), "; ".join(kept)]


def print_history(ticks: Sequence[TickReport], screen: Console, *, named: bool) -> None:
    """Prints a line for each tick."""
    names = ["schedule"] if named else []
    rows: list[list[RenderableType]] = []
    for tick in ticks:
        own: list[RenderableType] = [tick.schedule] if named else []
        seconds = tick.attempts[-1].seconds if tick.attempts else None
        rows.append(
            [
                str(tick.id),
                *own,
                moment(tick.due),
                _state(tick.state),
                duration(seconds) if seconds else "",
                tick.run or "",
                tick.cause,
                _why(tick),
            ]
        )
    screen.print(table(["tick", *names, "due", "", "took", "run", "because of", "why"], rows, right=["tick", "took"]))


def _why(tick: TickReport) -> str:
    return "" if tick.state == tick.reason == "done" else tick.reason


def _state(state: str) -> Text:
    return Text(state, style=_STYLES.get(state, ""))


def print_status(report: DaemonReport, screen: Console) -> None:
    """Prints what the daemon does."""
    facts: list[list[RenderableType]] = []
    if report.state == "none":
        facts.append(["daemon", Text("none works. Start it: cauce schedule run", style="yellow")])
    else:
        text = f"process {report.pid} on {report.host}, since {moment(report.since)}"
        silent = f"gives no sign of life since {moment(report.seen)}: {text}"
        facts.append(
            ["daemon", Text(silent if report.state == "silent" else text, style="yellow" if report.state == "silent" else "green")]
        )
        facts.append(["answers", f"http://127.0.0.1:{report.port}/health" if report.port else "nowhere"])
    facts.append(["last tick", moment(report.last_tick)])
    places = f" of {report.places}" if report.places else ""
    facts.append(["running", f"{len(report.running)}{places}{': ' if report.running else ''}{', '.join(report.running)}"])
    facts.append(["waiting", counted(report.waiting, "tick")])
    screen.print(table(["", ""], facts))


def print_plans(plans: Sequence[Mapping[str, Any]], screen: Console) -> None:
    """Prints for each span which nodes would run, and which results are there already."""
    rows: list[list[RenderableType]] = []
    for plan in plans:
        by_action: dict[str, list[str]] = {}
        for node in plan["nodes"]:
            by_action.setdefault(_ACTIONS[node["action"]], []).append(node["id"])
        cells = [", ".join(by_action.get(action, ())) or "-" for action in ("run", "perhaps", "reused")]
        rows.append([str(plan["span"]), *cells] if plan["error"] is None else [str(plan["span"]), Text(plan["error"], style="red"), "", ""])
    screen.print(table(["span", "would run", "perhaps, if what is before it changes", "is there already"], rows, right=["span"]))


def in_zone(milliseconds: int, zone: str) -> str:
    """Returns a time by the clock of a zone, to the second, with its offset."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(zone_of(zone)).isoformat(sep=" ", timespec="seconds")
