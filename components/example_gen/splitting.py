"""Which split a row belongs to. All ways are deterministic; those that hash give what TFX gives.

TFX (`tfx/components/example_gen/base_example_gen_executor.py`) takes SHA-256 of the record, serialized deterministically, modulo the
sum of the weights; the splits own consecutive numbers in the order in which they are given. Here, records are serialized so in the
first place, and the numbers of all rows of a batch are computed at once.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from components.example_encoder import as_bytes, encode_feature
from pipeline.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Numbers = npt.NDArray[np.int64]

_MOST_CLASSES = 10_000


class Splitter(Protocol):
    """Gives each row the number of a split."""

    def prepare(self, batch: pa.RecordBatch, digests: bytes) -> Any:
        """Does what needs no order; called in several threads. `digests` are those of the records, see `digests_of`."""

    def assign(self, prepared: Any) -> Numbers:
        """Returns the splits of the rows; called in the order of the rows. A row with -1 is in no split."""
        splits: Numbers = prepared
        return splits


class GivenSplit(Splitter):
    """All rows go to the only split."""

    def prepare(self, batch: pa.RecordBatch, digests: bytes) -> Numbers:
        import numpy as np

        return np.zeros(batch.num_rows, np.int64)


class HashSplitter(Splitter):
    """By the hash of the whole record: equal records are in one split, and the order of the rows does not matter."""

    def __init__(self, weights: Sequence[int]) -> None:
        self._weights = weights

    def prepare(self, batch: pa.RecordBatch, digests: bytes) -> Numbers:
        return _splits_of(digests, self._weights)


class KeySplitter(Splitter):
    """By the hash of one feature: all rows with the same value are in one split, and those without a value in none."""

    def __init__(self, feature: str, weights: Sequence[int]) -> None:
        self._feature = feature
        self._weights = weights

    def prepare(self, batch: pa.RecordBatch, digests: bytes) -> Numbers:
        import numpy as np
        import pyarrow as pa

        values, codes = _distinct_values(batch, self._feature)
        kind = _feature_column(batch, self._feature).type
        if pa.types.is_floating(getattr(kind, "value_type", kind)):
            raise DataError(
                f"split_by: feature '{self._feature}' holds floats.", hint="Expected integers or strings, such as the id of a customer."
            )
        return np.where([value == b"" for value in values], -1, _splits_of(digests_of(values), self._weights))[codes]


class StratifiedSplitter(Splitter):
    """By a label: each class has the wanted proportions, exact up to rounding, also among its first rows.

    Rows are taken in the order of the files. Rows without a value are a class of their own.
    """

    def __init__(self, feature: str, weights: Sequence[int]) -> None:
        import numpy as np

        self._feature = feature
        self._turns = np.array(_turns(weights))
        self._seen: dict[bytes, int] = {}

    def prepare(self, batch: pa.RecordBatch, digests: bytes) -> tuple[list[bytes], Numbers]:
        return _distinct_values(batch, self._feature)

    def assign(self, prepared: tuple[list[bytes], Numbers]) -> Numbers:
        import numpy as np

        values, codes = prepared
        order = np.argsort(codes, kind="stable")
        counts = np.bincount(codes, minlength=len(values))
        before = np.array([self._seen.get(value, 0) for value in values])
        ranks = np.empty(len(codes), np.int64)
        ranks[order] = np.arange(len(codes)) + np.repeat(before - (np.cumsum(counts) - counts), counts)
        self._seen.update(zip(values, (before + counts).tolist(), strict=True))
        if len(self._seen) > _MOST_CLASSES:
            raise DataError(
                f"stratify_by: feature '{self._feature}' has more than {_MOST_CLASSES:,} different values.",
                hint="Name a label with few classes.",
            )
        turns: Numbers = self._turns[ranks % len(self._turns)]
        return turns


def make_splitter(weights: Mapping[str, int], *, split_by: str | None, stratify_by: str | None) -> Splitter:
    """Returns the splitter that the parameters of an ExampleGen describe."""
    if split_by is not None:
        return KeySplitter(split_by, tuple(weights.values()))
    if stratify_by is not None:
        return StratifiedSplitter(stratify_by, tuple(weights.values()))
    return HashSplitter(tuple(weights.values()))


def check_feature(feature: str | None, columns: Sequence[str] | None) -> None:
    """Raises `DataError` if the feature that decides is not among the columns."""
    if feature is not None and columns is not None and feature not in columns:
        raise DataError(f"The rows are to be split by '{feature}', and the input has no such column.{did_you_mean(feature, columns)}")


def _distinct_values(batch: pa.RecordBatch, feature: str) -> tuple[list[bytes], Numbers]:
    """Returns the distinct values of a feature, serialized and b"" for none, and the number of its value for each row."""
    encoded = encode_feature(feature, _feature_column(batch, feature)).dictionary_encode()
    return as_bytes(encoded.dictionary), encoded.indices.to_numpy(zero_copy_only=False).astype("int64")


def _feature_column(batch: pa.RecordBatch, feature: str) -> pa.Array:
    """Returns the values of a feature, all missing where no record of the batch has it."""
    import pyarrow as pa

    index = batch.schema.get_field_index(feature)
    return batch.column(index) if index >= 0 else pa.nulls(batch.num_rows)


def digests_of(records: Sequence[bytes]) -> bytes:
    """Returns SHA-256 of each record, behind one another."""
    return b"".join([state.digest() for state in map(hashlib.sha256, records)])


def _splits_of(digests: bytes, weights: Sequence[int]) -> Numbers:
    """Returns the split of each digest: it as a number, modulo the sum of the weights."""
    import numpy as np

    total = np.uint64(sum(weights))
    remainder = np.zeros(len(digests) // hashlib.sha256().digest_size, np.uint64)
    for word in np.frombuffer(digests, ">u4").reshape(-1, 8).T.astype(np.uint64):
        remainder = (remainder << np.uint64(32) | word) % total
    return np.searchsorted(np.cumsum(weights), remainder.astype(np.int64), side="right")


def _turns(weights: Sequence[int]) -> list[int]:
    """Returns the split of each of the first rows of a class, until the weights are met: always the one that lacks most."""
    divisor = math.gcd(*weights)
    weights = [weight // divisor for weight in weights]
    total = sum(weights)
    given = [0] * len(weights)
    turns = []
    for row in range(1, total + 1):
        chosen = max(range(len(weights)), key=lambda split: weights[split] * row - given[split] * total)
        given[chosen] += 1
        turns.append(chosen)
    return turns
