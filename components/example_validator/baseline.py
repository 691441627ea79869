"""Which earlier statistics are the baseline of drift: those of the last span that was valid, or of a pinned one."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.artifacts import Artifact
from pipeline.component import Component
from pipeline.driver import Driver
from pipeline.errors import ResolutionError
from pipeline.resolution import ArtifactGroups, History
from pipeline.storage import damage

PREVIOUS = "previous"
_KNOWN = 8


class BaselineDriver(Driver):
    """Takes the baseline from the history of the node: statistics that it has found valid.

    Data that were blocked are no baseline: what comes after a damaged span is compared with what was before it.
    """

    def select_inputs(self, node: Component, inputs: ArtifactGroups, history: History) -> ArtifactGroups:
        """Returns the inputs with the baseline that the parameter `baseline` asks for; without one where there is none yet."""
        wanted = node.parameters["baseline"]
        if wanted is None:
            return inputs
        current = inputs["statistics"][0]
        chosen = next((found for found in _valid(node, current, history) if wanted in (PREVIOUS, found.properties.get("span"))), None)
        if chosen is not None:
            return {**inputs, "baseline_statistics": (chosen,)}
        if wanted == PREVIOUS or wanted == current.properties.get("span"):
            return inputs
        known = dict.fromkeys(str(found.properties.get("span")) for found in _valid(node, current, history))
        raise ResolutionError(
            f"Node '{node.id}': baseline={wanted}, and it has found no statistics of that span valid.",
            hint=f"Valid: {', '.join(list(known)[:_KNOWN])}." if known else "No other span was valid yet: run that span first.",
        )


def _valid(node: Component, current: Artifact, history: History) -> Iterator[Artifact]:
    """Yields statistics that the node has found valid and that are still there: of earlier spans, the last first.

    Without spans, those that have another content, the newest first.
    """
    span = current.properties.get("span") or None
    seen: set[str] = {current.digest}
    found: list[Artifact] = []
    for execution in history.executions(node.id):
        for statistics in () if execution.blocks else history.inputs_of(execution).get("statistics", ()):
            if statistics.digest in seen or damage(statistics) is not None or statistics.state.value != "LIVE":
                continue
            if span is None:
                yield statistics
            elif int(statistics.properties.get("span", 0)) < int(span) or node.parameters["baseline"] != PREVIOUS:
                found.append(statistics)
            seen.add(statistics.digest)
    yield from sorted(found, key=lambda one: -int(one.properties.get("span", 0)))
