"""Components that run in the run's own process, for tests that need many quick runs."""

from __future__ import annotations

from pipeline.component import Component, Input, Output
from tests.fakes import Numbers, read, write


class Halver(Component):
    """Halves each number, and says so in its log."""

    isolated = False

    def execute(self, context, numbers: Input[Numbers], halved: Output[Numbers], *, steps: int = 1) -> None:  # type: ignore[no-untyped-def]
        context.log.warning("halving %d numbers", len(read(numbers)))
        write(halved, [number // 2 for number in read(numbers)])
        context.count_rows(len(read(numbers)), {"all": len(read(numbers))})


class Parting(Component):
    """Parts small numbers from large ones."""

    isolated = False

    def execute(self, context, numbers: Input[Numbers], small: Output[Numbers], large: Output[Numbers], *, limit: int = 10) -> None:  # type: ignore[no-untyped-def]
        write(small, [number for number in read(numbers) if number <= limit])
        write(large, [number for number in read(numbers) if number > limit])


class Joining(Component):
    """Joins two lists of numbers; decides that all is well."""

    isolated = False

    def execute(self, context, first: Input[Numbers], second: Input[Numbers], joined: Output[Numbers]) -> None:  # type: ignore[no-untyped-def]
        write(joined, read(first) + read(second))
        context.decide("joined", ["both were there"])
