"""Tiny real components for the tests of the engine: a source, a doubler, one that fails, one that kills its process."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from pipeline.artifacts import Artifact
from pipeline.component import Component, Input, Output, component


class Numbers(Artifact):
    """`numbers.json`: a list of integers."""

    TYPE_NAME = "FakeNumbers"


def read(numbers: Artifact) -> list[int]:
    """Returns the integers of an artifact."""
    return [int(number) for number in json.loads((numbers.path / "numbers.json").read_text())]


def write(numbers: Artifact, values: list[int]) -> None:
    """Writes the integers of an artifact."""
    (numbers.path / "numbers.json").write_text(json.dumps(values))


class Source(Component):
    """Makes the numbers that it is given."""

    isolated = False

    def execute(self, context, numbers: Output[Numbers], *, values: tuple[int, ...] = (1, 2, 3)) -> None:  # type: ignore[no-untyped-def]
        write(numbers, list(values))
        numbers.properties["total"] = sum(values)


class Doubler(Component):
    """Multiplies each number."""

    def execute(self, context, numbers: Input[Numbers], doubled: Output[Numbers], *, factor: int = 2) -> None:  # type: ignore[no-untyped-def]
        values = read(numbers)
        context.progress("doubling", rows=len(values))
        write(doubled, [factor * value for value in values])
        context.count_rows(len(values), {"all": len(values)})


@component
def Adder(first: Input[Numbers], second: Input[Numbers] | None, added: Output[Numbers]) -> None:
    """Adds two lists of numbers; the second may be missing."""
    others = read(second) if second else [0] * len(read(first))
    write(added, [a + b for a, b in zip(read(first), others, strict=True)])


class Failing(Component):
    """Fails in the way it is told, as long as its marker file is missing."""

    def execute(self, context, numbers: Input[Numbers], result: Output[Numbers], *, how: str = "raise", marker: str = "") -> None:  # type: ignore[no-untyped-def]
        write(result, read(numbers))
        if marker and Path(marker).exists():
            return
        if marker:
            Path(marker).touch()
        if how == "raise":
            raise ValueError("as it was told")
        if how == "exit":
            os._exit(7)
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "sleep":
            time.sleep(60)
        if how == "lose":
            context.count_rows(3, {"all": 2})
        if how == "empty":
            (result.path / "numbers.json").unlink()


class Blocking(Component):
    """Blocks the run if a number is over the limit."""

    isolated = False

    def execute(self, context, numbers: Input[Numbers], checked: Output[Numbers], *, limit: int = 100) -> None:  # type: ignore[no-untyped-def]
        write(checked, read(numbers))
        worst = max(read(numbers))
        context.decide("blocked" if worst > limit else "valid", [f"the largest number is {worst}, the limit is {limit}"], blocks=worst > limit)
