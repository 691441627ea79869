"""What is different between two runs, or two models: data, schema, code, parameters, environment, metrics, time.

Reads the metadata store and summaries; the payloads need not be there any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.lineage.comparison.changes import (
    Change,
    CodeChange,
    DataChange,
    FeatureChange,
    FeatureFacts,
    Measured,
    MetricChange,
    NodeChange,
    NodeFacts,
    SchemaChange,
)
from pipeline.lineage.comparison.data import data_changes, metric_changes, schema_changes
from pipeline.lineage.comparison.sides import Side, side_of_artifact, side_of_run
from pipeline.lineage.comparison.work import code_changes, environment_changes, input_changes, node_changes, parameter_changes
from pipeline.storage import Storage

__all__ = [
    "Change",
    "CodeChange",
    "Comparison",
    "DataChange",
    "FeatureChange",
    "FeatureFacts",
    "Measured",
    "MetricChange",
    "NodeChange",
    "NodeFacts",
    "SchemaChange",
    "Side",
    "compare",
    "side_of_artifact",
    "side_of_run",
]


@dataclass(frozen=True)
class Comparison:
    """What is different between two sides.

    Attributes:
        before: The first side.
        after: The second side.
        inputs: Input files that are different: by name, each with digest and size.
        data: The statistics of each split that are not equal.
        schema: What the schema demands of features, where it is different.
        code: Files of user code that are different, with the difference in lines.
        parameters: Parameters that are different, `Node.parameter`.
        environment: Versions that are different.
        metrics: Each metric on each slice, equal ones too.
        nodes: Each node with its state and time, equal ones too.
    """

    before: Side
    after: Side
    inputs: tuple[Change, ...]
    data: tuple[DataChange, ...]
    schema: tuple[SchemaChange, ...]
    code: tuple[CodeChange, ...]
    parameters: tuple[Change, ...]
    environment: tuple[Change, ...]
    metrics: tuple[MetricChange, ...]
    nodes: tuple[NodeChange, ...]

    @property
    def causes(self) -> tuple[str, ...]:
        """What could have made the results different: `input files`, `data`, `schema`, `code`, `parameters`, `environment`."""
        found = {
            "input files": self.inputs,
            "data": tuple(change for change in self.data if change.differs),
            "schema": self.schema,
            "code": self.code,
            "parameters": self.parameters,
            "environment": self.environment,
        }
        return tuple(name for name, changes in found.items() if changes)

    def as_json(self) -> dict[str, Any]:
        """Returns it as `schemas/cli/diff.json` describes it."""
        parts = ("inputs", "data", "schema", "code", "parameters", "environment", "metrics", "nodes")
        return {
            "before": self.before.as_json(),
            "after": self.after.as_json(),
            "causes": list(self.causes),
            **{part: [change.as_json() for change in getattr(self, part)] for part in parts},
        }


def compare(before: Side, after: Side, storage: Storage) -> Comparison:
    """Returns what is different between two sides.

    Args:
        before: The first side, usually the older one.
        after: The second side.
        storage: The root folder, which keeps code and environments.
    """
    return Comparison(
        before,
        after,
        input_changes(before, after),
        tuple(data_changes(before, after)),
        tuple(schema_changes(before, after)),
        tuple(code_changes(before, after, storage)),
        parameter_changes(before, after),
        environment_changes(before, after, storage),
        tuple(metric_changes(before, after)),
        tuple(node_changes(before, after)),
    )
