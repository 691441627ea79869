"""TFMA's evaluation of many rows at once: sums per slice, and from them TFMA's metrics.

A `State` holds what is known of the rows seen so far; states of different files can be merged in any order, so that the files may be
evaluated by different workers. Memory grows with the number of slices and not with the number of rows.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from components.evaluator.plan import SAMPLES, Plan
from components.evaluator.rows import Column, Layout, Rows, read_rows
from components.evaluator.tally import Buckets
from components.evaluator.worst import Keeper, Keeping, Worst
from pipeline.errors import DataError

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

SliceKey = tuple[tuple[str, str | int | float], ...]
"""As in TFMA: pairs of feature and value, in the order of the features; empty for all rows."""

BLOCK_ROWS = 1 << 17
"""Rows that are sliced and added up at once."""

BLOCK_VALUES = 1 << 22
"""Labels and predictions that are added up at once, where a row has many."""


@dataclass(frozen=True)
class SliceState:
    """Sums of one slice: of its rows, and of each sample of them.

    Attributes:
        sums: `(1 + samples, columns)`: the rows, the predictions of each model that are not a number, then the plan's sums.
        buckets: For each histogram, the buckets that occur.
    """

    sums: Array
    buckets: list[Buckets]

    def merged(self, other: SliceState) -> SliceState:
        """Returns the state of the rows of both."""
        buckets = [mine.merged(theirs) for mine, theirs in zip(self.buckets, other.buckets, strict=True)]
        return SliceState(self.sums + other.sums, buckets)


@dataclass(frozen=True)
class State:
    """What is known of the rows seen so far.

    Attributes:
        slices: The sums of each slice.
        plots: For each plot of the plan, the buckets that occur in all rows.
        worst: The rows to look at.
    """

    slices: dict[SliceKey, SliceState] = field(default_factory=dict)
    plots: tuple[Buckets, ...] = ()
    worst: Worst = field(default_factory=Worst)

    def merged(self, other: State) -> State:
        """Returns the state of the rows of both."""
        slices = dict(self.slices)
        for key, found in other.slices.items():
            slices[key] = slices[key].merged(found) if key in slices else found
        if not (self.plots and other.plots):
            plots = self.plots or other.plots
        else:
            plots = tuple(mine.merged(theirs) for mine, theirs in zip(self.plots, other.plots, strict=True))
        return State(slices, plots, self.worst.merged(other.worst))


def evaluate_file(file: str, layout: Layout, plan: Callable[[], Plan], keeping: Keeping) -> State:
    """Reads, predicts and adds up the rows of one file."""
    made, keeper, state = plan(), Keeper(keeping), State()
    for block in _blocks(read_rows(Path(file), layout, keeper.look)):
        state = state.merged(_evaluate_block(block, made))
    return dataclasses.replace(state, worst=keeper.kept)


def merge_states(states: Iterable[State]) -> State:
    """Returns the state of all rows together."""
    return functools.reduce(State.merged, states, State())


def _blocks(batches: Iterable[Rows]) -> Iterator[Rows]:
    waiting: list[Rows] = []
    rows = values = 0
    for batch in batches:
        waiting.append(batch)
        rows, values = rows + batch.count, values + sum(part.size for part in (*batch.labels, *batch.predictions))
        if rows >= BLOCK_ROWS or values >= BLOCK_VALUES:
            yield _joined(waiting)
            waiting, rows, values = [], 0, 0
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[Rows]) -> Rows:
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
    matrix = np.concatenate([_unknown(rows), *(sums.columns(rows) for sums in plan.sums)], axis=1)
    samples = _multiplicities(rows, plan)
    slices = [groups for groups in (group_rows(spec, rows) for spec in plan.config.slicing_specs) if groups.keys]
    buckets: list[list[list[Buckets]]] = [[] for _ in slices]
    for histogram in plan.histograms:
        ids, values = histogram.entries(rows)
        for groups, found in zip(slices, buckets, strict=True):
            found.append(_bucket_sums(groups, ids[groups.rows], values[groups.rows], samples[:, groups.rows], histogram.limit))
    state: dict[SliceKey, SliceState] = {}
    for groups, found in zip(slices, buckets, strict=True):
        picked, times = matrix[groups.rows], samples[:, groups.rows]
        totals = np.stack([np.add.reduceat(picked * time[:, None], groups.starts) for time in times])
        for number, key in enumerate(groups.keys):
            state[key] = SliceState(totals[:, number], [parts[number] for parts in found])
    everything = Groups([()], np.arange(rows.count), np.zeros(1, np.int64))
    plots = tuple(_bucket_sums(everything, *plot.entries(rows), samples[:1], plot.limit)[0] for plot in plan.plots)
    return State(state, plots)


def _unknown(rows: Rows) -> Array:
    """Returns a column of ones, and for each model whether its prediction of a row is not a number."""
    unknown = [np.isnan(values.reshape(rows.count, -1)).any(axis=1) for values in rows.predictions]
    return np.stack([np.ones(rows.count), *unknown], axis=1)


def _multiplicities(rows: Rows, plan: Plan) -> Array:
    """Returns how often each row counts, `(1 + samples, rows)`: once, and by chance or in turn in the samples."""
    once = np.ones((1, rows.count))
    if plan.interval is None:
        return once
    generator = np.random.default_rng(rows.seed)
    if plan.interval == "bootstrap":
        return np.concatenate([once, generator.poisson(1.0, (SAMPLES, rows.count))])
    left_out = generator.integers(SAMPLES, size=rows.count)
    return np.concatenate([once, left_out != np.arange(SAMPLES)[:, None]])


def _bucket_sums(groups: Groups, ids: Indices, values: Array, times: Array, limit: int | None) -> list[Buckets]:
    """Returns for each group the buckets that occur in it, and their sums for the rows and each sample."""
    each = ids.size // len(ids)
    owners = np.repeat(np.arange(len(groups.keys)), np.diff(np.append(groups.starts, len(ids))) * each)
    flat, entries = ids.reshape(-1), values.reshape(-1, values.shape[-1])
    span = int(flat.max()) + 1
    found, places = np.unique(owners * span + flat, return_inverse=True)
    places = places.reshape(-1)
    sums: Array = np.stack(
        [np.stack([np.bincount(places, column * np.repeat(time, each), len(found)) for column in entries.T], axis=1) for time in times]
    )
    ends = np.searchsorted(found, np.arange(1, len(groups.keys)) * span)
    pairs = zip(np.split(found % span, ends), np.split(sums, ends, axis=1), strict=True)
    return [Buckets(part, totals, limit).within_limit() for part, totals in pairs]


@dataclass(frozen=True)
class Groups:
    """Rows by slice: `rows[starts[i]:starts[i + 1]]` are the rows of `keys[i]`."""

    keys: list[SliceKey]
    rows: Indices
    starts: Indices


@dataclass(frozen=True)
class _Codes:
    """For each entry, a row and the number of its value."""

    rows: Indices
    codes: Indices
    values: list[SliceKey]


def group_rows(spec: Any, rows: Rows) -> Groups:
    """Returns the rows of each slice that a `SlicingSpec` asks for; a row counts once per slice, and in none without a value."""
    if not spec.feature_keys and not spec.feature_values:
        return Groups([()], np.arange(rows.count), np.zeros(1, np.int64))
    found: _Codes | None = None
    for name in sorted((*spec.feature_keys, *spec.feature_values)):
        codes = _codes(name, rows.features[name])
        if name in spec.feature_values:
            codes = _only(codes, name, spec.feature_values[name])
        found = codes if found is None else _crossed(found, codes)
    return _grouped(found)


def _codes(name: str, column: Column) -> _Codes:
    import pyarrow as pa

    encoded = pa.array(column.values).dictionary_encode()
    values: list[SliceKey] = [((name, _as_text(name, value)),) for value in encoded.dictionary.to_pylist()]
    return _Codes(column.rows, encoded.indices.to_numpy().astype(np.int64), values)


def _as_text(name: str, value: Any) -> str | int | float:
    if not isinstance(value, bytes):
        return value  # type: ignore[no-any-return]
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"Cannot slice by '{name}': its value {value!r} is not UTF-8 text.") from error


def _only(codes: _Codes, name: str, wanted: str) -> _Codes:
    """Keeps one value, which the specification holds as text; the slice bears it as a number if it reads as one."""
    matching = [number for number, value in enumerate(codes.values) if str(value[0][1]) == wanted or value[0][1] == _as_number(wanted)]
    kept = np.isin(codes.codes, matching)
    return _Codes(codes.rows[kept], np.zeros(int(kept.sum()), np.int64), [((name, _as_number(wanted)),)])


def _as_number(text: str) -> str | int | float:
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def _crossed(left: _Codes, right: _Codes) -> _Codes:
    """Pairs each value of a row on the left with each value of the same row on the right; rows are in order on both sides."""
    first = np.searchsorted(right.rows, left.rows, "left")
    repeats = np.searchsorted(right.rows, left.rows, "right") - first
    starts = np.repeat(np.cumsum(repeats) - repeats, repeats)
    there = np.repeat(first, repeats) + np.arange(len(starts)) - starts
    pairs, codes = np.unique(np.repeat(left.codes, repeats) * len(right.values) + right.codes[there], return_inverse=True)
    values = [left.values[pair // len(right.values)] + right.values[pair % len(right.values)] for pair in pairs.tolist()]
    return _Codes(np.repeat(left.rows, repeats), codes.reshape(-1), values)


def _grouped(codes: _Codes | None) -> Groups:
    if codes is None or not len(codes.rows):
        return Groups([], np.zeros(0, np.int64), np.zeros(0, np.int64))
    span = int(codes.rows[-1]) + 1
    entries = np.unique(codes.codes * span + codes.rows)
    numbers, starts = np.unique(entries // span, return_index=True)
    return Groups([codes.values[number] for number in numbers.tolist()], entries % span, starts)
