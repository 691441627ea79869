"""What a run leaves on the terminal: what ran and why, rows, anomalies, metrics, the verdict, and the next command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.artifacts import Artifact
from pipeline.cli.common import duration, size, table
from pipeline.cli.console import STYLES
from pipeline.definition import Pipeline
from pipeline.driver import Action
from pipeline.errors import CauceError
from pipeline.outcome import NodeState, Outcome, RunResult
from pipeline.planning import PlannedNode
from pipeline.records import RunState
from pipeline.wording import sentences

_REFUSALS = ("blocked", "not blessed", "not pushed")
_ACTIONS = {Action.RUN: "green", Action.CACHED: "cyan", Action.WAIT: "yellow", Action.SKIP: "yellow", Action.SELECT: "cyan"}


def plan_table(nodes: Sequence[PlannedNode]) -> Table:
    """Returns the table that `cauce plan` prints."""
    made = table(["node", "would", "because"], [])
    for node in nodes:
        action = node.decision.action
        word = {Action.RUN: "run", Action.CACHED: "reuse", Action.WAIT: "perhaps run", Action.SKIP: "be skipped", Action.SELECT: "select"}
        made.add_row(node.node, Text(word.get(action, action.value), style=_ACTIONS.get(action, "")), sentences(node.decision.reasons))
    return made


def result_as_json(result: RunResult) -> dict[str, Any]:
    """Returns the result of a run as `schemas/cli/run.json` describes it."""
    return {
        "run": result.run,
        "pipeline": result.pipeline,
        "state": result.state.value,
        "reason": result.reason,
        "seconds": round(result.seconds, 3),
        "nodes": [_outcome_as_json(outcome) for outcome in result.outcomes],
    }


def _outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    verdict = outcome.verdict
    return {
        "id": outcome.node,
        "state": outcome.state.value,
        "reasons": list(outcome.reasons),
        "execution": outcome.execution,
        "seconds": round(outcome.seconds, 3),
        "peak_memory_bytes": outcome.peak_memory,
        "verdict": None if verdict is None else {"kind": verdict.kind, "reasons": list(verdict.reasons)},
        "error": None if outcome.error is None else str(outcome.error),
        "outputs": {name: [{"id": a.id, "type": a.type_name, "uri": a.uri} for a in group] for name, group in outcome.outputs.items()},
        "log": outcome.log,
    }


def print_summary(result: RunResult, pipeline: Pipeline, screen: Console) -> None:
    """Prints what a person wants to know when a run has ended."""
    screen.print(_node_table(result))
    for line in _rows(result):
        screen.print(line)
    for outcome in result.outcomes:
        if outcome.verdict is not None:
            screen.print(_verdict(outcome))
    for outcome in result.outcomes:
        if outcome.error is not None and outcome.state is NodeState.FAILED:
            screen.print(_failure(outcome, outcome.error))
    screen.print(_closing(result))
    screen.print(Text(f"next: {_next_command(result)}", style="dim"))


def _node_table(result: RunResult) -> Table:
    made = table(["", "node", "", "time", "memory", "why"], [], right=["time", "memory"])
    for outcome in result.outcomes:
        sign, style = STYLES[outcome.state]
        memory = size(outcome.peak_memory) if outcome.peak_memory else ""
        reasons = "" if outcome.state is NodeState.FAILED else sentences(outcome.reasons)
        made.add_row(
            Text(sign, style=style),
            outcome.node,
            Text(outcome.state.value, style=style),
            duration(outcome.seconds),
            memory,
            Text(reasons, style="dim"),
        )
    return made


def _rows(result: RunResult) -> list[Text]:
    """Returns the rows per split of the Examples that were made from files, those of several spans together."""
    lines = []
    for group in (group for outcome in result.outcomes for group in outcome.outputs.values()):
        made = [artifact for artifact in group if artifact.type_name == "Examples" and "input_fingerprint" in artifact.properties]
        if made:
            counts: Counter[str] = Counter()
            for artifact in made:
                counts.update(artifact.record_counts)
            spans = f" in {len(made)} spans" if len(made) > 1 else ""
            parts = ", ".join(f"{split} {count:,}" for split, count in counts.items())
            lines.append(Text.assemble(("rows      ", "bold"), f"{counts.total():,}{spans} ({parts})"))
    return lines


def _artifacts(outcome: Outcome) -> list[Artifact]:
    return [artifact for group in outcome.outputs.values() for artifact in group]


def _verdict(outcome: Outcome) -> Text:
    verdict = outcome.verdict
    if verdict is None:
        return Text()
    style = "red" if verdict.kind in _REFUSALS else "yellow" if "warnings" in verdict.kind else "green"
    text = Text.assemble((f"{outcome.node}: ", "bold"), (verdict.kind, style))
    for reason in verdict.reasons:
        text.append(f"\n  {reason}")
    return text


def _failure(outcome: Outcome, error: CauceError) -> Text:
    text = Text.assemble((f"{outcome.node} failed: ", "bold red"), error.message)
    if error.hint:
        text.append(f"\n  {error.hint}")
    if outcome.log:
        text.append(f"\n  The whole traceback: {outcome.log}", style="dim")
    return text


def _closing(result: RunResult) -> Text:
    style = "green" if result.state is RunState.DONE else "red"
    text = Text.assemble((f"run {result.run} {result.state.value}", f"bold {style}"), f" in {duration(result.seconds)}")
    if result.state is RunState.DONE and result.reason:
        text.append(f": {result.reason}")
    return text


def _next_command(result: RunResult) -> str:
    if result.state in (RunState.FAILED, RunState.INTERRUPTED):
        return "cauce resume"
    if result.state is RunState.BLOCKED:
        blocking = next(outcome for outcome in result.outcomes if outcome.state is NodeState.BLOCKED)
        shown = next((artifact.id for artifact in _artifacts(blocking)), None)
        return f"cauce artifacts show {shown}" if shown else f"cauce runs show {result.run}"
    own = [outcome for outcome in result.outcomes if outcome.state is not NodeState.SELECTED]
    made = {artifact.type_name: artifact.id for outcome in own for artifact in _artifacts(outcome)}
    if "PushedModel" in made:
        return f"cauce lineage {made['PushedModel']}"
    if "ModelBlessing" in made:  # and nothing was pushed: it says why
        return f"cauce artifacts show {made['ModelBlessing']}"
    return f"cauce runs show {result.run}"
