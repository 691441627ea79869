"""Exact counts of distinct values, column by column, in bounded memory.

TensorFlow Data Validation counts values exactly with one Beam element per distinct value, or else estimates them with sketches.
Here they are counted exactly from Arrow arrays; a feature with so many distinct values that they would not fit goes to disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


MEMORY_BYTES = 64 << 20
"""A feature whose distinct values take more than this is kept on disk."""

_PENDING_ROWS = 1 << 16
_PARTITIONS = 64


@dataclass(frozen=True)
class ValueCounts:
    """Distinct values, how often each occurs, and the sum of the weights of its rows.

    Attributes:
        values: Array of n values, without nulls.
        sums: Array of shape (n, 2): count, sum of weights.
    """

    values: pa.Array
    sums: npt.NDArray[np.float64]

    @classmethod
    def of(cls, values: pa.Array, weights: npt.NDArray[Any] | None) -> ValueCounts:
        """Counts the values of one batch; without weights each weighs 1."""
        ones = np.ones(len(values))
        return cls(values, np.column_stack([ones, ones if weights is None else weights])).compacted()

    @classmethod
    def joined(cls, parts: Sequence[ValueCounts]) -> ValueCounts:
        """Adds counts up."""
        import pyarrow as pa

        if len(parts) == 1:
            return parts[0]
        return cls(pa.concat_arrays([part.values for part in parts]), np.concatenate([part.sums for part in parts])).compacted()

    def compacted(self) -> ValueCounts:
        """Returns the same counts with each value once."""
        encoded = self.values.dictionary_encode()
        codes, size = encoded.indices.to_numpy(), len(encoded.dictionary)
        sums = [np.bincount(codes, weights=self.sums[:, column], minlength=size) for column in range(self.sums.shape[1])]
        return ValueCounts(encoded.dictionary, np.column_stack(sums))

    def top(self, size: int, column: int) -> ValueCounts:
        """Returns the `size` values with the largest count (column 0) or weight (column 1); of equals the larger values."""
        import pyarrow as pa
        import pyarrow.compute as pc

        table = pa.table({"sum": pa.array(self.sums[:, column]), "value": self.values})
        order = pc.sort_indices(table, sort_keys=[("sum", "descending"), ("value", "descending")])[:size]
        return ValueCounts(self.values.take(order), self.sums[order.to_numpy()])

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return int(self.values.nbytes + self.sums.nbytes)


class ValueCounter:
    """Counts the values of one feature over many batches.

    Args:
        folder: Where counts go that do not fit; made when it is needed.
        memory_bytes: What may be held in memory.
    """

    def __init__(self, folder: Path, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._parts: list[ValueCounts] = []
        self._runs = 0

    def add(self, values: pa.Array, weights: npt.NDArray[Any] | None = None) -> None:
        """Adds the values of a batch, and the weight of each."""
        if len(values):
            self.add_counts(ValueCounts.of(values, weights))

    def add_counts(self, counts: ValueCounts) -> None:
        """Adds what was counted elsewhere."""
        self._parts.append(counts)
        pending = sum(len(part.values) for part in self._parts[1:])
        if pending > max(_PENDING_ROWS, len(self._parts[0].values)):
            self._parts = [ValueCounts.joined(self._parts)]
            if self._parts[0].nbytes > self._memory_bytes:
                self._spill()

    def result(self, size: int) -> tuple[int, ValueCounts, ValueCounts] | None:
        """Returns the number of distinct values and the `size` top ones by count and by weight; None if there was no value."""
        distinct, by_count, by_weight = 0, [], []
        for counts in self.partitions():
            distinct += len(counts.values)
            by_count.append(counts.top(size, 0))
            by_weight.append(counts.top(size, 1))
        if not distinct:
            return None
        return distinct, ValueCounts.joined(by_count).top(size, 0), ValueCounts.joined(by_weight).top(size, 1)

    def _spill(self) -> None:
        """Writes what is in memory to one file per partition; a value belongs to one partition for ever."""
        import pandas as pd
        import pyarrow as pa

        counts = ValueCounts.joined(self._parts)
        hashes = pd.util.hash_array(counts.values.to_numpy(zero_copy_only=False), categorize=False) % _PARTITIONS
        self._folder.mkdir(parents=True, exist_ok=True)
        for partition in np.unique(hashes).tolist():
            chosen = np.flatnonzero(hashes == partition)
            sums = counts.sums[chosen]
            table = pa.table({"value": counts.values.take(pa.array(chosen)), "count": sums[:, 0], "weight": sums[:, 1]})
            with pa.ipc.new_file(str(self._folder / f"{partition}-{self._runs}.arrow"), table.schema) as writer:
                writer.write_table(table)
        self._parts = []
        self._runs += 1

    def partitions(self) -> Iterator[ValueCounts]:
        """Yields counts that have no value in common."""
        if self._runs and self._parts:
            self._spill()
        if not self._runs:
            yield from [ValueCounts.joined(self._parts)] if self._parts else []
            return
        for partition in range(_PARTITIONS):
            files = sorted(self._folder.glob(f"{partition}-*.arrow"))
            if files:
                yield ValueCounts.joined([_read(file) for file in files])


def _read(file: Path) -> ValueCounts:
    import pyarrow as pa

    table = pa.ipc.open_file(str(file)).read_all().combine_chunks()
    columns = [table.column(name).to_numpy() for name in ("count", "weight")]
    value = table.column("value")
    return ValueCounts(value.chunk(0) if value.num_chunks == 1 else pa.concat_arrays(value.chunks), np.column_stack(columns))


def write_counts(file: Path, counters: Iterable[ValueCounter]) -> None:
    """Writes the counts of several counters into one Arrow file; integers are written as text."""
    import pyarrow as pa

    schema = pa.schema([("counter", pa.int32()), ("value", pa.large_binary()), ("count", pa.float64()), ("weight", pa.float64())])
    schema = schema.append(pa.field("is_integer", pa.bool_()))
    with pa.ipc.new_file(str(file), schema) as writer:
        for number, counter in enumerate(counters):
            for counts in counter.partitions():
                is_integer = pa.types.is_integer(counts.values.type)
                values = counts.values.cast(pa.large_string()) if is_integer else counts.values
                size = len(values)
                columns = [pa.repeat(pa.scalar(number, pa.int32()), size), values.cast(pa.large_binary())]
                columns += [pa.array(counts.sums[:, 0]), pa.array(counts.sums[:, 1]), pa.repeat(is_integer, size)]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def read_counts(file: Path) -> Iterator[tuple[int, ValueCounts]]:
    """Yields what `write_counts` wrote, with the number of its counter; a counter may come several times.

    Raises:
        DataError: If the file is damaged.
    """
    import pyarrow as pa

    try:
        reader = pa.ipc.open_file(str(file))
        batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
        for batch in (batch for batch in batches if batch.num_rows):
            number, values, count, weight, is_integer = (batch.column(index) for index in range(5))
            values = values.cast(pa.large_string()).cast(pa.int64()) if is_integer[0].as_py() else values
            yield number[0].as_py(), ValueCounts(values, np.column_stack([count.to_numpy(), weight.to_numpy()]))
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{file} is damaged: {error}", hint="Make it again: --no-cache") from error
