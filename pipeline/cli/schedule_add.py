"""`cauce schedule add`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from pipeline.cli.common import console, json_option, print_json, store_options
from pipeline.cli.schedule_store import opened
from pipeline.cli.show.schedules import print_schedule
from pipeline.component import resolve_path
from pipeline.errors import UsageError
from pipeline.loading import Definition, load_definition
from pipeline.schedule import operations
from pipeline.schedule.model import Interrupted, Missed, Overlap, Policy, Schedule
from pipeline.schedule.quiet import QuietHours
from pipeline.schedule.secrets import check_reference, is_there
from pipeline.schedule.targets import read_target, references
from pipeline.schedule.triggers import (
    ArtifactMade,
    Cron,
    Drift,
    Every,
    FileChanged,
    ModelAge,
    SpanArrived,
    Trigger,
    Webhook,
    seconds_of,
)
from pipeline.schedule.zones import zone_of

F = TypeVar("F", bound=Callable[..., Any])
_INPUT = "input"


def _values(kind: Any) -> click.Choice[str]:
    return click.Choice([item.value for item in kind])


def trigger_options(command: F) -> F:
    """Adds the options that make triggers."""
    options = [
        click.option("--cron", multiple=True, metavar="EXPRESSION", help="At the times of a cron expression: '0 6 * * 1-5', @daily."),
        click.option("--every", multiple=True, metavar="TIME", help="Each 15m, 1h30m, 7d, counted from now on."),
        click.option(
            "--on-span", multiple=True, metavar="PATTERN", help="When a span is complete at a pattern; `input`: what the pipeline reads."
        ),
        click.option(
            "--ready",
            metavar="FILE|TIME",
            help="A span is complete with this file (_SUCCESS), or left alone for this time. Default: 0.5 s.",
        ),
        click.option(
            "--each-span", is_flag=True, help="Run once for each span, in order, with that span; else once with what the pipeline reads."
        ),
        click.option("--on-file", multiple=True, metavar="PATH", help="When a file comes or changes."),
        click.option(
            "--on-artifact", multiple=True, metavar="PIPELINE[:TYPE]", help="When another pipeline makes an artifact; default: PushedModel."
        ),
        click.option("--on-drift", multiple=True, metavar="PIPELINE", help="When the statistics of a pipeline have drifted."),
        click.option("--on-age", multiple=True, metavar="TIME", help="When the pushed model is older than this, and each such time after."),
        click.option("--webhook", multiple=True, metavar="TOKEN", help="When called on loopback with a token: env:NAME or file:PATH."),
        click.option(
            "--timezone", "zone", default="UTC", show_default=True, metavar="ZONE", help="Of cron and quiet hours: Europe/Berlin."
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def policy_options(command: F) -> F:
    """Adds the options that make the policy."""
    options = [
        click.option(
            "--overlap",
            type=_values(Overlap),
            default="queue",
            show_default=True,
            help="A tick while a run goes on: one waits, it is skipped, or it replaces the run.",
        ),
        click.option(
            "--missed",
            type=_values(Missed),
            default="latest",
            show_default=True,
            help="Times that no daemon was there for: which are made up for.",
        ),
        click.option(
            "--interrupted",
            type=_values(Interrupted),
            default="resume",
            show_default=True,
            help="A run whose process is gone: go on with it, begin again, or count it as failed.",
        ),
        click.option(
            "--retries",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            metavar="N",
            help="How often a failed run is tried again.",
        ),
        click.option(
            "--retry-delay", default="1m", show_default=True, metavar="TIME", help="Before the first retry; doubled each time, up to 1h."
        ),
        click.option("--timeout", default="1d", show_default=True, metavar="TIME", help="After this a run is stopped, and has failed."),
        click.option("--quiet", metavar="HOURS", help="Start nothing between 22:00-06:00; what is due waits."),
        click.option("--keep-runs", type=click.IntRange(min=1), metavar="N", help="Once a day, run `cauce gc --keep N --apply`."),
        click.option(
            "--keep-history",
            type=click.FloatRange(min=1),
            default=90,
            show_default=True,
            metavar="DAYS",
            help="Keep ticks one by one; older ones are only counted.",
        ),
        click.option(
            "--set", "settings", multiple=True, metavar="NODE.PARAMETER=VALUE", help="Set a parameter in its runs; may be repeated."
        ),
        click.option("--notify", multiple=True, metavar="TARGET", help="EVENTS KIND ADDRESS [OPTION=VALUE ...]; see docs/scheduling.md."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path))
@trigger_options
@policy_options
@store_options
@json_option
def add(name: str, path: Path, root: str | None, metadata: str | None, as_json: bool, **given: Any) -> None:
    """Add a schedule NAME that runs the pipeline defined at PATH. Definition, triggers and settings are checked at once.

    \b
    Examples:
      cauce schedule add taxi examples/taxi --cron "0 6 * * 1-5" --timezone America/Chicago
      cauce schedule add taxi examples/taxi --on-span input --ready _SUCCESS --retries 2
      cauce schedule add taxi examples/taxi --on-age 7d --quiet 22:00-06:00 --notify "failed,blocked command ./page.sh"
    """
    definition = load_definition(path)
    settings = _settings(given["settings"])
    definition.pipeline.set_parameters(settings)
    known = opened(root, metadata, start=path)
    zone_of(given["zone"])
    now = known.clock.now()
    schedule = Schedule(
        id=0,
        name=name,
        pipeline=definition.pipeline.name,
        definition=str(definition.file),
        triggers=tuple(_triggers(definition, given, now)),
        zone=given["zone"],
        policy=_policy(given),
        settings=settings,
        span_nodes=_span_nodes(definition, given),
        targets=tuple(read_target(text) for text in given["notify"]),
        created=now,
    )
    made = operations.add(known.state, known.watcher, schedule)
    report = known.reports.schedule(name)
    if as_json:
        print_json(report.as_json())
    else:
        print_schedule(report, console())
    _warn(made, works=known.reports.daemon().state == "working")


def _warn(schedule: Schedule, *, works: bool) -> None:
    secrets = [trigger.token for trigger in schedule.triggers if isinstance(trigger, Webhook)]
    for reference in [*secrets, *(found for target in schedule.targets for found in references(target))]:
        if not is_there(reference):
            click.echo(f"{reference} holds nothing here. The daemon needs it.", err=True)
    if not works:
        click.echo("No daemon works. Start it: cauce schedule run; or let the machine do it: cauce schedule install", err=True)


def _settings(texts: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set expects NODE.PARAMETER=VALUE. Received: {text!r}")
        found[name] = value
    return found


def _policy(given: Mapping[str, Any]) -> Policy:
    return Policy(
        overlap=Overlap(given["overlap"]),
        missed=Missed(given["missed"]),
        interrupted=Interrupted(given["interrupted"]),
        retries=given["retries"],
        retry_delay=seconds_of(given["retry_delay"]),
        timeout=seconds_of(given["timeout"]),
        quiet=QuietHours(given["quiet"], given["zone"]) if given["quiet"] else None,
        keep_runs=given["keep_runs"],
        keep_history=given["keep_history"],
    )


def _triggers(definition: Definition, given: Mapping[str, Any], now: int) -> list[Trigger]:
    pipeline, here = definition.pipeline.name, Path.cwd()
    found: list[Trigger] = [Cron(expression, given["zone"]) for expression in given["cron"]]
    found += [Every(seconds_of(text), now) for text in given["every"]]
    for pattern in given["on_span"]:
        found += _input_spans(definition, given["ready"]) if pattern == _INPUT else [_spans(pattern, definition, given["ready"])]
    found += [FileChanged(str(resolve_path(here, path))) for path in given["on_file"]]
    for text in given["on_artifact"]:
        other, _, kind = text.partition(":")
        found.append(ArtifactMade(other, kind or "PushedModel"))
    found += [Drift(other) for other in given["on_drift"]]
    found += [ModelAge(pipeline, seconds_of(text)) for text in given["on_age"]]
    for token in given["webhook"]:
        check_reference(token, "--webhook")
        found.append(Webhook(token))
    if given["ready"] and not given["on_span"]:
        raise UsageError("--ready is of spans, and there is no --on-span.", hint="Add --on-span input, or --on-span PATTERN")
    return found


def _ready(text: str | None) -> str | float:
    """Returns a name of a file as it is, a time in seconds."""
    if text is None:
        return 0.5
    try:
        return seconds_of(text)
    except UsageError:
        return text


def _spans(pattern: str, definition: Definition, ready: str | None) -> SpanArrived:
    if "{" not in pattern:
        hint = f"Its place is written {{SPAN}}, or {{YYYY}}-{{MM}}-{{DD}}; `--on-span {_INPUT}` takes what the pipeline reads."
        raise UsageError(f"--on-span expects a pattern that names spans. Received: {pattern!r}", hint=hint)
    return SpanArrived(pattern, str(definition.project), _ready(ready))


def _input_spans(definition: Definition, ready: str | None) -> list[Trigger]:
    """Returns a trigger for each node that reads spans; a span is complete when the node says so, unless the user does."""
    found: list[Trigger] = []
    for node in operations.span_nodes(definition.pipeline):
        value, own = node.parameters["input"], node.parameters.get("ready")
        if "{" in str(value).strip("{}"):
            plain = dict(value) if isinstance(value, Mapping) else value if isinstance(value, str) else list(value)
            found.append(SpanArrived(plain, str(definition.project), own if own is not None and ready is None else _ready(ready)))
    if not found:
        raise UsageError(
            f"No node of '{definition.pipeline.name}' reads spans.", hint="Give the pattern: --on-span 'data/span-{SPAN}/*.csv'"
        )
    return list({trigger.key: trigger for trigger in found}.values())


def _span_nodes(definition: Definition, given: Mapping[str, Any]) -> tuple[str, ...]:
    if not given["each_span"]:
        return ()
    nodes = tuple(node.id for node in operations.span_nodes(definition.pipeline))
    if not given["on_span"] or not nodes:
        missing = "there is no --on-span" if nodes else f"no node of '{definition.pipeline.name}' has a parameter 'span'"
        raise UsageError(f"--each-span runs once for each span, and {missing}.")
    return nodes
