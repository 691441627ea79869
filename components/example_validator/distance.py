"""How far two distributions of a feature are apart: TensorFlow Data Validation's (TFDV) distances, on the statistics it wrote.

TFDV itself measures what is compared with a threshold. The same formulas are here so that they can be applied to samples that are
drawn (`chance.py`), and the values can be named whose shares changed most. Needs numpy and protocol buffers only.

Source of the formulas: `tensorflow_data_validation/anomalies/metrics.cc`. L-infinity is the largest difference of the shares of a
value. The Jensen-Shannon divergence is the mean of the Kullback-Leibler divergences, in bits, of both distributions from their mean
(Lin 1991, "Divergence measures based on the Shannon entropy").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from tensorflow_metadata.proto.v0 import statistics_pb2

    Array: TypeAlias = npt.NDArray[np.float64]

L_INFINITY = "L_INFTY"
JENSEN_SHANNON = "JENSEN_SHANNON_DIVERGENCE"
"""The names of `DriftSkewInfo.Measurement.Type`."""

SHOWN_CHANGES = 3
_RANGES = 10
_SMALLEST_WIDTH = 1e-9  # of a range: a single value is a range of its own


@dataclass(frozen=True)
class Change:
    """A value, or a range of values, with its share of all values before and now."""

    value: str
    before: float
    now: float

    def __str__(self) -> str:
        return f"{self.value} {self.before:.1%} -> {self.now:.1%}"


@dataclass(frozen=True)
class Categories:
    """How often each text occurs before and now, `(values,)` each."""

    labels: tuple[str, ...]
    before: Array
    now: Array

    @property
    def totals(self) -> tuple[float, float]:
        """How many values there are before and now."""
        return float(self.before.sum()), float(self.now.sum())

    def distance(self, measure: str) -> float | None:
        """Returns TFDV's distance; None if it has none of that name for texts."""
        found = category_distance(measure, self.before[None], self.now[None])
        return None if found is None else float(found[0])

    def changes(self) -> tuple[Change, ...]:
        """Returns the values whose shares changed most."""
        return _largest([repr(label) for label in self.labels], _shares(self.before), _shares(self.now))


@dataclass(frozen=True)
class Shares:
    """What the statistics of numbers tell of the share of all values up to a bound.

    Attributes:
        bounds: Ascending bounds.
        up_to: The share up to each; between them it grows evenly, as far as is known.
        unclear: Ranges where less is known, `(ranges, 3)`: from, to, and by how much the share may be off in them.
        total: How many values there are.
    """

    bounds: Array
    up_to: Array
    unclear: Array
    total: float

    def at(self, places: Array) -> Array:
        """Returns the likely share up to each place."""
        import numpy as np

        result: Array = np.interp(places, self.bounds, self.up_to, left=0.0, right=1.0)
        return result

    def slack(self, places: Array) -> Array:
        """Returns by how much the share up to each place may be off.

        Between two bounds the density may fall or rise: where it goes evenly from its left neighbour's to its right one's, the share is
        off by at most a quarter of their difference. In front of the second and behind the last but one bound nothing is known.
        """
        import numpy as np

        held, width = np.diff(self.up_to), np.maximum(np.diff(self.bounds), np.finfo(float).tiny)
        density = held / width
        bend = np.ones(len(held))
        bend[1:-1] = np.minimum(1, np.abs(density[2:] - density[:-2]) * width[1:-1] / np.maximum(2 * held[1:-1], np.finfo(float).tiny)) / 4
        segment = np.searchsorted(self.bounds, places).clip(1, len(self.bounds) - 1)
        result = np.where(np.isin(places, self.bounds), 0.0, (held * bend)[segment - 1])
        for low, high, slack in self.unclear.tolist():
            inside = (places >= low) & (places <= high)
            result[inside] = np.maximum(result[inside], slack)
        return result


@dataclass(frozen=True)
class Numbers:
    """The distribution of numbers before and now."""

    before: Shares
    now: Shares

    @property
    def totals(self) -> tuple[float, float]:
        """How many values there are before and now."""
        return self.before.total, self.now.total

    def least_difference(self) -> float:
        """Returns the largest difference of the shares of values up to any bound, as far as the statistics are sure of it."""
        import numpy as np

        places = np.union1d(self.before.bounds, self.now.bounds)
        differences = np.abs(self.before.at(places) - self.now.at(places))
        return max(0.0, float((differences - self.before.slack(places) - self.now.slack(places)).max()))

    def changes(self) -> tuple[Change, ...]:
        """Returns the ranges whose shares changed most, of ranges that hold about a tenth of all values each."""
        import numpy as np

        bounds = np.union1d(self.before.bounds, self.now.bounds)
        first, second = self.totals
        up_to = (first * self.before.at(bounds) + second * self.now.at(bounds)) / (first + second)
        cuts = bounds[np.unique(np.searchsorted(up_to, np.linspace(0, up_to[-1], _RANGES + 1)).clip(0, len(bounds) - 1))]
        before, now = np.diff(self.before.at(cuts)), np.diff(self.now.at(cuts))
        smallest = 2 * _SMALLEST_WIDTH * (bounds[-1] - bounds[0])
        names = [_range(low, high, smallest) for low, high in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)]
        return _largest(names, before, now)


def distributions(before: statistics_pb2.FeatureNameStatistics, now: statistics_pb2.FeatureNameStatistics) -> Categories | Numbers | None:
    """Returns the distributions of a feature; None if one has no values, or they are of different kinds or not finite."""
    kinds = {before.WhichOneof("stats"), now.WhichOneof("stats")}
    if kinds == {"string_stats"}:
        return _categories(before.string_stats, now.string_stats)
    if kinds == {"num_stats"}:
        return _numbers(before, now)
    return None


def category_distance(measure: str, before: Array, now: Array) -> Array | None:
    """Returns the distance of each row of counts `(rows, values)` from the same row of the other; None if there is none such."""
    import numpy as np

    if measure not in (L_INFINITY, JENSEN_SHANNON):
        return None
    shares, others = (counts / counts.sum(axis=1, keepdims=True) for counts in (before, now))
    return np.abs(shares - others).max(axis=1) if measure == L_INFINITY else divergence(shares, others)


def divergence(shares: Array, others: Array) -> Array:
    """Returns the Jensen-Shannon divergence, in bits, of each row of shares from the same row of the other."""
    import numpy as np

    middle = (shares + others) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [np.where(part > 0, part * np.log2(part / middle), 0.0) for part in (shares, others)]
    result: Array = np.minimum((terms[0] + terms[1]).sum(axis=1) / 2, 1.0)
    return result


def _categories(before: statistics_pb2.StringStatistics, now: statistics_pb2.StringStatistics) -> Categories | None:
    import numpy as np

    counts = [{bucket.label: bucket.sample_count for bucket in strings.rank_histogram.buckets} for strings in (before, now)]
    labels = tuple(dict.fromkeys([*counts[0], *counts[1]]))
    found = Categories(labels, *(np.array([count.get(label, 0.0) for label in labels]) for count in counts))
    return found if all(total > 0 for total in found.totals) else None


def _numbers(before: statistics_pb2.FeatureNameStatistics, now: statistics_pb2.FeatureNameStatistics) -> Numbers | None:
    import numpy as np
    from tensorflow_metadata.proto.v0 import statistics_pb2

    kinds = statistics_pb2.Histogram
    histograms = [{histogram.type: histogram for histogram in one.num_stats.histograms} for one in (before, now)]
    for found in histograms:
        buckets = [bucket for one in found.values() for bucket in one.buckets]
        if set(found) != {kinds.STANDARD, kinds.QUANTILES} or found[kinds.STANDARD].num_nan or not buckets:
            return None
        if not all(math.isfinite(bound) for bucket in buckets for bound in (bucket.low_value, bucket.high_value)):
            return None
    ends = [end for one in (before, now) for end in (one.num_stats.min, one.num_stats.max)]
    aside = _SMALLEST_WIDTH * max(max(ends) - min(ends), abs(max(ends)) * _SMALLEST_WIDTH, np.finfo(float).tiny)
    is_whole = before.type == now.type == statistics_pb2.FeatureNameStatistics.INT
    inner = [{bucket.high_value for bucket in found[kinds.QUANTILES].buckets[:-1]} for found in histograms]
    shared = set() if is_whole else inner[0] & inner[1]
    first, second = (
        _shares_of(one.num_stats, found[kinds.STANDARD], found[kinds.QUANTILES], aside, shared, is_whole=is_whole)
        for one, found in zip((before, now), histograms, strict=True)
    )
    return Numbers(first, second) if first.total > 0 and second.total > 0 else None


def _shares_of(numbers: Any, standard: Any, quantiles: Any, aside: float, shared: set[float], *, is_whole: bool) -> Shares:
    """Reads both histograms of a feature.

    A value that alone holds a share has two points at one place; the second is moved aside by next to nothing. How much of the
    buckets beside such a value belongs to it is not known, unless the value is 0, which is counted. The same holds beside a quantile
    that is exactly that of the other data (`shared`), such as a round amount of money. Of whole numbers, a bucket's bound is a number
    that may lie on either side.
    """
    import numpy as np

    total = float(sum(bucket.sample_count for bucket in standard.buckets))
    zeros = numbers.num_zeros / total if numbers.min == 0 and total else None
    points = [] if zeros is None else [(0.0, 0.0), (0.0, zeros)]
    unclear: list[tuple[float, float, float]] = []
    for histogram in (standard, quantiles):
        all_values, up_to = sum(bucket.sample_count for bucket in histogram.buckets), 0.0
        ties = shared | {bucket.low_value for bucket in histogram.buckets if bucket.low_value == bucket.high_value}
        for low, high, count in ((bucket.low_value, bucket.high_value, bucket.sample_count) for bucket in histogram.buckets):
            is_known = low == 0 and zeros is not None
            start, up_to = up_to, up_to + count / max(all_values, 1)
            start = max(start, zeros or 0.0) if is_known and low < high else start
            points += [(low, start), (high, max(up_to, start))]
            beside_tie = high in ties or (low in ties and not is_known)
            if low < high and histogram is quantiles and (beside_tie or is_whole):
                unclear.append((low, high, up_to - start if beside_tie else (up_to - start) / (high - low)))
    bounds, shares = _rising(points, aside)
    return Shares(bounds, shares, np.array(unclear).reshape(-1, 3), total)


def _rising(points: list[tuple[float, float]], aside: float) -> tuple[Array, Array]:
    """Returns rising bounds and shares of points in any order."""
    import numpy as np

    points = sorted(points)
    bounds, shares = np.array([bound for bound, _ in points]), np.maximum.accumulate([share for _, share in points])
    places, first = np.unique(bounds, return_index=True)
    last = np.concatenate([first[1:], [len(bounds)]]) - 1
    jumps = shares[last] > shares[first]
    joined = np.concatenate([places, places[jumps] + aside])
    order = np.argsort(joined, kind="stable")
    return joined[order], np.concatenate([shares[first], shares[last][jumps]])[order]


def _shares(counts: Array) -> Array:
    shares: Array = counts / counts.sum()
    return shares


def _largest(names: Sequence[str], before: Array, now: Array) -> tuple[Change, ...]:
    import numpy as np

    order = np.argsort(-np.abs(now - before), kind="stable")[:SHOWN_CHANGES]
    return tuple(Change(names[place], float(before[place]), float(now[place])) for place in order.tolist() if before[place] != now[place])


def _range(low: float, high: float, smallest: float) -> str:
    return f"{low:.6g}" if high - low <= smallest else f"{low:.6g} to {high:.6g}"
