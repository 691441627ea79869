"""How sure a change of a distribution is: what chance alone makes of it with so many values.

Texts: a permutation test of TFDV's own distance. If nothing changed, all values of both sets are one, and which of them came earlier
is chance: they are dealt out again, many times, into sets of the same sizes (a multivariate hypergeometric draw of the counts), and
the distance is taken each time. The p-value is `(1 + b) / (1 + n)`, where `b` of `n` distances are at least the measured one
(Phipson and Smyth 2010, "Permutation p-values should never be zero"). It is exact for any distance and any number of rare values;
samples drawn from the pooled shares instead make the Jensen-Shannon divergence of a text with many rare values look sure in a
quarter of all cases without any change.

Numbers: the two-sample Kolmogorov-Smirnov test on what the statistics tell of both distributions. TFDV's divergence rests on buckets
of equal width from the smallest to the largest value, so that a single far-off value moves all of them, and the statistics do not
tell what chance makes of that. The largest difference `d` between the shares of values up to any bound does not suffer from it. With
`e = n m / (n + m)` its p-value is Kolmogorov's `Q((sqrt(e) + 0.12 + 0.11 / sqrt(e)) d)` (Stephens 1970, "Use of the Kolmogorov-Smirnov,
Cramer-Von Mises and Related Statistics Without Extensive Tables"). Where the statistics leave a share open (beside a
value that many rows have), what they are sure of is `d`. TFDV's quantiles are right up to a rank error of 1 %, of which each side has
one: it is taken off `d` first.

Both take the values for independent. Where rows come in bursts, as the hours of one day do, chance makes more than is said here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.example_validator.distance import Categories, Numbers, category_distance

if TYPE_CHECKING:
    from components.example_validator.distance import Array

SAMPLES = 999
LEVEL = 0.95
PERMUTATION, KOLMOGOROV_SMIRNOV = "permutation", "Kolmogorov-Smirnov"

_RANK_ERROR = 0.01  # TFDV's StatsOptions.epsilon
_SEED = 20200229
_CELLS_AT_ONCE = 1 << 20
_MOST_COUNTED = 10**9  # numpy's limit of such draws; with more values a draw without replacement is one with
_EXPECTED, _UPPER = math.sqrt(math.pi / 2) * math.log(2), 1.3581
"""Mean and 95 % point of Kolmogorov's distribution."""


@dataclass(frozen=True)
class Chance:
    """What chance alone makes.

    Attributes:
        method: `permutation`, of the measured distance, or `Kolmogorov-Smirnov`, of the shares of values up to any bound.
        observed: The distance, or the largest difference of these shares that is sure.
        expected: The mean of what chance makes of it.
        upper: 95 % of that is smaller.
        p_value: In which share of all cases chance makes as much or more.
    """

    method: str
    observed: float
    expected: float
    upper: float
    p_value: float


def chance_of(distance: float, measure: str, found: Categories | Numbers, *, samples: int = SAMPLES) -> Chance | None:
    """Returns what chance makes of a change; None if it cannot be said for this measure.

    Args:
        distance: The distance that TFDV measured.
        measure: `L_INFTY` or `JENSEN_SHANNON_DIVERGENCE`.
        found: The distributions.
        samples: How often the values are dealt out; always in the same ways for the same counts.
    """
    import numpy as np

    if isinstance(found, Numbers):
        return _of_numbers(found)
    drawn = _of_texts(measure, found, samples)
    if drawn is None:
        return None
    reached = int((drawn >= distance * (1 - 1e-9)).sum())
    return Chance(PERMUTATION, distance, float(drawn.mean()), float(np.quantile(drawn, LEVEL)), (1 + reached) / (1 + len(drawn)))


def _of_texts(measure: str, found: Categories, samples: int) -> Array | None:
    import numpy as np

    generator = np.random.default_rng(_SEED)
    pooled = np.round(found.before).astype(np.int64) + np.round(found.now).astype(np.int64)
    size = int(np.round(found.before).sum())
    at_once = max(1, _CELLS_AT_ONCE // len(pooled))
    parts = []
    for start in range(0, samples, at_once):
        count = min(at_once, samples - start)
        if pooled.sum() < _MOST_COUNTED:
            before = generator.multivariate_hypergeometric(pooled, size, count, method="marginals")
        else:
            before = np.minimum(generator.multinomial(size, pooled / pooled.sum(), count), pooled)
        distance = category_distance(measure, before.astype(np.float64), (pooled - before).astype(np.float64))
        if distance is None:
            return None
        parts.append(distance)
    return np.concatenate(parts)


def _of_numbers(found: Numbers) -> Chance:
    from scipy.special import kolmogorov

    first, second = found.totals
    root = math.sqrt(first * second / (first + second))
    scale = root + 0.12 + 0.11 / root
    observed = found.least_difference()
    certain = max(0.0, observed - 2 * _RANK_ERROR)
    return Chance(KOLMOGOROV_SMIRNOV, observed, _EXPECTED / scale, _UPPER / scale, float(kolmogorov(scale * certain)))
