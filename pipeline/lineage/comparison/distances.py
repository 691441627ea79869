"""How far apart two distributions are, from the summaries of statistics: what TensorFlow Data Validation measures as drift and skew.

The L-infinity distance is the largest difference between the shares of one value. The Jensen-Shannon divergence is that of base 2, from 0
to 1; histograms with other buckets are first cut at all bounds of both, as if the values of a bucket were spread evenly. Both give
what TFDV gives for the same statistics (its source: tensorflow_data_validation/anomalies/metrics.cc).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Counts = Mapping[str, float]


@dataclass(frozen=True)
class Bucket:
    """A bucket of a histogram; a bound is infinite where the statistics have no number for it."""

    low: float
    high: float
    count: float


@dataclass(frozen=True)
class Histogram:
    """A histogram of equally wide buckets, and how many values are no number."""

    buckets: tuple[Bucket, ...] = ()
    not_a_number: float = 0


@dataclass(frozen=True)
class Distance:
    """How far apart two distributions of a feature are.

    Attributes:
        l_infinity: The largest difference between shares of one value; None for numbers.
        value: The value with that difference.
        jensen_shannon: From 0 (equal) to 1 (nothing in common).
    """

    l_infinity: float | None = None
    value: str = ""
    jensen_shannon: float | None = None

    @property
    def size(self) -> float:
        """The larger of both; 0 if neither is known."""
        return max(self.l_infinity or 0.0, self.jensen_shannon or 0.0)


def l_infinity(before: Counts, after: Counts) -> tuple[float, str]:
    """Returns the largest difference between the shares of one value, and the value."""
    first, second = _shares(before), _shares(after)
    return max(((abs(second.get(value, 0.0) - first.get(value, 0.0)), value) for value in {*first, *second}), default=(0.0, ""))


def jensen_shannon(before: Counts, after: Counts) -> float:
    """Returns the Jensen-Shannon divergence of two distributions of values.

    Raises:
        ValueError: If one has no values.
    """
    values = sorted({*before, *after})
    return _divergence([before.get(value, 0.0) for value in values], [after.get(value, 0.0) for value in values])


def jensen_shannon_of_histograms(before: Histogram, after: Histogram) -> float:
    """Returns the Jensen-Shannon divergence of two histograms.

    Raises:
        ValueError: If one has no values.
    """
    parts = [_parted(histogram) for histogram in (before, after)]
    bounds = sorted({bound for part in parts for bucket in part.wide for bound in (bucket.low, bucket.high)})
    points = sorted({point for part in parts for point in part.points})
    masses = [[*_spread(part.wide, bounds), *(part.points.get(point, 0.0) for point in points)] for part in parts]
    # What has an infinite bound, or is no number, is the same as nothing of the other side.
    for place, alone in enumerate((parts[0].infinite, parts[1].infinite, before.not_a_number, after.not_a_number)):
        masses[place % 2].append(alone)
        masses[1 - place % 2].append(0.0)
    return _divergence(masses[0], masses[1])


@dataclass
class _Parted:
    """A histogram without the buckets that have no width or no end."""

    wide: list[Bucket] = field(default_factory=list)
    points: dict[float, float] = field(default_factory=lambda: defaultdict(float))
    infinite: float = 0.0


def _parted(histogram: Histogram) -> _Parted:
    parted = _Parted()
    for bucket in histogram.buckets:
        if not (math.isfinite(bucket.low) and math.isfinite(bucket.high)):
            parted.infinite += bucket.count
        elif bucket.low == bucket.high:
            parted.points[bucket.low] += bucket.count
        else:
            parted.wide.append(bucket)
    return parted


def _spread(buckets: Sequence[Bucket], bounds: Sequence[float]) -> list[float]:
    """Returns what lies between each two bounds; each bound of a bucket is among them."""
    masses = []
    waiting = iter(buckets)
    bucket = next(waiting, None)
    for low, high in pairwise(bounds):
        while bucket is not None and bucket.high <= low:
            bucket = next(waiting, None)
        inside = bucket is not None and bucket.low <= low and high <= bucket.high
        masses.append(bucket.count * (high - low) / (bucket.high - bucket.low) if bucket is not None and inside else 0.0)
    return masses


def _divergence(first: Sequence[float], second: Sequence[float]) -> float:
    totals = sum(first), sum(second)
    if not all(totals):
        raise ValueError("A distribution without values has no distance to another.")
    divergence = 0.0
    for p, q in zip((mass / totals[0] for mass in first), (mass / totals[1] for mass in second), strict=True):
        middle = (p + q) / 2
        divergence += p * math.log2(p / middle) if p else 0.0
        divergence += q * math.log2(q / middle) if q else 0.0
    return min(max(divergence / 2, 0.0), 1.0)


def _shares(counts: Counts) -> dict[str, float]:
    total = sum(counts.values())
    return {value: count / total for value, count in counts.items()} if total else {}
