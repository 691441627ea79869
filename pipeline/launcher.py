"""The life of one node: driver, executor, publisher."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.artifacts import Artifact, Property
from pipeline.cache import user_files
from pipeline.component import Component, spec_of
from pipeline.context import Context, Progress, Verdict
from pipeline.driver import Action, Decision, RunInfo, driver_of
from pipeline.errors import CauceError, DataError, DefinitionError, ExecutionError, InterruptedRunError, UsageError
from pipeline.executor import Call, Job, Result, as_cauce_error, execute, logging_to
from pipeline.metadata import MetadataStore, component_name
from pipeline.outcome import NodeState, Outcome
from pipeline.portions import MADE_PROPERTY, is_mapped, stage
from pipeline.publisher import Publisher
from pipeline.reporter import Reporter
from pipeline.resolution import ArtifactGroups, Resolution
from pipeline.storage import Storage
from pipeline.workers import Workers

# What a second try cannot mend.
_FINAL = (DataError, DefinitionError, InterruptedRunError, UsageError)

_SETTLED = {Action.CACHED: NodeState.CACHED, Action.SELECT: NodeState.SELECTED, Action.SKIP: NodeState.SKIPPED}


@dataclass
class Launcher:
    """Launches nodes of one run; from several threads at once, if wanted.

    Attributes:
        store: The metadata store.
        storage: The root folder.
        run: The run.
        workers: The processes of executors.
        reporter: Hears what happens.
        warm: Modules that later nodes need; imported early, once it is clear that something runs.
    """

    store: MetadataStore
    storage: Storage
    run: RunInfo
    workers: Workers
    reporter: Reporter
    warm: tuple[str, ...] = ()
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _warmed: threading.Event = field(default_factory=threading.Event)

    def launch(self, node: Component) -> Outcome:
        """Launches a node and returns how it ended.

        1. The driver decides; the execution is registered as RUNNING with its inputs before any work.
        2. The executor works, in staging folders; a failed one is started again as often as the node's `retries` say.
        3. The publisher makes it true, or records the failure.

        A failure is recorded in the store and is the `error` of the outcome; nothing is raised for it.
        """
        started = time.monotonic()
        execution: int | None = None
        try:
            decision = self._decide(node)
            self.reporter.node_decided(node.id, decision)
            if decision.action is Action.DONE:
                outcome = self._already_done(node, decision)
            elif decision.action is Action.RUN:
                execution = self._register(node, decision)
                outcome = self._work(node, execution, decision, started)
            else:
                outcome = self._settle(node, decision, started)
        except CauceError as error:
            outcome = self._failed(node, execution, error, started)
        except Exception as error:  # noqa: BLE001 - of a custom driver, a condition, the file system: it fails the node, not the run
            outcome = self._failed(node, execution, self._unexpected(node, error), started)
        self.reporter.node_finished(node.id, outcome)
        return outcome

    def cancel(self) -> None:
        """Stops the executors that run, and lets none start."""
        self._cancelled.set()
        self.workers.cancel()

    def _decide(self, node: Component) -> Decision:
        resolution = Resolution(self.store, self.run.pipeline, self.run.run, self.run.selected)
        return driver_of(node).decide(node, self.run, resolution, self.store, self.storage)

    def _register(self, node: Component, decision: Decision) -> int:
        """Records the execution as RUNNING, and keeps the user code that it depends on."""
        for file in user_files(node, self.run.folders):
            self.storage.keep_code(file)
        properties = {**self._properties(node, decision), "log": str(self.storage.log(self.run.run, node.id))}
        return self.store.register(self.run.pipeline, self.run.run, node.id, component_name(type(node)), properties, decision.inputs)

    def _properties(self, node: Component, decision: Decision) -> dict[str, Property]:
        """Returns what an execution says from its beginning."""
        properties: dict[str, Property] = {
            "reasons": json.dumps(decision.reasons),
            "action": decision.action.value,
            "parameters": json.dumps(decision.parameters, default=_as_json, sort_keys=True),
            "given": json.dumps(_given(node)),
            "environment": self.run.environment,
            **decision.notes,
        }
        made = [
            {"key": one.key.digest, "parameters": one.portion.parameters}
            for one in decision.portions
            if one.portion.parameters and not one.is_done
        ]
        if made:
            properties[MADE_PROPERTY] = json.dumps(made, default=_as_json, sort_keys=True)
        if decision.key is not None:
            properties |= {"cache_key": decision.key.digest, "cache_parts": decision.key.to_json()}
        return properties

    def _work(self, node: Component, execution: int, decision: Decision, started: float) -> Outcome:
        result, staged = self._execute(node, execution, decision)
        publisher = Publisher(self.store, self.storage, self.run)
        outputs = publisher.publish(node, execution, decision, result, staged, _timing(started))
        self._forget_state(node, decision)
        return self._ended(node, NodeState.DONE, decision, execution, outputs, result.verdict, started, result.peak_memory)

    def _settle(self, node: Component, decision: Decision, started: float) -> Outcome:
        """Ends a node for which there is nothing to do: a cache hit, a selection from history, a node that is skipped."""
        properties = {**self._properties(node, decision), **_timing(started)}
        execution = Publisher(self.store, self.storage, self.run).settle(node, decision, properties)
        verdict = _recorded_verdict(decision)
        return self._ended(node, _SETTLED[decision.action], decision, execution, decision.outputs, verdict, started)

    def _ended(
        self,
        node: Component,
        state: NodeState,
        decision: Decision,
        execution: int | None,
        outputs: Mapping[str, tuple[Artifact, ...]],
        verdict: Verdict | None,
        started: float,
        peak_memory: int = 0,
    ) -> Outcome:
        if verdict is not None and verdict.blocks:
            state = NodeState.BLOCKED
        log = str(self.storage.log(self.run.run, node.id)) if decision.action is Action.RUN else ""
        return Outcome(
            node.id, state, decision.reasons, execution, dict(outputs), verdict, None, time.monotonic() - started, peak_memory, log
        )

    def _already_done(self, node: Component, decision: Decision) -> Outcome:
        origin = decision.origin
        state = NodeState.BLOCKED if origin is not None and origin.blocks else NodeState.DONE
        return Outcome(node.id, state, decision.reasons, origin.id if origin else None, decision.outputs, _recorded_verdict(decision))

    def _failed(self, node: Component, execution: int | None, error: CauceError, started: float) -> Outcome:
        """Records a failure; one that came before anything was registered gets an execution of its own."""
        if execution is None:
            properties: dict[str, Property] = {"reasons": json.dumps(["its driver failed"]), "action": Action.RUN.value}
            execution = self.store.register(self.run.pipeline, self.run.run, node.id, component_name(type(node)), properties, {})
        Publisher(self.store, self.storage, self.run).fail(node, execution, error, _timing(started))
        log = self.storage.log(self.run.run, node.id)
        state = NodeState.CANCELED if isinstance(error, InterruptedRunError) else NodeState.FAILED
        return Outcome(
            node.id,
            state,
            (error.message,),
            execution,
            error=error,
            seconds=time.monotonic() - started,
            log=str(log) if log.exists() else "",
        )

    def _unexpected(self, node: Component, error: Exception) -> CauceError:
        """Returns an error that came from outside of the executor as one of ours, its traceback in the log."""
        log = self.storage.log(self.run.run, node.id)
        with contextlib.suppress(OSError):
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a", encoding="utf-8") as file:
                traceback.print_exception(error, file=file)
        return as_cauce_error(error, node.id, self.run.folders, self.storage.root)

    def _execute(self, node: Component, execution: int, decision: Decision) -> tuple[Result, ArtifactGroups]:
        """Runs the executor, again where it failed and may be tried again; raises its last error."""
        attempt = 0
        while True:
            job, staged = self._job(node, execution, decision)
            error = None
            try:
                result = self._run_once(node, job)
                error = result.error
            except ExecutionError as died:
                error = died
            if error is None:
                return result, staged
            if attempt >= node.options.retries or isinstance(error, _FINAL):
                raise error
            delay = node.options.retry_delay * 2**attempt
            attempt += 1
            self.reporter.node_retried(node.id, attempt, error.message, delay)
            if self._cancelled.wait(delay):
                raise InterruptedRunError(f"Node '{node.id}' was stopped with the run.", hint="Go on: cauce resume") from error

    def _job(self, node: Component, execution: int, decision: Decision) -> tuple[Job, ArtifactGroups]:
        """Returns the executor's job, and all outputs of the node in order: those it makes, and those made before that stay."""
        declared = spec_of(type(node))
        staging = self.storage.staging(self.run.run, execution)
        key = decision.key.digest if decision.key else str(execution)
        context = Context(
            pipeline=self.run.pipeline,
            run=self.run.run,
            node=node.id,
            execution=execution,
            project=self.run.project,
            code=self.run.folders[0] if self.run.folders else self.run.project,
            temp=staging / ".temp",
            state=self.storage.state(self.run.run, node.id, key),
            beam_args=(*self.run.beam_args, *node.options.beam_args),
        )
        inputs: dict[str, Artifact | list[Artifact] | None] = {}
        for name, wanted in declared.inputs.items():
            found = decision.inputs.get(name, ())
            inputs[name] = list(found) if wanted.many and found else next(iter(found), None)
        staged = stage(node, decision.portions, staging)
        calls: tuple[Call, ...] = ()
        if decision.portions and is_mapped(node):
            calls = tuple(
                Call(made.portion.name, {name: group[index] for name, group in staged.items()}, made.portion.parameters)
                for index, made in enumerate(decision.portions)
                if not made.is_done
            )
        outputs = {name: list(group) if declared.outputs[name].many else group[0] for name, group in staged.items()}
        return Job(type(node), inputs, outputs, decision.parameters, context, calls), staged

    def _run_once(self, node: Component, job: Job) -> Result:
        if self._cancelled.is_set():
            raise InterruptedRunError(f"Node '{node.id}' was stopped before it began.", hint="Go on: cauce resume")
        log = self.storage.log(self.run.run, node.id)

        def progress(news: Progress) -> None:
            self.reporter.node_progress(node.id, news)

        if not type(node).isolated and node.options.timeout is None:
            with logging_to(job.context.log, log):
                return execute(job, progress)
        if not self._warmed.is_set():
            self._warmed.set()
            self.workers.warm(self.warm)
        return self.workers.run(
            job,
            needs=type(node).needs,
            log=log,
            timeout=node.options.timeout,
            progress=progress,
            memory=lambda resident: self.reporter.node_memory(node.id, resident),
        )

    def _forget_state(self, node: Component, decision: Decision) -> None:
        if decision.key is not None:
            with contextlib.suppress(OSError):  # the node is done, whatever becomes of its state
                self.storage.remove(self.storage.state(self.run.run, node.id, decision.key.digest))


def _timing(started: float) -> dict[str, Property]:
    return {"seconds": round(time.monotonic() - started, 4)}


def _recorded_verdict(decision: Decision) -> Verdict | None:
    origin = decision.origin
    if origin is None or not origin.verdict:
        return None
    return Verdict(origin.verdict, origin.verdict_reasons, origin.blocks)


def _given(node: Component) -> list[str]:
    """Returns the names of the parameters that are not at their defaults."""
    declared = spec_of(type(node)).parameters
    return [name for name, value in node.parameters.items() if value != declared[name].default]


def _as_json(value: Any) -> Any:
    """Returns a parameter that JSON does not know as what it is shown as."""
    return getattr(value, "__dict__", None) or str(value)
