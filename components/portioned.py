"""The driver of components that take several artifacts and keep something for each: what was made of one is not made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.artifacts import Artifact
from pipeline.component import Component
from pipeline.driver import Driver, Prepared
from pipeline.errors import DataError
from pipeline.portions import Portion


class ExamplesDriver(Driver):
    """Makes each artifact of the input `examples` a portion, where there are or may be several; one alone is done as a whole."""

    def prepare(self, node: Component, inputs: Mapping[str, tuple[Artifact, ...]], project: Path) -> Prepared:
        """Names the portions after their spans."""
        examples = inputs["examples"]
        if len(examples) == 1 and not any(channel.has_several for channel in node.inputs.get("examples", ())):
            return Prepared(dict(node.parameters))
        names = portion_names(examples)
        portions = (
            Portion(name, _rows(artifact), inputs={"examples": (artifact,)}) for name, artifact in zip(names, examples, strict=True)
        )
        return Prepared(dict(node.parameters), portions=tuple(portions))


def portion_names(examples: Sequence[Artifact]) -> list[str]:
    """Returns a name for each artifact: that of its span, or its place where spans do not tell them apart."""
    spans = [span_name(artifact) for artifact in examples]
    if None not in spans and len(set(spans)) == len(spans):
        return [f"span {span}" for span in spans]
    return [f"examples {number}" for number in range(1, len(examples) + 1)]


def span_name(artifact: Artifact) -> str | None:
    """Returns what the span of an artifact is called; None if it has none."""
    name = artifact.properties.get("span_name", artifact.properties.get("span"))
    return None if name is None else str(name)


def _rows(artifact: Artifact) -> str:
    return f"{sum(artifact.record_counts.values()):,} rows"


def common_splits(examples: Sequence[Artifact]) -> tuple[str, ...]:
    """Returns the splits that all artifacts have.

    Raises:
        DataError: If they have different ones.
    """
    names = examples[0].splits
    for other in examples[1:]:
        if set(other.splits) != set(names):
            raise DataError(f"The examples have different splits: {', '.join(names)} and {', '.join(other.splits)} ({other.path}).")
    return names
