"""Runs a pipeline: from its definition to the recorded result."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import secrets
import socket
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.artifacts import Property
from pipeline.definition import Pipeline
from pipeline.driver import RunInfo, driver_of
from pipeline.environment import this_environment
from pipeline.errors import MetadataError, UsageError
from pipeline.events import Both, EventLog
from pipeline.launcher import Launcher
from pipeline.loading import Definition, module_name
from pipeline.metadata import MetadataStore
from pipeline.outcome import NodeState, RunResult
from pipeline.records import RunState
from pipeline.recovery import end_run, recover
from pipeline.reporter import Reporter
from pipeline.scheduling import Progression, run_locally
from pipeline.storage import Storage
from pipeline.version import __version__
from pipeline.wording import sentences
from pipeline.workers import Workers

RUNNERS = ("local", "beam")
_ID = re.compile(r"\w[\w.-]{0,63}")


@dataclass(frozen=True)
class RunOptions:
    """How to run.

    Attributes:
        root: Root folder of artifacts.
        metadata: URL of the metadata store.
        settings: Parameters to set, `{"trainer.train_steps": "200"}`.
        start: Run from these nodes on; upstream outputs come from the latest run.
        end: Run up to these nodes.
        only: Run only these nodes.
        cache: Whether earlier results may be reused.
        rerun: Nodes whose earlier results may not be reused.
        parallel: How many nodes may run at once; the number of processors if 0.
        runner: `local` (threads and processes) or `beam` (the graph as a Beam pipeline).
        beam_args: Arguments of Beam, after those of the pipeline.
        resume: Id of a run to go on with; None for a new run.
        id: Id of the new run; empty for one that is made up.
        span: The span, or the range of spans, that the nodes read which read spans; None for what the definition says.
    """

    root: Path
    metadata: str
    settings: Mapping[str, str] = field(default_factory=dict)
    start: tuple[str, ...] = ()
    end: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    cache: bool = True
    rerun: tuple[str, ...] = ()
    parallel: int = 0
    runner: str = "local"
    beam_args: tuple[str, ...] = ()
    resume: str | None = None
    id: str = ""
    span: str | None = None


def new_run_id(now: float | None = None) -> str:
    """Returns an id that sorts by time and does not repeat: `20260131-235959-3f2a9c`; of this moment, or of another."""
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime(now)) + secrets.token_hex(3)


def run_info(definition: Definition, options: RunOptions, run: str) -> RunInfo:
    """Applies the options to a definition's pipeline; returns what its nodes share.

    Raises:
        UsageError: For an unknown node or parameter.
    """
    pipeline = definition.pipeline
    pipeline.set_parameters({**_span_settings(pipeline, options.span), **options.settings})
    return RunInfo(
        pipeline=pipeline.name,
        run=run,
        project=definition.project,
        definition=definition.file,
        folders=definition.folders,
        selected=pipeline.select(start=options.start, end=options.end, only=options.only),
        beam_args=(*pipeline.beam_args, *options.beam_args),
        cache=options.cache,
        rerun=frozenset(pipeline[id].id for id in options.rerun),
    )


def _span_settings(pipeline: Pipeline, span: str | None) -> dict[str, str]:
    """Returns the settings by which all nodes that read spans read `span`."""
    if span is None:
        return {}
    reading = [node for node in pipeline.nodes if driver_of(node).reads_spans(node)]
    if not reading:
        hint = "Name them in a pattern: input='data/span-{SPAN}/*.csv'"
        raise UsageError(f"No node of pipeline '{pipeline.name}' reads spans.", hint=hint)
    return {f"{node.id}.span": span for node in reading}


def run_pipeline(definition: Definition, options: RunOptions, reporter: Reporter, *, workers: Workers | None = None) -> RunResult:
    """Runs a pipeline to its end and records how it went.

    Ctrl-C stops it cleanly and leaves a run that can be resumed.

    Args:
        definition: A loaded definition.
        options: How to run.
        reporter: Hears what happens.
        workers: Processes of executors that were started before and stay; by default the run has its own.

    Raises:
        UsageError: For wrong options, an id that a run has already, or a run that another process is doing.
        MetadataError, StorageError: If store or root cannot be opened.
    """
    if options.runner not in RUNNERS:
        raise UsageError(f"Expected a runner of: {', '.join(RUNNERS)}. Received: {options.runner!r}")
    if options.id and not _ID.fullmatch(options.id):
        raise UsageError(f"A run's id may hold letters, digits, '_', '-' and '.', at most 64. Received: {options.id!r}")
    run = options.resume or options.id or new_run_id()
    info = run_info(definition, options, run)
    storage = Storage(options.root)
    store = MetadataStore(options.metadata)
    for found in recover(store, storage):
        if found.id != run:
            reporter.note(f"Run {found.id} of '{found.pipeline}' was interrupted. Go on with it: cauce resume {found.id}")
    started = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(storage.in_use())
        stack.enter_context(storage.run_lock(run))
        # Asked under the lock: of two processes that were told to make one run, one makes it.
        if options.id and store.find_run(run) is not None:
            raise UsageError(f"There is a run {run} already.", hint=f"See it: cauce runs show {run}")
        info = replace(info, environment=storage.keep_text(this_environment().to_json(), ".json"))
        store.begin_run(info.pipeline, run, _run_properties(definition, options, storage, info))
        reporter = Both(reporter, EventLog(storage.events(run)))
        if workers is None:
            workers = Workers(storage.log(run, "worker.server"), [(module_name(definition.file), definition.file)])
            stack.callback(workers.close)
        launcher = Launcher(store, storage, info, workers, reporter, warm=modules_to_warm(definition.pipeline, info))
        reporter.run_started(info, _selected(definition.pipeline, info), str(storage.log(run, "worker.server").parent))
        progression = _run_nodes(definition.pipeline, launcher, options)
        storage.remove_empty_state(run)
        result = _result(info, progression, time.monotonic() - started)
        store.update_run(run, _ending(result))
    reporter.run_finished(result)
    return result


def _ending(result: RunResult) -> dict[str, Property]:
    """Returns what is recorded of a run at its end; nodes that did not run have no execution that could say why."""
    refusals = {outcome.node: outcome.reasons[0] for outcome in result.outcomes if outcome.state is NodeState.NOT_RUN}
    ended = int(time.time() * 1000)
    return {"state": result.state.value, "reason": result.reason, "ended": ended, "not_run": json.dumps(refusals)}


def _selected(pipeline: Pipeline, info: RunInfo) -> list[str]:
    """Returns the ids of the nodes that run, in the order of the pipeline."""
    return [node.id for node in pipeline.nodes if node.id in info.selected]


def _graph(pipeline: Pipeline, info: RunInfo) -> dict[str, list[str]]:
    """Returns the ids of the nodes that run, each with those that it waits for."""
    chosen = [node for node in pipeline.nodes if node.id in info.selected]
    return {node.id: [needed.id for needed in node.upstream if needed.id in info.selected] for node in chosen}


def _run_nodes(pipeline: Pipeline, launcher: Launcher, options: RunOptions) -> Progression:
    """Runs the nodes; an error of ours, not of a node, is recorded as the run's end before it goes on."""
    progression = Progression(pipeline, launcher.run.selected)
    parallel = options.parallel or os.cpu_count() or 1
    try:
        if options.runner == "beam":
            from pipeline.beam_runner import run_on_beam

            run_on_beam(pipeline, progression, launcher, parallel=parallel)
        else:
            run_locally(progression, launcher.launch, parallel=parallel, stop=launcher.cancel)
    except BaseException as error:
        state = RunState.INTERRUPTED if isinstance(error, KeyboardInterrupt) else RunState.FAILED
        with contextlib.suppress(MetadataError):  # the store itself may be what failed; the next command then finds the run
            end_run(launcher.store, launcher.storage, launcher.run.run, state, f"{type(error).__name__}: {error}")
        raise
    return progression


def modules_to_warm(pipeline: Pipeline, info: RunInfo) -> tuple[str, ...]:
    """Returns the modules that the nodes need, those of the first nodes first."""
    kinds = [type(node) for node in pipeline.nodes if node.id in info.selected and type(node).isolated]
    return tuple(dict.fromkeys(module for kind in kinds for module in kind.needs))


def _run_properties(definition: Definition, options: RunOptions, storage: Storage, info: RunInfo) -> dict[str, Property]:
    properties: dict[str, Property] = {
        "definition": str(definition.file),
        "root": str(storage.root),
        "host": socket.gethostname(),
        "settings": json.dumps({**_span_settings(definition.pipeline, options.span), **options.settings}),
        "nodes": json.dumps(_selected(definition.pipeline, info)),
        "graph": json.dumps(_graph(definition.pipeline, info)),
        "selection": json.dumps({"start": options.start, "end": options.end, "only": options.only}),
        "cache": int(options.cache),
        "rerun": json.dumps(options.rerun),
        "runner": options.runner,
        "beam_args": json.dumps(options.beam_args),
        "cauce_version": __version__,
        "python_version": platform.python_version(),
        "environment": info.environment,
        "reason": "",
    }
    if options.resume is None:
        properties["started"] = int(time.time() * 1000)
    return properties


def _result(info: RunInfo, progression: Progression, seconds: float) -> RunResult:
    outcomes = progression.in_order()
    by_state = {state: [outcome for outcome in outcomes if outcome.state is state] for state in NodeState}
    state, reason = RunState.DONE, ""
    if by_state[NodeState.FAILED]:
        state, reason = RunState.FAILED, "; ".join(f"{outcome.node} failed: {outcome.reasons[0]}" for outcome in by_state[NodeState.FAILED])
    elif by_state[NodeState.BLOCKED]:
        first = by_state[NodeState.BLOCKED][0]
        state, reason = RunState.BLOCKED, f"{first.node}: {sentences(first.verdict.reasons if first.verdict else ())}"
    elif progression.interrupted:
        state, reason = RunState.INTERRUPTED, "stopped by the user"
    elif outcomes and all(outcome.state in (NodeState.CACHED, NodeState.SELECTED) for outcome in outcomes):
        reason = "nothing changed"
    elif by_state[NodeState.SKIPPED]:
        skipped = by_state[NodeState.SKIPPED]
        reason = f"{', '.join(outcome.node for outcome in skipped)} skipped: {sentences(skipped[0].reasons)}"
    return RunResult(info.run, info.pipeline, state, reason, outcomes, seconds)
