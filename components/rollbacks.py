"""What rollbacks say of models, read from the metadata: `cauce models rollback` records which model is served again, and which are not."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.artifacts import Artifact
from pipeline.resolution import History

ROLLBACK_NODE = "models.rollback"


@dataclass(frozen=True)
class Withdrawals:
    """The models of a pipeline that were rolled back.

    Attributes:
        reasons: Why, by the model's digest.
    """

    reasons: dict[str, str]

    def reason(self, model: Artifact) -> str | None:
        """Returns why a model was rolled back; None if it was not, or was served again since."""
        return self.reasons.get(model.digest)


def withdrawals_of(history: History, pipeline: str | None = None) -> Withdrawals:
    """Returns what the rollbacks of a pipeline, or of the history's own, say; a later one counts."""
    reasons: dict[str, str] = {}
    for execution in history.store.executions_of_node(pipeline or history.pipeline, ROLLBACK_NODE):
        inputs = history.inputs_of(execution) if execution.state.succeeded else {}
        for model in inputs.get("withdrawn", ()):
            reasons[model.digest] = "; ".join(execution.verdict_reasons)
        for model in inputs.get("model", ()):
            reasons.pop(model.digest, None)
    return Withdrawals(reasons)
