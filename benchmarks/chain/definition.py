"""A chain of nodes that do nothing but write their number, each in a child process: what remains is the engine."""

import os

from pipeline import Artifact, Component, Input, Output, Pipeline


class Number(Artifact):
    """A text file with a number."""


class Nothing(Component):
    """Takes the number before it, if there is one, and writes its own.

    The numbers differ, so that no node finds the result of another in the cache.
    """

    def execute(self, context: object, after: Output[Number], before: Input[Number] | None = None, *, number: int) -> None:
        """Writes the number: an output must not be empty."""
        (after.path / "number").write_text(str(number), encoding="utf-8")


def create_pipeline() -> Pipeline:
    """Chains `BENCH_NODES` nodes, 20 unless the environment says otherwise."""
    node = Nothing(id="node1", number=1)
    for number in range(2, int(os.environ.get("BENCH_NODES", "20")) + 1):
        node = Nothing(node, id=f"node{number}", number=number)
    return Pipeline("chain", [node])
