"""Passes over the rows, and values that are computed when they are first asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

Elements = list[Any]
Batch = Mapping[str, Any]
Rows = Callable[[Callable[[Batch], Batch]], Iterable[Batch]]
"""Yields what a function of tensors makes of each batch of rows."""


class Lazy:
    """The elements of what would be a Beam collection, computed when they are first asked for."""

    def __init__(self, compute: Callable[[], Elements]) -> None:
        self._compute = compute
        self._elements: Elements | None = None

    def get(self) -> Elements:
        """Returns the elements."""
        if self._elements is None:
            self._elements = self._compute()
        return self._elements

    def map(self, function: Callable[[Any], Any]) -> Lazy:
        """Returns what `function` makes of each element."""
        return Lazy(lambda: [function(element) for element in self.get()])


class Accumulator(Protocol):
    """What an analyzer keeps between batches."""

    def add(self, values: Any) -> None:
        """Takes the values of a batch."""

    def result(self) -> Elements:
        """Returns what was accumulated."""


class Phase:
    """One pass over the rows, for all analyzers whose inputs do not depend on one another's results."""

    def __init__(self, make_function: Callable[[], Callable[[Batch], Batch]], rows: Rows) -> None:
        self._make_function = make_function
        self._rows = rows
        self._accumulators: list[tuple[Callable[[Batch], Any], Accumulator]] = []
        self._done = False

    def accumulate(self, extract: Callable[[Batch], Any], accumulator: Accumulator) -> Lazy:
        """Adds an accumulator to the pass and returns its result to come."""
        self._accumulators.append((extract, accumulator))

        def result() -> Elements:
            self._run()
            return accumulator.result()

        return Lazy(result)

    def _run(self) -> None:
        import numpy as np

        if self._done:
            return
        self._done = True
        for tensors in self._rows(self._make_function()):
            arrays = {name: np.asarray(tensor) for name, tensor in tensors.items()}
            for extract, accumulator in self._accumulators:
                accumulator.add(extract(arrays))


class Stream:
    """Values of each batch of a phase."""

    def __init__(self, phase: Phase, extract: Callable[[Batch], Any]) -> None:
        self._phase = phase
        self._extract = extract

    def map(self, function: Callable[[Any], Any]) -> Stream:
        """Returns what `function` makes of the values."""
        return Stream(self._phase, lambda batch: function(self._extract(batch)))

    def accumulate(self, accumulator: Accumulator) -> Lazy:
        """Returns the result to come of an accumulator that gets the values."""
        return self._phase.accumulate(self._extract, accumulator)


class CombinerAccumulator:
    """One of TFT's combiners."""

    def __init__(self, combiner: Any) -> None:
        self._combiner = combiner
        self._state = combiner.create_accumulator()

    def add(self, values: Any) -> None:
        """Takes the inputs of the combiner for a batch."""
        self._state = self._combiner.add_input(self._state, values)

    def result(self) -> Elements:
        """Returns the combiner's own accumulator."""
        return [self._combiner.compact(self._state)]


class TokenCounts:
    """How often each token occurs."""

    def __init__(self) -> None:
        self._counts: Counter[Any] = Counter()

    def add(self, values: Any) -> None:
        """Takes the tokens of a batch."""
        (tokens,) = values
        self._counts.update(tokens.tolist())

    def result(self) -> Elements:
        """Returns pairs of token and count."""
        return list(self._counts.items())


class TokenWeights:
    """The sum of the weights of each token."""

    def __init__(self) -> None:
        self._weights: Counter[Any] = Counter()

    def add(self, values: Any) -> None:
        """Takes the distinct tokens of a batch and the sums of their weights."""
        tokens, weights = values
        self._weights.update(dict(zip(tokens.tolist(), weights.tolist(), strict=True)))

    def result(self) -> Elements:
        """Returns pairs of token and sum."""
        return list(self._weights.items())


def merged(accumulators: Sequence[Any], combiner: Any) -> Any:
    """Returns the output of one of TFT's combiners for accumulators of it."""
    return combiner.extract_output(combiner.merge_accumulators([combiner.create_accumulator(), *accumulators]))


def summed(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Returns the sum of the counts of each token; a token comes once for each dataset that has it."""
    sums: dict[Any, Any] = {}
    for token, count in pairs:
        sums[token] = sums[token] + count if token in sums else count
    return sums
