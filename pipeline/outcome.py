"""How nodes and runs end, as objects with reasons."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from pipeline.context import Verdict
from pipeline.display import facts, titled
from pipeline.errors import CauceError
from pipeline.records import RunState
from pipeline.resolution import ArtifactGroups
from pipeline.wording import duration, sentences


class NodeState(enum.Enum):
    """How a node ended in a run."""

    DONE = "done"
    CACHED = "cached"
    SELECTED = "selected"
    SKIPPED = "skipped"
    BLOCKED = "blocked"
    FAILED = "failed"
    CANCELED = "canceled"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Outcome:
    """How one node ended.

    Attributes:
        node: Id of the node.
        state: How it ended; BLOCKED is a node that did its work and whose verdict stops the run.
        reasons: Why it ran, was cached, was skipped or was not run.
        execution: Number of its execution; None where there is none.
        outputs: Its outputs by name.
        verdict: What it decided, if it decides.
        error: What went wrong; None if nothing did.
        seconds: How long it took.
        peak_memory: The most bytes that its process held; 0 without one.
        log: Path of its log file.
    """

    node: str
    state: NodeState
    reasons: tuple[str, ...]
    execution: int | None = None
    outputs: ArtifactGroups = field(default_factory=dict)
    verdict: Verdict | None = None
    error: CauceError | None = None
    seconds: float = 0.0
    peak_memory: int = 0
    log: str = ""

    def _repr_html_(self) -> str:
        told = [
            ("because", sentences(self.reasons)),
            ("decided", self.verdict and f"{self.verdict.kind}: {sentences(self.verdict.reasons)}"),
        ]
        made = [(name, ", ".join(f"{one.type_name} {one.id}" for one in group)) for name, group in self.outputs.items()]
        return titled(f"{self.node}: {self.state.value} in {duration(self.seconds)}", facts([*told, *made, ("log", self.log)]))

    @property
    def succeeded(self) -> bool:
        """Whether what needs it may run; a skipped node lets those run that can do without it."""
        return self.state in (NodeState.DONE, NodeState.CACHED, NodeState.SELECTED, NodeState.SKIPPED)


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        run: Id of the run.
        pipeline: Name of the pipeline.
        state: How it ended.
        reason: Why, in a sentence.
        outcomes: One for each node, in the order of the pipeline.
        seconds: How long it took.
    """

    run: str
    pipeline: str
    state: RunState
    reason: str
    outcomes: tuple[Outcome, ...]
    seconds: float

    def __getitem__(self, node: str) -> Outcome:
        return next(outcome for outcome in self.outcomes if outcome.node == node)

    @property
    def error(self) -> CauceError | None:
        """The first error, if there was one."""
        return next((outcome.error for outcome in self.outcomes if outcome.error is not None), None)

    @property
    def exit_code(self) -> int:
        """The exit code of the command: 0, 1 for a failed node, 3 blocked, 130 interrupted."""
        return {RunState.DONE: 0, RunState.BLOCKED: 3, RunState.INTERRUPTED: 130}.get(self.state, 1)
