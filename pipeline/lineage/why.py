"""Why things are as they are: why a node ran again or not, why a model was blessed, pushed, or not, step by step back to the cause.

What is told was decided when it happened and stands in the metadata store; nothing is judged anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.artifacts import Artifact
from pipeline.lineage.explanation import Explanation, Step, step_of, unstopped
from pipeline.lineage.finding import Found, find_node
from pipeline.lineage.why_model import explain_model, model_of, origin_of
from pipeline.metadata import MetadataStore
from pipeline.outcome import NodeState
from pipeline.records import SKIPPED, Execution, Run, RunState
from pipeline.reports import RUNNING, NodeReport, nodes_of_run
from pipeline.resolution import WAS_SKIPPED

_CHANGED_INPUT = re.compile(r"\binput (\w+) (?:changed|is new|is gone)")
_NAMED_NODE = re.compile(r"^(?:the run is blocked by )?([\w-]+)")
_UNTOLD = ("valid", "blessed", "pushed", "retrain", "evaluated", SKIPPED)
"""Verdicts that are no news where somebody asks why a run ended as it did."""
_SETTLED = (NodeState.DONE.value, NodeState.CACHED.value, NodeState.SELECTED.value)
_QUESTIONS = {
    NodeState.DONE.value: "Why did {} run?",
    NodeState.CACHED.value: "Why did {} not run again?",
    NodeState.SELECTED.value: "Why did {} select this?",
    NodeState.SKIPPED.value: "Why was {} skipped?",
    NodeState.BLOCKED.value: "Why did {} block the run?",
    NodeState.FAILED.value: "Why did {} fail?",
    NodeState.CANCELED.value: "Why was {} stopped?",
    NodeState.NOT_RUN.value: "Why did {} not run?",
    RUNNING: "Why does {} run?",
    "waits": "Why has {} not begun?",
}
_ENDS = {
    RunState.RUNNING: "It goes on",
    RunState.DONE: "It is done",
    RunState.FAILED: "It failed",
    RunState.BLOCKED: "It was blocked",
    RunState.INTERRUPTED: "It was interrupted",
}


def explain(store: MetadataStore, found: Found) -> Explanation:
    """Returns why a run, node, execution or artifact is as it is."""
    if found.artifact is not None:
        return _artifact(store, found.artifact)
    if found.execution is not None:
        return _execution(store, found.execution)
    if found.run is None:
        raise ValueError("Expected something that was found.")
    return _run(store, found.run) if found.node is None else _node(store, found.run, found.node)


@dataclass(frozen=True)
class _Nodes:
    """The nodes of a run."""

    store: MetadataStore
    run: Run

    @cached_property
    def by_id(self) -> dict[str, NodeReport]:
        return {node.id: node for node in nodes_of_run(self.store, self.run)}

    @cached_property
    def maker(self) -> dict[int, str]:
        """The node of this run that each artifact came from."""
        return {id: node.id for node in self.by_id.values() for ids in (node.outputs or {}).values() for id in ids}

    def step(self, node: NodeReport, role: str) -> Step:
        known = node.execution
        outputs = tuple(id for ids in (node.outputs or {}).values() for id in ids)
        if known is None:
            return Step(role, node.id, self.run.id, node.state, node.reasons)
        return step_of(known, role, outputs)

    def causes(self, node: NodeReport) -> list[NodeReport]:
        """Returns the nodes of the run because of which a node ran, was skipped or did not run."""
        names = [self.maker[id] for id in self._changed_inputs(node) if id in self.maker]
        if not names and node.state not in _SETTLED:
            names = [match[1] for reason in node.reasons if (match := _NAMED_NODE.match(reason))]
            names += [name for reason in node.reasons for name in re.findall(r"blocked by ([\w-]+)", reason)]
        return [self.by_id[name] for name in dict.fromkeys(names) if name in self.by_id and name != node.id]

    def _changed_inputs(self, node: NodeReport) -> Iterator[int]:
        for name in (name for reason in node.reasons for name in _CHANGED_INPUT.findall(reason)):
            yield from (node.inputs or {}).get(name, ())

    def chain(self, first: NodeReport) -> list[Step]:
        """Returns the steps from a node back to the causes, each once, nearest first."""
        steps, seen, waiting = [], {first.id}, [(first, "it")]
        while waiting:
            node, role = waiting.pop(0)
            steps.append(self.step(node, role))
            settled = node is not first and node.state in (NodeState.BLOCKED.value, NodeState.FAILED.value)
            for cause in () if settled else self.causes(node):
                if cause.id not in seen:
                    seen.add(cause.id)
                    waiting.append((cause, f"because of it {node.id} {_past(node.state)}"))
        return steps


def _past(state: str) -> str:
    told = {NodeState.DONE.value: "ran", NodeState.FAILED.value: "failed", NodeState.BLOCKED.value: "blocked the run"}
    return told.get(state) or {RUNNING: "runs", NodeState.NOT_RUN.value: "did not run", "waits": "waits"}.get(state, f"was {state}")


def _run(store: MetadataStore, run: Run) -> Explanation:
    nodes = _Nodes(store, run)
    telling = [node for node in nodes.by_id.values() if _tells(node)]
    left = [node for node in nodes.by_id.values() if node.state == NodeState.NOT_RUN.value]
    verdicts = [node for node in telling if node.execution and node.execution.verdict and node.execution.verdict not in _UNTOLD]
    answer = [f"{_ENDS[run.state]}{f': {run.reason}' if run.reason else '.'}"]
    told = [(f"{node.id}: {node.execution.verdict}", unstopped(node.execution.verdict_reasons)) for node in verdicts if node.execution]
    answer += [f"{decided}: {reasons}" for decided, reasons in told if reasons.split("; ")[0] not in run.reason]
    answer += [f"So {', '.join(node.id for node in left)} did not run."] if left else []
    failed = next((node for node in telling if node.state in (NodeState.FAILED.value, NodeState.BLOCKED.value)), None)
    following = f"cauce why {run.id}/{(failed or verdicts[0]).id}" if failed or verdicts else f"cauce runs show {run.id}"
    ended = "did run {} of {} end as it did?" if run.state is not RunState.RUNNING else "does run {} of {} go on?"
    question = f"Why {ended}".format(run.id, run.pipeline)
    return Explanation(f"run {run.id}", question, tuple(answer), tuple(nodes.step(node, _role(node)) for node in telling), following)


def _tells(node: NodeReport) -> bool:
    """Returns whether a node bears on how its run ended: it worked, decided, failed, or was left out by its own reason."""
    if node.state in (NodeState.NOT_RUN.value, "waits") or (node.state == NodeState.SKIPPED.value and WAS_SKIPPED in "".join(node.reasons)):
        return False
    return node.state not in (NodeState.CACHED.value, NodeState.SELECTED.value) or bool(node.execution and node.execution.verdict)


def _role(node: NodeReport) -> str:
    verdict = node.execution.verdict if node.execution and node.state != NodeState.SKIPPED.value else ""
    return f"decided: {verdict}" if verdict else _past(node.state)


def _node(store: MetadataStore, run: Run, node: NodeReport) -> Explanation:
    nodes = _Nodes(store, run)
    steps = nodes.chain(node)
    known = node.execution
    if node.state == NodeState.CACHED.value and known is not None:
        steps += [step_of(origin, "made what was reused") for origin in store.executions([int(known.properties.get("cached_from", 0))])]
    question = _QUESTIONS.get(node.state, "Why is {} as it is?").format(node.id)
    return Explanation(f"{node.id} in run {run.id}", question, _answer(node, steps), tuple(steps), _next(run, node))


def _unsaid(node: NodeReport) -> str:
    return "the nodes that it needs are not done yet" if node.state == "waits" else "no reason is recorded"


def _answer(node: NodeReport, steps: Sequence[Step]) -> tuple[str, ...]:
    known = node.execution
    blocked = known is not None and node.state == NodeState.BLOCKED.value
    told = [known.error.splitlines()[0]] if known is not None and known.error else [unstopped(node.reasons) or _unsaid(node)]
    if known is not None and blocked:
        told = [unstopped(known.verdict_reasons), f"It ran because {told[0]}"]
    root = steps[-1] if len(steps) > 1 and steps[-1].role.startswith("because") else None
    if root is not None and (root.reasons or root.error):
        told.append(
            f"It comes from {root.node}: {root.error.splitlines()[0] if root.error else unstopped(root.verdict_reasons or root.reasons)}"
        )
    if known is not None and known.verdict and not blocked and node.state != NodeState.SKIPPED.value:
        told.append(f"It decided: {known.verdict}: {unstopped(known.verdict_reasons)}")
    return tuple(told)


def _next(run: Run, node: NodeReport) -> str:
    known = node.execution
    outputs = [id for ids in (node.outputs or {}).values() for id in ids]
    if known is not None and known.error and known.log:
        return f"cauce logs {run.id} {node.id}"
    if node.state == NodeState.BLOCKED.value and outputs:
        return f"cauce artifacts show {outputs[-1]}"
    return f"cauce lineage {outputs[-1]}" if outputs else f"cauce runs show {run.id}"


def _execution(store: MetadataStore, execution: Execution) -> Explanation:
    """Explains an execution as the node of its run; one that is not its run's latest, or was done by hand, alone."""
    run = next((run for run in store.runs() if run.id == execution.run), None)
    node = find_node(store, run, execution.node) if run is not None else None
    if run is not None and node is not None and node.execution is not None and node.execution.id == execution.id:
        return _node(store, run, node)
    step = step_of(execution, "it", [event.artifact for event in store.events_of_executions([execution.id]) if event.kind.is_output])
    question = _QUESTIONS.get(step.state, "Why is {} as it is?").format(execution.node)
    told = unstopped(execution.reasons) or execution.error or "no reason is recorded"
    return Explanation(f"execution {execution.id}", question, (told,), (step,), f"cauce runs show {execution.run}")


def _artifact(store: MetadataStore, artifact: Artifact) -> Explanation:
    model = model_of(store, artifact)
    if model is not None:
        return explain_model(store, model, artifact)
    name = f"{artifact.type_name} {artifact.id}"
    origin = origin_of(store, artifact)
    if origin is None:
        return Explanation(
            name, f"Why is there {name}?", ("Nothing is known of how it was made.",), (), f"cauce artifacts show {artifact.id}"
        )
    explanation = _execution(store, origin)
    verdict = f"{origin.node} decided: {origin.verdict}: {unstopped(origin.verdict_reasons)}" if origin.verdict else ""
    answer = (f"{origin.node} made it in run {origin.run}: {unstopped(origin.reasons)}", *([verdict] if verdict else []))
    return Explanation(name, f"Why is there {name}?", answer, explanation.steps, f"cauce lineage {artifact.id}")
