"""Statistics as cards, one for each feature: one split beside another, of the same artifact or of another span."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Summary = Mapping[str, Any]
PER_PAGE = 60
HISTOGRAM_WIDTH, HISTOGRAM_HEIGHT = 320.0, 84.0
_TOP_VALUES = 8
_FACTS = ("mean", "std", "min", "median", "max", "zeros", "not_a_number")


@dataclass(frozen=True)
class Bin:
    """A bar of a histogram, in pixels from the upper left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Histogram:
    """Two histograms over one axis, the second one drawn as an outline."""

    low: float
    high: float
    first: tuple[Bin, ...]
    second: tuple[Bin, ...]


@dataclass(frozen=True)
class TopValue:
    """A value with its share of all values, on each side."""

    value: str
    first: float | None
    second: float | None


@dataclass(frozen=True)
class Fact:
    """A number on each side."""

    name: str
    first: float | None
    second: float | None


@dataclass(frozen=True)
class FeatureCard:
    """A feature.

    Attributes:
        name: Its name.
        type: Its type.
        missing: The share of rows that lack it, on each side; None where the side does not have the feature.
        facts: Its numbers.
        histogram: Of a numeric feature.
        top: The most frequent values.
        unique: Distinct values on each side.
        quantiles: Bounds of buckets of equal count on the first side.
    """

    name: str
    type: str
    missing: tuple[float | None, float | None]
    facts: tuple[Fact, ...]
    histogram: Histogram | None
    top: tuple[TopValue, ...]
    unique: tuple[int | None, int | None]
    quantiles: tuple[float | None, ...]


@dataclass(frozen=True)
class StatisticsContents:
    """Statistics, one side beside another.

    Attributes:
        labels: What the sides are; the second is empty where there is one side only.
        rows: Rows of each side.
        splits: The splits of the artifact.
        features: The features of this page.
        matching: How many there are on all pages.
        page: Number of the page.
        pages: How many there are.
        text: What the names were filtered by.
        slices: Rows of each slice.
    """

    labels: tuple[str, str]
    rows: tuple[int, int | None]
    splits: tuple[str, ...]
    features: tuple[FeatureCard, ...]
    matching: int
    page: int
    pages: int
    text: str
    slices: Mapping[str, int]


def statistics_contents(
    summary: Summary, other: Summary | None, *, split: str = "", against: str = "", other_label: str = "", text: str = "", page: int = 1
) -> StatisticsContents:
    """Returns statistics as they are shown.

    Args:
        summary: Of the artifact.
        other: Of another artifact to compare with, by the split of the same name; None to compare two splits of this one.
        split: The split; the first one if there is none of that name.
        against: Another split of this artifact to compare with; the next one if there is none of that name.
        other_label: What the other artifact is.
        text: Only features with this text in their names.
        page: Number of the page, from 1.
    """
    splits = summary["splits"]
    names = list(splits)
    chosen = split if split in splits else "train" if "train" in splits else names[0]
    first = splits[chosen]
    if other is not None:
        second, label = other["splits"].get(chosen), f"{chosen} of {other_label}"
    else:
        beside = against if against in splits else next((name for name in names if name != chosen), "")
        second, label = splits.get(beside), beside
    features = {feature["name"]: feature for feature in first["features"]}
    others = {feature["name"]: feature for feature in second["features"]} if second else {}
    matching = [name for name in dict.fromkeys((*features, *others)) if text.casefold() in name.casefold()]
    pages = max(1, -(-len(matching) // PER_PAGE))
    page = min(max(1, page), pages)
    shown = matching[(page - 1) * PER_PAGE : page * PER_PAGE]
    return StatisticsContents(
        labels=(chosen, label if second else ""),
        rows=(first["rows"], second["rows"] if second else None),
        splits=tuple(names),
        features=tuple(_card(name, features.get(name), others.get(name)) for name in shown),
        matching=len(matching),
        page=page,
        pages=pages,
        text=text,
        slices=dict(first.get("slices") or {}),
    )


def _card(name: str, first: Summary | None, second: Summary | None) -> FeatureCard:
    sides = (first, second)
    numbers = [side.get("numeric") if side else None for side in sides]
    strings = [side.get("strings") if side else None for side in sides]
    known = first if first is not None else second
    facts = [
        Fact(fact.replace("_", " "), *(found.get(fact) if found else None for found in numbers))
        for fact in _FACTS
        if any(found and found.get(fact) not in (None, 0 if fact in ("zeros", "not_a_number") else None) for found in numbers)
    ]
    lengths = [side.get("bytes") if side else None for side in sides]
    facts += [
        Fact(f"{fact} bytes", *(found.get(fact) if found else None for found in lengths)) for fact in ("min", "mean", "max") if any(lengths)
    ]
    return FeatureCard(
        name=name,
        type=str(known["type"]) if known else "",
        missing=(_missing(first), _missing(second)),
        facts=tuple(facts),
        histogram=_histogram([found["histogram"] if found else [] for found in numbers]),
        top=_top(sides, strings),
        unique=(strings[0]["unique"] if strings[0] else None, strings[1]["unique"] if strings[1] else None),
        quantiles=tuple(numbers[0]["quantiles"]) if numbers[0] else (),
    )


def _missing(side: Summary | None) -> float | None:
    if side is None:
        return None
    rows = side["present"] + side["missing"]
    return side["missing"] / rows if rows else 0.0


def _top(sides: Sequence[Summary | None], strings: Sequence[Summary | None]) -> tuple[TopValue, ...]:
    shares: list[dict[str, float]] = []
    for side, found in zip(sides, strings):
        total = side["values"] if side else 0
        shares.append({top["value"]: top["count"] / total for top in found["top_values"]} if found and total else {})
    names = list(dict.fromkeys([*list(shares[0])[:_TOP_VALUES], *list(shares[1])[: _TOP_VALUES // 2]]))[: _TOP_VALUES + 2]
    return tuple(TopValue(name, shares[0].get(name), shares[1].get(name)) for name in names)


def _histogram(sides: Sequence[Sequence[Summary]]) -> Histogram | None:
    """Returns histograms over one axis; heights are densities, so that buckets of other widths can be compared."""
    known = [[(b["low"], b["high"], b["count"]) for b in side if b["low"] is not None and b["high"] is not None] for side in sides]
    bounds = [bound for side in known for low, high, count in side if count for bound in (low, high)]
    if not bounds:
        return None
    low, high = min(bounds), max(bounds)
    least = (high - low) / HISTOGRAM_WIDTH or 1.0
    densities = []
    for side in known:
        total = sum(count for _, _, count in side) or 1.0
        densities.append([(a, b, count / total / max(b - a, least)) for a, b, count in side if count])
    top = max((density for side in densities for _, _, density in side), default=1.0)
    scale = HISTOGRAM_WIDTH / (high - low) if high > low else 0.0

    def bar(a: float, b: float, density: float) -> Bin:
        x, tall = (a - low) * scale, max(1.0, density / top * (HISTOGRAM_HEIGHT - 2))
        wide = max((b - a) * scale, 2.0) if scale else 24.0
        return Bin(round(x, 1), round(HISTOGRAM_HEIGHT - tall, 1), round(max(wide - 0.6, 1.0), 1), round(tall, 1))

    first, second = (tuple(bar(*found) for found in side) for side in densities)
    return Histogram(low, high, first, second)
