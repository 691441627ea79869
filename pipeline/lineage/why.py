"""Why things are as they are: why a node ran again or not, why a model was blessed, pushed, or not, step by step back to the cause.

What is told was decided when it happened and stands in the metadata store; nothing is judged anew.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.artifacts import Artifact, ArtifactState
from pipeline.display import grid, paragraph, titled
from pipeline.lineage.finding import Found, find_node
from pipeline.lineage.graph import Direction, producers, walk
from pipeline.lineage.serving import served_now
from pipeline.metadata import MetadataStore
from pipeline.outcome import NodeState
from pipeline.records import EventKind, Execution, ExecutionState, Run, RunState
from pipeline.reports import RUNNING, NodeReport, node_state, nodes_of_run

_CHANGED_INPUT = re.compile(r"\binput (\w+) (?:changed|is new|is gone)")
_NAMED_NODE = re.compile(r"^(?:the run is blocked by )?([\w-]+)")
_GOOD = ("valid", "blessed", "pushed")
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


@dataclass(frozen=True)
class Step:
    """What a node did and decided, and how that bears on the question.

    Attributes:
        role: How, in a few words: `made it`, `judged it`, `pushed it`, `because of`, ...
        node: Id of the node.
        run: Id of the run.
        state: `done`, `cached`, `failed`, ...
        reasons: Why it ran, was reused, skipped or not run.
        verdict: What it decided; empty if it decides nothing.
        verdict_reasons: Why it decided so.
        error: What went wrong; empty if nothing did.
        execution: Number of its execution; None if it has none.
        outputs: Numbers of the artifacts that came of it.
        log: Path of its log file; empty without one.
    """

    role: str
    node: str
    run: str
    state: str
    reasons: tuple[str, ...] = ()
    verdict: str = ""
    verdict_reasons: tuple[str, ...] = ()
    error: str = ""
    execution: int | None = None
    outputs: tuple[int, ...] = ()
    log: str = ""

    def as_json(self) -> dict[str, Any]:
        """Returns it as `schemas/cli/why.json` describes it."""
        return {
            "role": self.role,
            "node": self.node,
            "run": self.run,
            "state": self.state,
            "reasons": list(self.reasons),
            "verdict": {"kind": self.verdict, "reasons": list(self.verdict_reasons)} if self.verdict else None,
            "error": self.error or None,
            "execution": self.execution,
            "outputs": list(self.outputs),
            "log": self.log,
        }


@dataclass(frozen=True)
class Explanation:
    """An answer.

    Attributes:
        subject: What was asked about: `Model 7`, `run 20260131-2359`, `Trainer in run 20260131-2359`.
        question: The question that the subject raises.
        answer: The answer, a sentence each; the first says it all.
        steps: The chain of decisions: for a model from its making to its push, for a node from it back to the causes.
        next: The next command to type.
    """

    subject: str
    question: str
    answer: tuple[str, ...]
    steps: tuple[Step, ...]
    next: str

    def _repr_html_(self) -> str:
        rows = [
            (
                step.node,
                step.run,
                step.verdict or step.state,
                "; ".join((*step.verdict_reasons, *filter(None, [step.error]), *step.reasons)),
            )
            for step in self.steps
        ]
        return titled(self.question, *map(paragraph, self.answer), grid(["node", "run", "", "because"], rows))

    def as_json(self) -> dict[str, Any]:
        """Returns it as `schemas/cli/why.json` describes it."""
        return {
            "subject": self.subject,
            "question": self.question,
            "answer": list(self.answer),
            "steps": [step.as_json() for step in self.steps],
            "next": self.next,
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


def why_run(store: MetadataStore, run: Run) -> Explanation:
    """Returns why a run ended as it did."""
    return _run(store, run)


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
        return _step(known, role, outputs)

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
            for cause in self.causes(node):
                if cause.id not in seen:
                    seen.add(cause.id)
                    waiting.append((cause, f"because of it {node.id} {_past(node.state)}"))
        return steps


def _past(state: str) -> str:
    return {NodeState.DONE.value: "ran", RUNNING: "runs", NodeState.FAILED.value: "ran"}.get(state, f"was {state}")


def _step(execution: Execution, role: str, outputs: Sequence[int] = ()) -> Step:
    skipped = execution.state is ExecutionState.CANCELED
    return Step(
        role,
        execution.node,
        execution.run,
        node_state(execution),
        execution.reasons,
        "" if skipped else execution.verdict,
        () if skipped else execution.verdict_reasons,
        execution.error,
        execution.id,
        tuple(outputs),
        execution.log,
    )


def _run(store: MetadataStore, run: Run) -> Explanation:
    nodes = _Nodes(store, run)
    telling = [node for node in nodes.by_id.values() if _tells(node)]
    steps = tuple(nodes.step(node, _role(node)) for node in telling)
    answer = [f"It {'goes on' if run.state is RunState.RUNNING else f'is {run.state.value}'}{f': {run.reason}' if run.reason else '.'}"]
    verdicts = [node for node in telling if node.execution and node.execution.verdict and node.execution.verdict not in _GOOD]
    answer += [f"{node.id}: {node.execution.verdict}: {'; '.join(node.execution.verdict_reasons)}" for node in verdicts if node.execution]
    failed = next((node for node in telling if node.state == NodeState.FAILED.value), None)
    following = f"cauce why {run.id}/{(failed or verdicts[0]).id}" if failed or verdicts else f"cauce runs show {run.id}"
    return Explanation(f"run {run.id}", f"Why did run {run.id} of {run.pipeline} end as it did?", tuple(answer), steps, following)


def _tells(node: NodeReport) -> bool:
    """Returns whether a node bears on how its run ended: it worked, decided, failed, or could not run."""
    known = node.execution
    return node.state not in (NodeState.CACHED.value, NodeState.SELECTED.value) or bool(known and known.verdict)


def _role(node: NodeReport) -> str:
    verdict = node.execution.verdict if node.execution and node.state != NodeState.SKIPPED.value else ""
    return f"decided: {verdict}" if verdict else _past(node.state)


def _node(store: MetadataStore, run: Run, node: NodeReport) -> Explanation:
    nodes = _Nodes(store, run)
    steps = nodes.chain(node)
    known = node.execution
    if node.state == NodeState.CACHED.value and known is not None:
        steps += [_step(origin, "made what was reused") for origin in store.executions([int(known.properties.get("cached_from", 0))])]
    question = _QUESTIONS.get(node.state, "Why is {} as it is?").format(node.id)
    return Explanation(f"{node.id} in run {run.id}", question, _answer(node, steps), tuple(steps), _next(run, node))


def _answer(node: NodeReport, steps: Sequence[Step]) -> tuple[str, ...]:
    known = node.execution
    told = [known.error.splitlines()[0]] if known is not None and known.error else ["; ".join(node.reasons) or "no reason is recorded"]
    root = steps[-1] if len(steps) > 1 and steps[-1].role.startswith("because") else None
    if root is not None and (root.reasons or root.error):
        told.append(
            f"It comes from {root.node}: {root.error.splitlines()[0] if root.error else '; '.join(root.verdict_reasons or root.reasons)}"
        )
    if known is not None and known.verdict and node.state != NodeState.SKIPPED.value:
        told.append(f"It decided: {known.verdict}: {'; '.join(known.verdict_reasons)}")
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
    step = _step(execution, "it", [event.artifact for event in store.events_of_executions([execution.id]) if event.kind.is_output])
    question = _QUESTIONS.get(step.state, "Why is {} as it is?").format(execution.node)
    told = "; ".join(execution.reasons) or execution.error or "no reason is recorded"
    return Explanation(f"execution {execution.id}", question, (told,), (step,), f"cauce runs show {execution.run}")


def _artifact(store: MetadataStore, artifact: Artifact) -> Explanation:
    model = _model_of(store, artifact)
    if model is not None:
        return _model(store, model, artifact)
    name = f"{artifact.type_name} {artifact.id}"
    origin = _origin(store, artifact)
    if origin is None:
        return Explanation(
            name, f"Why is there {name}?", ("Nothing is known of how it was made.",), (), f"cauce artifacts show {artifact.id}"
        )
    explanation = _execution(store, origin)
    verdict = f"{origin.node} decided: {origin.verdict}: {'; '.join(origin.verdict_reasons)}" if origin.verdict else ""
    answer = (f"{origin.node} made it in run {origin.run}: {'; '.join(origin.reasons)}", *([verdict] if verdict else []))
    return Explanation(name, f"Why is there {name}?", answer, explanation.steps, f"cauce lineage {artifact.id}")


def _model_of(store: MetadataStore, artifact: Artifact) -> Artifact | None:
    """Returns the model that an artifact is, or that it judges or is a copy of; None for all other artifacts."""
    if artifact.type_name == "Model":
        return artifact
    if artifact.type_name not in ("PushedModel", "ModelBlessing", "ModelEvaluation"):
        return None
    origin = producers(store, [artifact.id or 0]).get(artifact.id or 0)
    inputs = store.inputs_of(origin.execution).get("model", ()) if origin is not None else ()
    return next((used for used in inputs if used.type_name == "Model"), None)


def _origin(store: MetadataStore, artifact: Artifact) -> Execution | None:
    event = producers(store, [artifact.id or 0]).get(artifact.id or 0)
    return next(iter(store.executions([event.execution])), None) if event is not None else None


def _model(store: MetadataStore, model: Artifact, asked: Artifact) -> Explanation:
    """Explains what became of a model: what it was trained because of, how it was judged, whether it was pushed and is served."""
    origin = _origin(store, model)
    outputs = _outputs(store, uses := _decisions(store, model))
    steps = [_step(origin, "made it", [model.id or 0])] if origin is not None else []
    steps += [_step(use, _bearing(use), outputs[use.id]) for use in uses]
    judged = [use for use in uses if use.verdict in ("blessed", "not blessed")]
    pushed = [use for use in uses if use.verdict in ("pushed", "not pushed")]
    served = served_now(store, walk(store, [model.id or 0], Direction.DOWN)).get(model.id or 0, ())
    answer = [f"It is served now at {', '.join(served)}."] if served else []
    answer += [f"{last[-1].node}: {last[-1].verdict}: {'; '.join(last[-1].verdict_reasons)}" for last in (pushed, judged) if last]
    answer += [_unjudged(store, model, origin)] if not uses else []
    answer += [f"{origin.node} made it in run {origin.run}: {'; '.join(origin.reasons)}"] if origin is not None else []
    name = f"{asked.type_name} {asked.id}" + (f" (of Model {model.id})" if asked is not model else "")
    return Explanation(
        name,
        _model_question(judged, pushed, served),
        tuple(filter(None, answer)),
        tuple(steps),
        _next_of_model(store, model, judged, served),
    )


def _model_question(judged: Sequence[Execution], pushed: Sequence[Execution], served: Sequence[str]) -> str:
    if served:
        return "Why is this model served?"
    if pushed and pushed[-1].verdict == "pushed":
        return "Why was this model pushed, and is it not served now?"
    if judged and judged[-1].verdict == "not blessed":
        return "Why was this model not blessed?"
    return "Why was this model not pushed?"


def _next_of_model(store: MetadataStore, model: Artifact, judged: Sequence[Execution], served: Sequence[str]) -> str:
    if judged and not served:
        made = store.artifacts(event.artifact for event in store.events_of_executions([judged[-1].id]) if event.kind.is_output)
        blessing = next((artifact for artifact in made if artifact.type_name == "ModelBlessing"), None)
        if blessing is not None and blessing.state is ArtifactState.LIVE:
            return f"cauce artifacts show {blessing.id}"
    return f"cauce lineage {model.id}"


def _unjudged(store: MetadataStore, model: Artifact, origin: Execution | None) -> str:
    """Says why nothing has judged a model: how its run ended."""
    run = next((run for run in store.runs() if origin is not None and run.id == origin.run), None)
    if run is None or run.state is RunState.DONE:
        return "Nothing has judged or pushed it."
    return f"Nothing has judged or pushed it: its run is {run.state.value}{f' ({run.reason})' if run.reason else ''}."


def _decisions(store: MetadataStore, model: Artifact) -> list[Execution]:
    """Returns the executions that decided about a model, oldest first; those that only repeat an earlier decision are left out."""
    used = [event for event in store.events_of_artifacts([model.id or 0]) if event.kind is EventKind.INPUT and event.key == "model"]
    found = store.executions(event.execution for event in used)
    known = [use for use in found if use.state is not ExecutionState.CACHED and (use.verdict or use.error)]
    return sorted(known, key=lambda use: use.id)


def _bearing(use: Execution) -> str:
    roles = {"blessed": "judged it", "not blessed": "judged it", "pushed": "pushed it", "not pushed": "refused it"}
    return roles.get(use.verdict, "failed over it" if use.error else f"decided: {use.verdict}")


def _outputs(store: MetadataStore, executions: Iterable[Execution]) -> Mapping[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for event in store.events_of_executions(execution.id for execution in executions):
        if event.kind.is_output:
            found[event.execution].append(event.artifact)
    return found
