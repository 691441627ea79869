"""Distances between distributions, from summaries, beside those of TensorFlow Data Validation from the statistics themselves."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from pipeline.lineage.comparison.data import feature_distance
from pipeline.lineage.comparison.distances import (
    Bucket,
    Distance,
    Histogram,
    jensen_shannon,
    jensen_shannon_of_histograms,
    l_infinity,
)


def histogram(*buckets: tuple[float, float, float], not_a_number: float = 0) -> Histogram:
    return Histogram(tuple(Bucket(*bucket) for bucket in buckets), not_a_number)


def test_the_largest_difference_between_shares_names_its_value() -> None:
    distance, value = l_infinity({"a": 50, "b": 50}, {"a": 10, "b": 20, "c": 10})
    assert (distance, value) == (pytest.approx(0.25), "c")
    assert l_infinity({"a": 1}, {"a": 7}) == (0.0, "a")


def test_equal_distributions_have_no_distance_and_those_with_nothing_in_common_have_one() -> None:
    assert jensen_shannon({"a": 1, "b": 3}, {"a": 10, "b": 30}) == pytest.approx(0.0)
    assert jensen_shannon({"a": 1}, {"b": 1}) == pytest.approx(1.0)
    assert jensen_shannon_of_histograms(histogram((0, 1, 5)), histogram((0, 1, 9))) == pytest.approx(0.0)
    assert jensen_shannon_of_histograms(histogram((0, 1, 5)), histogram((2, 3, 5))) == pytest.approx(1.0)


def test_buckets_of_other_widths_are_cut_at_all_bounds() -> None:
    assert jensen_shannon_of_histograms(histogram((0, 2, 8)), histogram((0, 1, 4), (1, 2, 4))) == pytest.approx(0.0)
    half = jensen_shannon_of_histograms(histogram((0, 2, 8)), histogram((0, 1, 8)))
    assert half == pytest.approx(jensen_shannon({"first": 4, "second": 4}, {"first": 8}))


def test_points_infinite_bounds_and_what_is_no_number_count_apart() -> None:
    points = jensen_shannon_of_histograms(histogram((0, 0, 5), (0, 1, 5)), histogram((0, 0, 5), (0, 1, 5)))
    assert points == pytest.approx(0.0)
    assert jensen_shannon_of_histograms(histogram((0, math.inf, 5)), histogram((0, math.inf, 5))) == pytest.approx(1.0)
    assert jensen_shannon_of_histograms(histogram((0, 1, 5), not_a_number=5), histogram((0, 1, 5))) > 0.1


def test_what_has_no_values_has_no_distance() -> None:
    empty: dict[str, Any] = {"name": "x", "type": "STRING"}
    number = {"name": "x", "type": "FLOAT", "numeric": {"histogram": [{"low": 0, "high": 1, "count": 3}], "not_a_number": 0}}
    text = {"name": "x", "type": "STRING", "strings": {"top_values": [{"value": "a", "count": 2}]}}
    assert feature_distance(empty, text) is None
    assert feature_distance(number, text) is None
    assert feature_distance(number, number) == Distance(jensen_shannon=0.0)
    assert feature_distance(text, text) == Distance(0.0, "a", 0.0)


@pytest.mark.tensorflow
def test_distances_are_those_of_tfdv() -> None:
    import pandas as pd
    import tensorflow_data_validation as tfdv

    from components.statistics.files import summarise_statistics

    statistics = [tfdv.generate_statistics_from_dataframe(pd.DataFrame(_rows(seed))) for seed in (1, 2)]
    features = [{feature["name"]: feature for feature in summarise_statistics(one)["features"]} for one in statistics]
    expected = _measured_by_tfdv(*statistics)
    assert len(expected) == 7
    for (name, measure), value in expected.items():
        distance = feature_distance(features[0][name], features[1][name])
        assert distance is not None
        found = distance.l_infinity if measure == "L_INFTY" else distance.jensen_shannon
        assert found == pytest.approx(value, abs=1e-9), (name, measure)


def _rows(seed: int) -> dict[str, list[Any]]:
    """Returns columns whose distributions depend on the seed: few and many values, wide, skewed and constant numbers, missing ones."""
    dice = random.Random(seed)
    count = 3000
    return {
        "few": dice.choices(["a", "b", "c"], [seed, 2, 3], k=count),
        "many": [f"v{int(dice.expovariate(seed / 40))}" for _ in range(count)],
        "normal": [dice.gauss(seed, 1 + seed) for _ in range(count)],
        "skewed": [dice.expovariate(seed) for _ in range(count)],
        "whole": [float(dice.randrange(seed, 12)) for _ in range(count)],
        "zeros": [0.0 if dice.random() < 0.9 else float(seed) for _ in range(count)],
        "holes": [float("nan") if dice.random() < 0.1 * seed else dice.random() for _ in range(count)],
    } | {"constant": [5.0] * count}


def _measured_by_tfdv(before: Any, after: Any) -> dict[tuple[str, str], float]:
    """Returns what TFDV measures as drift, by feature and measure, with thresholds that everything is above."""
    import tensorflow_data_validation as tfdv

    wanted = [
        ("few", "L_INFTY"),
        ("many", "L_INFTY"),
        ("normal", "JS"),
        ("skewed", "JS"),
        ("whole", "JS"),
        ("zeros", "JS"),
        ("holes", "JS"),
    ]
    schema = tfdv.infer_schema(before)
    for name, measure in wanted:
        comparator = tfdv.get_feature(schema, name).drift_comparator
        (comparator.infinity_norm if measure == "L_INFTY" else comparator.jensen_shannon_divergence).threshold = 0.0
    anomalies = tfdv.validate_statistics(after, schema, previous_statistics=before)
    found = {info.path.step[0]: info.drift_measurements[0] for info in anomalies.drift_skew_info}
    return {(name, measure): found[name].value for name, measure in wanted}
