"""What the answer to a why is made of: steps, each with its reasons, and sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.display import grid, paragraph, titled
from pipeline.records import Execution, ExecutionState
from pipeline.reports import node_state
from pipeline.wording import sentences


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
                unstopped((*step.verdict_reasons, *filter(None, [step.error]), *step.reasons)),
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


def step_of(execution: Execution, role: str, outputs: Sequence[int] = ()) -> Step:
    """Returns what an execution did and decided."""
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


def unstopped(texts: Iterable[str]) -> str:
    """Returns sentences as one without its full stop, for more may follow."""
    return sentences(texts).removesuffix(".")
