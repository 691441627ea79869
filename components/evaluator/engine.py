"""TFMA's evaluation of many rows at once: sums per slice, and from them TFMA's metrics.

A `State` holds what is known of the rows seen so far; states of different files can be merged in any order, so that the files may be
evaluated by different workers. Memory grows with the number of slices and not with the number of rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.evaluator.plan import SAMPLES, Plan, plan_of
from components.evaluator.rows import Column, Layout, Rows, read_rows
from components.evaluator.slicing import Groups, SliceKey, group_rows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

BLOCK_ROWS = 1 << 17
"""Rows that are sliced and added up at once."""


@dataclass(frozen=True)
class SliceState:
    """Sums of one slice: of its rows, and of each sample of them.

    Attributes:
        sums: `(1 + samples, columns)`: the rows, the predictions of each model that are not a number, then the plan's sums.
        buckets: For each histogram, the buckets that occur, and `(1 + samples, buckets, 3)`.
    """

    sums: Array
    buckets: list[tuple[npt.NDArray[np.int64], Array]]

    def merged(self, other: SliceState) -> SliceState:
        """Returns the state of the rows of both."""
        buckets = [_merged(mine, theirs) for mine, theirs in zip(self.buckets, other.buckets, strict=True)]
        return SliceState(self.sums + other.sums, buckets)


State = dict[SliceKey, SliceState]


def _merged(left: tuple[Any, Any], right: tuple[Any, Any]) -> tuple[Any, Any]:
    import numpy as np

    ids = np.union1d(left[0], right[0])
    total = np.zeros((left[1].shape[0], len(ids), left[1].shape[2]))
    for part, values in (left, right):
        total[:, np.searchsorted(ids, part)] += values
    return ids, total


def evaluate_file(file: str, layout: Layout, serialized_config: bytes, serialized_schema: bytes | None) -> State:
    """Reads, predicts and adds up the rows of one file."""
    plan = plan_of(serialized_config, serialized_schema)
    state: State = {}
    for block in _blocks(read_rows(Path(file), layout)):
        state = merge_states([state, _evaluate_block(block, plan)])
    return state


def merge_states(states: Iterable[State]) -> State:
    """Returns the state of all rows together."""
    result: State = {}
    for state in states:
        for key, found in state.items():
            result[key] = result[key].merged(found) if key in result else found
    return result


def _blocks(batches: Iterable[Rows]) -> Iterator[Rows]:
    waiting: list[Rows] = []
    for batch in batches:
        waiting.append(batch)
        if sum(rows.count for rows in waiting) >= BLOCK_ROWS:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[Rows]) -> Rows:
    import numpy as np

    first = batches[0]
    offsets = np.cumsum([0] + [batch.count for batch in batches[:-1]])

    def column(name: str) -> Column:
        parts = [batch.features[name] for batch in batches]
        rows = [part.rows + offset for part, offset in zip(parts, offsets, strict=True)]
        return Column(np.concatenate(rows), np.concatenate([part.values for part in parts]))

    return dataclasses.replace(
        first,
        count=sum(batch.count for batch in batches),
        labels=tuple(np.concatenate(parts) for parts in zip(*(batch.labels for batch in batches), strict=True)),
        predictions=tuple(np.concatenate(parts) for parts in zip(*(batch.predictions for batch in batches), strict=True)),
        weights=None if first.weights is None else np.concatenate([batch.weights for batch in batches if batch.weights is not None]),
        features={name: column(name) for name in first.features},
    )


def _evaluate_block(rows: Rows, plan: Plan) -> State:
    import numpy as np

    matrix = np.concatenate([_unknown(rows), *(sums.columns(rows) for sums in plan.sums)], axis=1)
    samples = _multiplicities(rows, plan)
    buckets = [(histogram.buckets(rows), histogram.columns(rows)) for histogram in plan.histograms]
    state: State = {}
    for spec in plan.config.slicing_specs:
        groups = group_rows(spec, rows)
        if not groups.keys:
            continue
        picked, times = matrix[groups.rows], samples[:, groups.rows]
        totals = np.stack([np.add.reduceat(picked * time[:, None], groups.starts) for time in times])
        histograms = [_bucket_sums(groups, ids[groups.rows], values[groups.rows], times) for ids, values in buckets]
        for number, key in enumerate(groups.keys):
            state[key] = SliceState(totals[:, number], [parts[number] for parts in histograms])
    return state


def _unknown(rows: Rows) -> Array:
    """Returns a column of ones, and for each model whether its prediction of a row is not a number."""
    import numpy as np

    unknown = [np.isnan(values.reshape(rows.count, -1)).any(axis=1) for values in rows.predictions]
    return np.stack([np.ones(rows.count), *unknown], axis=1)


def _multiplicities(rows: Rows, plan: Plan) -> Array:
    """Returns how often each row counts, `(1 + samples, rows)`: once, and by chance or in turn in the samples."""
    import numpy as np

    once = np.ones((1, rows.count))
    if plan.interval is None:
        return once
    generator = np.random.default_rng(rows.seed)
    if plan.interval == "bootstrap":
        return np.concatenate([once, generator.poisson(1.0, (SAMPLES, rows.count))])
    left_out = generator.integers(SAMPLES, size=rows.count)
    return np.concatenate([once, left_out != np.arange(SAMPLES)[:, None]])


def _bucket_sums(groups: Groups, ids: npt.NDArray[np.int64], values: Array, times: Array) -> list[tuple[Any, Array]]:
    """Returns for each group the buckets that occur in it and their sums, `(1 + samples, buckets, 3)`."""
    import numpy as np

    span = int(ids.max()) + 1
    owners = np.repeat(np.arange(len(groups.keys)), np.diff(np.append(groups.starts, len(ids))))
    found, places = np.unique(owners * span + ids, return_inverse=True)
    places = places.reshape(-1)
    sums = np.stack([np.stack([np.bincount(places, column * time, len(found)) for column in values.T], axis=1) for time in times])
    ends = np.searchsorted(found, np.arange(1, len(groups.keys)) * span)
    return list(zip(np.split(found % span, ends), np.split(sums, ends, axis=1), strict=True))
