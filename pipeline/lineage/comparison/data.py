"""Data, schemas and metrics of two sides, from the summaries that the components leave beside their payloads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.artifacts import Artifact
from pipeline.errors import DataError
from pipeline.lineage.comparison.changes import (
    Change,
    DataChange,
    FeatureChange,
    FeatureFacts,
    Measured,
    MetricChange,
    SchemaChange,
)
from pipeline.lineage.comparison.distances import (
    Bucket,
    Counts,
    Distance,
    Histogram,
    jensen_shannon,
    jensen_shannon_of_histograms,
    l_infinity,
)
from pipeline.lineage.comparison.sides import Place, Side

_NUMBERS = ("mean", "std", "min", "median", "max")
_Summary = Mapping[str, Any]


def data_changes(before: Side, after: Side) -> Iterator[DataChange]:
    """Yields how the statistics of each split are different, splits in their order; equal statistics are not read."""
    for place, (first, second) in _pairs(before, after, "ExampleStatistics"):
        source = ".".join(place)
        if first is not None and second is not None and first.digest and first.digest == second.digest:
            continue
        summaries, problem = _summaries(first, second)
        splits = [summary.get("splits", {}) for summary in summaries]
        for split in dict.fromkeys([*splits[0], *splits[1]]):
            one, two = (side.get(split) for side in splits)
            features = tuple(sorted(_features(one or {}, two or {}), key=_by_change)) if one and two else ()
            yield DataChange(source, split, one and one.get("rows"), two and two.get("rows"), features)
        if problem:
            yield DataChange(source, "", None, None, (), problem)


def feature_distance(before: _Summary, after: _Summary) -> Distance | None:
    """Returns how far apart a feature is in two summaries of statistics; None where one has no values, or they are of two kinds."""
    first, second = _counts(before), _counts(after)
    if first and second:
        largest, value = l_infinity(first, second)
        return Distance(largest, value, jensen_shannon(first, second))
    histograms = [_histogram(feature) for feature in (before, after)]
    if not first and not second and all(histogram.buckets for histogram in histograms):
        return Distance(jensen_shannon=jensen_shannon_of_histograms(*histograms))
    return None


def schema_changes(before: Side, after: Side) -> Iterator[SchemaChange]:
    """Yields what two schemas demand of features, where it is different."""
    for place, (first, second) in _pairs(before, after, "Schema"):
        if first is None or second is None or first.digest == second.digest:
            continue
        (one, two), problem = _summaries(first, second)
        if problem:
            continue
        features = [{feature.get("name", ""): feature for feature in summary.get("features", ())} for summary in (one, two)]
        for name in dict.fromkeys([*features[0], *features[1]]):
            changes = _schema_feature(features[0].get(name), features[1].get(name))
            if changes is not None:
                yield SchemaChange(".".join(place), name, *changes)


def metric_changes(before: Side, after: Side) -> Iterator[MetricChange]:
    """Yields each metric on each slice, also where both sides have the same value: all rows first."""
    for place, (first, second) in _pairs(before, after, "ModelEvaluation"):
        slices = [{part.get("name", ""): part for part in summary.get("slices", ())} for summary in _summaries(first, second)[0]]
        for name in dict.fromkeys([*slices[0], *slices[1]]):
            one, two = (side.get(name, {}) for side in slices)
            metrics = [part.get("metrics") or {} for part in (one, two)]
            for metric in dict.fromkeys([*metrics[0], *metrics[1]]):
                values = (_measured(metrics[0].get(metric)), _measured(metrics[1].get(metric)))
                yield MetricChange(".".join(place), name, metric, *values, one.get("examples"), two.get("examples"))


def flattened(value: Any, prefix: str = "") -> dict[str, Any]:
    """Returns the leaves of nested objects by dotted name; lists are leaves."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    found: dict[str, Any] = {}
    for name, item in value.items():
        found |= flattened(item, f"{prefix}.{name}" if prefix else str(name))
    return found


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Returns the values that are different, by name."""
    names = dict.fromkeys([*before, *after])
    return tuple(Change(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name))


def _pairs(before: Side, after: Side, type_name: str) -> Iterator[tuple[Place, tuple[Artifact | None, Artifact | None]]]:
    """Yields the artifacts of a type that come from one place on both sides; a type with one place on each side is one pair."""
    first, second = before.of_type(type_name), after.of_type(type_name)
    if len(first) == len(second) == 1:
        yield next(iter(second)), (next(iter(first.values())), next(iter(second.values())))
        return
    for place in dict.fromkeys([*first, *second]):
        yield place, (first.get(place), second.get(place))


def _summaries(first: Artifact | None, second: Artifact | None) -> tuple[list[_Summary], str]:
    """Returns both summaries, empty ones where there are none, and why one of them could not be read."""
    found: list[_Summary] = []
    problems = []
    for artifact in (first, second):
        try:
            summary: _Summary = artifact.summary() if artifact is not None else {}
        except DataError as error:
            summary = {}
            problems.append(error.message)
        if artifact is not None and not summary and not problems:
            problems.append(f"the summary of {artifact.type_name} {artifact.id} is not there any more")
        found.append(summary)
    return found, "; ".join(problems)


def _features(before: _Summary, after: _Summary) -> Iterator[FeatureChange]:
    sides = [{feature.get("name", ""): feature for feature in split.get("features", ())} for split in (before, after)]
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        first, second = (side.get(name) for side in sides)
        distance = feature_distance(first, second) if first and second else None
        yield FeatureChange(name, _facts(first), _facts(second), distance)


def _by_change(change: FeatureChange) -> tuple[bool, float, str]:
    gone = change.before is None or change.after is None
    missing = abs((change.before.missing or 0) - (change.after.missing or 0)) if change.before and change.after else 1.0
    return (not gone, -max(change.distance.size if change.distance else 0.0, missing), change.feature)


def _facts(feature: _Summary | None) -> FeatureFacts | None:
    if feature is None:
        return None
    rows = (feature.get("present") or 0) + (feature.get("missing") or 0)
    numeric = feature.get("numeric") or {}
    return FeatureFacts(
        str(feature.get("type", "")),
        feature["missing"] / rows if rows and "missing" in feature else None,
        {name: numeric[name] for name in _NUMBERS if name in numeric},
        (feature.get("strings") or {}).get("unique"),
    )


def _counts(feature: _Summary) -> Counts:
    """Returns how often each value of a categorical feature occurs; of very many the most frequent ones, as TFDV has them."""
    strings = feature.get("strings") or {}
    return {str(item["value"]): item["count"] for item in strings.get("values") or strings.get("top_values") or ()}


def _histogram(feature: _Summary) -> Histogram:
    numeric = feature.get("numeric") or {}
    found = ((_bound(item["low"], -math.inf), _bound(item["high"], math.inf), item["count"]) for item in numeric.get("histogram", ()))
    return Histogram(tuple(Bucket(*bucket) for bucket in found), numeric.get("not_a_number") or 0)


def _bound(value: float | None, infinite: float) -> float:
    return infinite if value is None else value


def _schema_feature(before: _Summary | None, after: _Summary | None) -> tuple[str, tuple[Change, ...]] | None:
    if before is None:
        return "added", ()
    if after is None:
        return "removed", ()
    changes = changed(flattened(before), flattened(after))
    return ("changed", changes) if changes else None


def _measured(metric: _Summary | None) -> Measured | None:
    candidate = (metric or {}).get("candidate")
    return Measured(candidate.get("value"), candidate.get("lower"), candidate.get("upper")) if candidate else None
