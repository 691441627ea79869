"""`cauce run`, `cauce plan`, `cauce resume`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from pipeline.cli.common import console, find_run, json_option, open_store, print_json, store_options
from pipeline.cli.console import JsonReporter, LineReporter, LiveReporter
from pipeline.cli.summary import print_summary, result_as_json
from pipeline.config import Settings, load_settings
from pipeline.definition import Pipeline
from pipeline.errors import UsageError
from pipeline.loading import Definition, load_definition
from pipeline.metadata import EMPTY, MetadataStore
from pipeline.outcome import RunResult
from pipeline.records import Run, RunState
from pipeline.reporter import Reporter
from pipeline.runner import RUNNERS, RunOptions, new_run_id, run_info, run_pipeline
from pipeline.storage import Storage

F = TypeVar("F", bound=Callable[..., Any])


def selection_options(command: F) -> F:
    """Adds the options that say what to run and how."""
    options = [
        click.option("--set", "settings", multiple=True, metavar="NODE.PARAMETER=VALUE", help="Set a parameter; may be repeated."),
        click.option("--span", metavar="SPAN", help="Read this span, or a range of spans (1..12), wherever spans are read."),
        click.option(
            "--from", "start", multiple=True, metavar="NODE", help="Run from this node on; what is before it comes from the latest run."
        ),
        click.option("--to", "end", multiple=True, metavar="NODE", help="Run up to this node."),
        click.option("--only", multiple=True, metavar="NODE", help="Run only this node."),
        click.option("--no-cache", is_flag=True, help="Reuse no earlier result."),
        click.option("--rerun", multiple=True, metavar="NODE", help="Reuse no earlier result of this node."),
    ]
    for option in reversed(options):
        command = option(command)
    return store_options(command)


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@selection_options
@click.option(
    "--parallel", type=click.IntRange(min=1), metavar="N", help="How many nodes may run at once; default: the number of processors."
)
@click.option("--runner", type=click.Choice(RUNNERS), help="local: threads and processes; beam: the graph as a Beam pipeline.")
@click.option(
    "--beam-arg", "beam_args", multiple=True, metavar="ARG", help="An argument of Beam for the data components, e.g. --runner=FlinkRunner."
)
@click.option("--require-push", is_flag=True, help="Leave with code 4 where no model was pushed.")
@click.option("--run-id", default="", metavar="ID", help="Id of the run; without it, one is made up. A second run of this id is refused.")
@click.option(
    "--report", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write the run into one HTML file at its end."
)
@json_option
def run(path: Path, require_push: bool, run_id: str, report: Path | None, as_json: bool, **given: Any) -> int:
    """Run the pipeline defined at PATH (a file, or a folder with definition.py).

    What did not change since an earlier run is taken from the cache; each node says why it ran.

    \b
    Examples:
      cauce run examples/taxi
      cauce run examples/taxi --set trainer.train_steps=200 --rerun Evaluator
      cauce run examples/taxi --only Trainer
      cauce run examples/taxi --span 7
      cauce run examples/taxi --report report.html
    """
    options = replace(_options(load_settings(path, _flags(given)), given), id=run_id)
    return _run(load_definition(path), options, require_push=require_push, as_json=as_json, report=report)


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@selection_options
@json_option
def plan(path: Path, as_json: bool, **given: Any) -> None:
    """Show for each node of the pipeline at PATH whether it would run, and why. Nothing is run or written.

    \b
    Example:
      cauce plan examples/taxi
    """
    from pipeline.planning import plan as planned

    options = _options(load_settings(path, _flags(given)), given)
    definition = load_definition(path)
    info = run_info(definition, options, new_run_id())
    exists = not options.metadata.startswith("sqlite:") or Path(options.metadata.removeprefix("sqlite://")).exists()
    store = MetadataStore(options.metadata if exists else EMPTY)
    nodes = planned(definition.pipeline, info, store, Storage(options.root, create=False))
    if as_json:
        rows = [
            {
                "id": n.node,
                "component": n.component,
                "action": n.decision.action.value,
                "reasons": list(n.decision.reasons),
                "portions": [portion.as_json() for portion in n.decision.portions],
            }
            for n in nodes
        ]
        print_json(rows)
        return
    from pipeline.cli.summary import plan_table

    console().print(plan_table(nodes))


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@store_options
@click.option("--require-push", is_flag=True, help="Leave with code 4 where no model was pushed.")
@json_option
def resume(run_id: str | None, root: str | None, metadata: str | None, require_push: bool, as_json: bool) -> int:
    """Go on with RUN (an id, its start, or latest), with the options that it was started with.

    What it has done already is kept; failed, interrupted and missing nodes run.

    \b
    Example:
      cauce resume
    """
    opened = open_store(root, metadata)
    found = find_run(opened.store, run_id)
    if found.state is RunState.DONE:
        click.echo(f"Run {found.id} is done; there is nothing to resume.", err=True)
        if as_json:
            print_json(result_as_json(RunResult(found.id, found.pipeline, found.state, found.reason, (), 0.0)))
        return 0
    return _run(
        load_definition(Path(str(found.properties["definition"]))),
        _resumed(found, opened.settings),
        require_push=require_push,
        as_json=as_json,
    )


def _flags(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given.get(name) for name in ("root", "metadata", "parallel", "runner", "beam_args")}


def _options(settings: Settings, given: Mapping[str, Any]) -> RunOptions:
    parameters: dict[str, str] = {}
    for text in given["settings"]:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set expects NODE.PARAMETER=VALUE. Received: {text!r}")
        parameters[name] = value
    return RunOptions(
        root=settings.root_path,
        metadata=settings.metadata_url,
        settings=parameters,
        span=given["span"],
        start=given["start"],
        end=given["end"],
        only=given["only"],
        cache=not given["no_cache"],
        rerun=given["rerun"],
        parallel=settings.parallel.value,
        runner=settings.runner.value,
        beam_args=settings.beam_args.value,
    )


def _resumed(run: Run, settings: Settings) -> RunOptions:
    """Returns the options that a run was started with."""

    def recorded(name: str) -> Any:
        return json.loads(str(run.properties[name]))

    options = RunOptions(settings.root_path, settings.metadata_url, parallel=settings.parallel.value, resume=run.id)
    return replace(
        options,
        settings=recorded("settings"),
        start=tuple(recorded("selection")["start"]),
        end=tuple(recorded("selection")["end"]),
        only=tuple(recorded("selection")["only"]),
        cache=bool(run.properties["cache"]),
        rerun=tuple(recorded("rerun")),
        runner=str(run.properties["runner"]),
        beam_args=tuple(recorded("beam_args")),
    )


def _reporter(as_json: bool) -> Reporter:
    screen = console(stderr=True)
    if as_json:
        return JsonReporter()
    return LiveReporter(screen) if screen.is_terminal else LineReporter(screen)


def _run(definition: Definition, options: RunOptions, *, require_push: bool, as_json: bool, report: Path | None = None) -> int:
    reporter = _reporter(as_json)
    try:
        result = run_pipeline(definition, options, reporter)
    finally:
        if isinstance(reporter, LiveReporter):
            reporter.stop()
    if as_json:
        print_json(result_as_json(result))
    else:
        print_summary(result, definition.pipeline, console())
    if report is not None:
        from pipeline.cli.ui import write

        write(MetadataStore(options.metadata), Storage(options.root), result.run, report)
    return _exit_code(result, definition.pipeline, require_push)


def _exit_code(result: RunResult, pipeline: Pipeline, require_push: bool) -> int:
    if result.exit_code or not require_push:
        return result.exit_code
    pushed = any(outcome.verdict is not None and outcome.verdict.kind == "pushed" for outcome in result.outcomes)
    return 0 if pushed else 4
