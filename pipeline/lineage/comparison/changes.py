"""What can be different between two sides of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.lineage.comparison.distances import Distance


@dataclass(frozen=True)
class Change:
    """A value that is different; None where a side has none.

    Attributes:
        name: What it is, for example `Trainer.train_steps`.
        before: Its value on the first side.
        after: Its value on the second.
    """

    name: str
    before: Any
    after: Any

    def as_json(self) -> dict[str, Any]:
        """Returns it as `schemas/cli/diff.json` describes it."""
        return {"name": self.name, "before": self.before, "after": self.after}


@dataclass(frozen=True)
class FeatureFacts:
    """What the statistics of a split say of a feature; None where they say nothing.

    Attributes:
        type: `INT`, `FLOAT`, `STRING`, `BYTES` or `STRUCT`.
        missing: Share of the rows that lack it.
        numbers: Mean, standard deviation, smallest, median and largest value of a numeric feature, by name.
        unique: Distinct values of a categorical feature.
    """

    type: str
    missing: float | None
    numbers: Mapping[str, float | None]
    unique: int | None

    def as_json(self) -> dict[str, Any]:
        """Returns it as `schemas/cli/diff.json` describes it."""
        return {"type": self.type, "missing": self.missing, "numbers": dict(self.numbers), "unique": self.unique}


@dataclass(frozen=True)
class FeatureChange:
    """A feature of a split; None where a side lacks it.

    Attributes:
        feature: Its name.
        before: What the statistics of the first side say.
        after: Those of the second.
        distance: How far apart the distributions are; None where that cannot be said.
    """

    feature: str
    before: FeatureFacts | None
    after: FeatureFacts | None
    distance: Distance | None

    @property
    def differs(self) -> bool:
        """Whether anything is different."""
        return self.before != self.after or bool(self.distance and self.distance.size)

    def as_json(self) -> dict[str, Any]:
        """Returns it as `schemas/cli/diff.json` describes it."""
        distance = self.distance
        return {
            "feature": self.feature,
            "before": self.before.as_json() if self.before else None,
            "after": self.after.as_json() if self.after else None,
            "l_infinity": distance.l_infinity if distance else None,
            "most_changed_value": (distance.value if distance and distance.l_infinity else None),
            "jensen_shannon": distance.jensen_shannon if distance else None,
        }


@dataclass(frozen=True)
class DataChange:
    """The statistics of one split.

    Attributes:
        source: Where they come from, `StatisticsGen.statistics`.
        split: The split.
        rows_before: Rows on the first side; None if it lacks the split.
        rows_after: Rows on the second side.
        features: All features, the most changed first.
        problem: Why they cannot be compared; empty if they can.
    """

    source: str
    split: str
    rows_before: int | None
    rows_after: int | None
    features: tuple[FeatureChange, ...]
    problem: str = ""

    @property
    def differs(self) -> bool:
        """Whether anything is different."""
        return self.rows_before != self.rows_after or any(feature.differs for feature in self.features)

    def as_json(self) -> dict[str, Any]:
        """Returns it as `schemas/cli/diff.json` describes it."""
        return {
            "source": self.source,
            "split": self.split,
            "rows_before": self.rows_before,
            "rows_after": self.rows_after,
            "problem": self.problem,
            "features": [feature.as_json() for feature in self.features],
        }


@dataclass(frozen=True)
class SchemaChange:
    """What a schema demands of a feature, where it is different.

    Attributes:
        source: Where the schema comes from, `SchemaGen.schema`.
        feature: The feature.
        kind: `added`, `removed` or `changed`.
        changes: What is different, for example `domain.max`; empty for a feature that was added or removed.
    """

    source: str
    feature: str
    kind: str
    changes: tuple[Change, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Returns it as `schemas/cli/diff.json` describes it."""
        return {
            "source": self.source,
            "feature": self.feature,
            "kind": self.kind,
            "changes": [change.as_json() for change in self.changes],
        }


@dataclass(frozen=True)
class CodeChange:
    """A file of user code that is different.

    Attributes:
        file: Its name, relative to the project or the definition.
        nodes: The nodes that depend on it.
        before: Its SHA-256 on the first side; None where it lacks the file.
        after: The same on the second side.
        diff: The difference as a unified diff; empty where a text was not kept.
    """

    file: str
    nodes: tuple[str, ...]
    before: str | None
    after: str | None
    diff: str

    def as_json(self) -> dict[str, Any]:
        """Returns it as `schemas/cli/diff.json` describes it."""
        return {"file": self.file, "nodes": list(self.nodes), "before": self.before, "after": self.after, "diff": self.diff}


@dataclass(frozen=True)
class Measured:
    """A metric with its 95 % confidence interval, where there is one; a value is None where it is not a number."""

    value: float | None
    lower: float | None = None
    upper: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Returns it as `schemas/cli/diff.json` describes it."""
        return {"value": self.value, "lower": self.lower, "upper": self.upper}


@dataclass(frozen=True)
class MetricChange:
    """A metric on a slice; None where a side lacks it.

    Attributes:
        source: Where it comes from, `Evaluator.evaluation`.
        slice: The slice as a person reads it.
        metric: Name of the metric.
        before: On the first side.
        after: On the second side.
        rows_before: Rows of the slice on the first side.
        rows_after: Rows on the second side.
    """

    source: str
    slice: str
    metric: str
    before: Measured | None
    after: Measured | None
    rows_before: int | None = None
    rows_after: int | None = None

    @property
    def difference(self) -> float | None:
        """The second value less the first; None where one is missing."""
        before, after = (side.value if side else None for side in (self.before, self.after))
        return None if before is None or after is None else after - before

    @property
    def apart(self) -> bool | None:
        """Whether the confidence intervals have nothing in common; None where there are none."""
        first, second = self.before, self.after
        if first is None or second is None or None in (first.lower, first.upper, second.lower, second.upper):
            return None
        return bool(first.upper < second.lower or second.upper < first.lower)  # type: ignore[operator]  # none of them is None

    def as_json(self) -> dict[str, Any]:
        """Returns it as `schemas/cli/diff.json` describes it."""
        return {
            "source": self.source,
            "slice": self.slice,
            "metric": self.metric,
            "before": self.before.as_json() if self.before else None,
            "after": self.after.as_json() if self.after else None,
            "difference": self.difference,
            "intervals_apart": self.apart,
            "rows_before": self.rows_before,
            "rows_after": self.rows_after,
        }


@dataclass(frozen=True)
class NodeFacts:
    """How a node did.

    Attributes:
        execution: Number of its execution.
        state: `done`, `cached`, `failed`, ...
        seconds: How long it took.
        peak_memory: The most bytes that its process held; 0 without one.
        verdict: What it decided; empty if it decides nothing.
    """

    execution: int
    state: str
    seconds: float
    peak_memory: int
    verdict: str

    def as_json(self) -> dict[str, Any]:
        """Returns it as `schemas/cli/diff.json` describes it."""
        return {
            "execution": self.execution,
            "state": self.state,
            "seconds": self.seconds,
            "peak_memory_bytes": self.peak_memory,
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class NodeChange:
    """A node on both sides; None where a side lacks it."""

    node: str
    before: NodeFacts | None
    after: NodeFacts | None

    def as_json(self) -> dict[str, Any]:
        """Returns it as `schemas/cli/diff.json` describes it."""
        return {
            "node": self.node,
            "before": self.before.as_json() if self.before else None,
            "after": self.after.as_json() if self.after else None,
        }
