"""The statistics of a window are merged from those of its spans, and are those of TFDV on all rows together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv

from components import CsvExampleGen, StatisticsGen
from components.statistics.accumulation import COUNTS_FILE, STATE_FILE, Accumulation
from pipeline.artifacts import Examples
from pipeline.errors import DataError
from tests.components.rows import DATA, read_csv, write_examples
from tests.components.test_statistics_gen import computed, expected
from tests.harness import run
from tests.project import Project

pytestmark = pytest.mark.tensorflow

EPSILON = 0.01


@pytest.fixture(scope="module")
def trips() -> pa.Table:
    return read_csv(DATA / "taxi" / "span-1" / "trips.csv").slice(0, 6000)


def spans_of(table: pa.Table, folder: Path, sizes: tuple[int, ...]) -> list[Examples]:
    """Examples of the rows, cut into spans of these sizes."""
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    found = []
    for number, (start, size) in enumerate(zip(starts, sizes, strict=True), 1):
        found.append(write_examples(folder / f"span-{number}", {"train": table.slice(start, size)}))
        found[-1].properties["span"] = number
    return found


def differing(mine: Any, other: Any, where: str = "", *, rel: float = 1e-9) -> set[str]:
    """Returns the fields in which two messages differ, by path; numbers that come from sums may differ in the last digits."""
    found = {f"{where}{name}" for name in {field.name for field, _ in mine.ListFields()} ^ {field.name for field, _ in other.ListFields()}}
    for field, value in mine.ListFields():
        theirs, place = getattr(other, field.name), f"{where}{field.name}"
        many = not hasattr(value, "ListFields") and hasattr(value, "__len__") and not isinstance(value, str | bytes)
        for one, another in zip(value, theirs, strict=True) if many else [(value, theirs)]:
            if hasattr(one, "ListFields"):
                found |= differing(one, another, f"{place}.", rel=rel)
            elif isinstance(one, float) and one == pytest.approx(another, rel=rel, abs=1e-12, nan_ok=True):
                continue
            elif one != another:
                found.add(place)
    return found


def assert_merged(ours: Any, theirs: Any, *, rel: float = 1e-9) -> set[str]:
    """All is equal but what comes from quantiles; returns the fields that differ."""
    assert [dataset.name for dataset in ours.datasets] == sorted(dataset.name for dataset in theirs.datasets)
    fields: set[str] = set()
    for dataset in ours.datasets:
        whole = next(other for other in theirs.datasets if other.name == dataset.name)
        assert (dataset.num_examples, len(dataset.features)) == (whole.num_examples, len(whole.features))
        by_path = {tuple(feature.path.step): feature for feature in whole.features}
        for feature in dataset.features:
            fields |= differing(feature, by_path[tuple(feature.path.step)], rel=rel)
    quantiles = ("num_stats.median", "num_stats.histograms.buckets.", "num_stats.weighted_numeric_stats.")
    assert {field for field in fields if not field.startswith(quantiles)} == set()
    return fields


def test_merged_statistics_are_those_of_tfdv_on_all_rows(trips: pa.Table, tmp_path: Path) -> None:
    spans = spans_of(trips, tmp_path, (2500, 500, 3000))
    outputs = run(StatisticsGen, tmp_path, inputs={"examples": spans})
    whole = write_examples(tmp_path / "whole", {"train": trips})
    theirs = expected(whole)
    assert_merged(computed(outputs["statistics"]), theirs)
    assert outputs["statistics"].properties["spans"] == "1..3"
    for span, own in zip(spans, outputs["span_statistics"], strict=True):
        assert (
            differing(
                computed(own).datasets[0], computed(run(StatisticsGen, tmp_path, inputs={"examples": span})["statistics"]).datasets[0]
            )
            == set()
        )
        assert own.properties["span"] == span.properties["span"]
    assert outputs.context.rows is not None
    assert (outputs.context.rows.read, outputs.context.rows.missing) == (6000, 0)


def test_merged_quantiles_have_no_larger_error_than_epsilon(trips: pa.Table, tmp_path: Path) -> None:
    merged = computed(run(StatisticsGen, tmp_path, inputs={"examples": spans_of(trips, tmp_path, (1500, 1500, 1500, 1500))})["statistics"])
    worst = 0.0
    for name in ("fare", "trip_seconds", "trip_start_timestamp", "pickup_latitude"):
        values = np.sort(trips.column(name).drop_null().to_numpy())
        numbers = next(feature for feature in merged.datasets[0].features if feature.path.step[0] == name).num_stats
        (full,) = (histogram for histogram in numbers.histograms if histogram.type == histogram.QUANTILES)
        for place, bucket in enumerate(full.buckets[:-1], 1):
            low, high = np.searchsorted(values, bucket.high_value, "left"), np.searchsorted(values, bucket.high_value, "right")
            rank = place / len(full.buckets) * len(values)
            worst = max(worst, max(low - rank, rank - high, 0) / len(values))
    assert worst <= EPSILON


@pytest.mark.parametrize(
    ("options", "sliced", "rel"),
    [
        ({"num_top_values": 5, "num_rank_histogram_buckets": 20}, True, 1e-9),
        ({"weight_feature": "fare"}, False, 1e-6),  # TFDV adds weights up as floats of 32 bits
    ],
)
def test_slices_and_weights_are_merged_too(trips: pa.Table, tmp_path: Path, options: dict[str, Any], sliced: bool, rel: float) -> None:
    table = trips.select(["company", "payment_type", "fare", "trip_start_hour"])
    spans = spans_of(table, tmp_path, (1000, 4000, 1000))
    ours = run(StatisticsGen, tmp_path, inputs={"examples": spans}, slices=["payment_type"] if sliced else [], **options)
    slicers = [tfdv.experimental_get_feature_value_slicer({"payment_type": None})] if sliced else None
    theirs = expected(write_examples(tmp_path / "whole", {"train": table}), experimental_slice_functions=slicers, **options)
    assert len(theirs.datasets) == (8 if sliced else 1)
    assert_merged(computed(ours["statistics"]), theirs, rel=rel)


def test_column_that_is_empty_or_absent_in_a_span_is_merged(tmp_path: Path) -> None:
    rows = {"n": [1, 2, 3, 4], "text": [b"a", b"a", None, b"b"], "late": [None, None, 0.5, 1.5]}
    kinds = pa.schema([("n", pa.int64()), ("text", pa.binary()), ("late", pa.float32())])
    table = pa.table(rows, schema=kinds)
    first, second = spans_of(table, tmp_path, (2, 2))
    ours = run(StatisticsGen, tmp_path, inputs={"examples": [first, second]})
    assert assert_merged(computed(ours["statistics"]), expected(write_examples(tmp_path / "whole", {"train": table}))) == set()


def test_feature_of_another_type_in_a_span_is_named(tmp_path: Path) -> None:
    first = write_examples(tmp_path / "1", {"train": {"n": [1, 2], "price": [1, 2]}})
    second = write_examples(tmp_path / "2", {"train": {"n": [1, 2], "price": pa.array([1.5, 2.5], pa.float32())}})
    with pytest.raises(DataError, match=r"'price' is INT in examples 1 and FLOAT in examples 2.\nWrite it with one type"):
        run(StatisticsGen, tmp_path, inputs={"examples": [first, second]})


@pytest.mark.parametrize("name", [STATE_FILE, COUNTS_FILE])
def test_damaged_state_is_an_error_and_no_other_number(trips: pa.Table, tmp_path: Path, name: str) -> None:
    folder = run(StatisticsGen, tmp_path, inputs={"examples": spans_of(trips, tmp_path, (100, 100))})["span_statistics"][0].path
    file = folder / "Split-train" / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DataError, match=r"cannot be read|is damaged"):
        Accumulation(tfdv.StatsOptions(), tmp_path / "temp").add_saved(file.parent)


def test_moved_window_counts_only_the_new_span(project: Project) -> None:
    lines = (DATA / "taxi" / "span-1" / "trips.csv").read_text().splitlines(keepends=True)
    for span in range(1, 5):
        (project.folder / f"span-{span}").mkdir()
        (project.folder / f"span-{span}" / "trips.csv").write_text("".join([lines[0], *lines[span * 100 : span * 100 + 100]]))
    first = project.run(StatisticsGen(CsvExampleGen(input="span-{SPAN}/*.csv", window=3, span=3)))
    second = project.run(StatisticsGen(CsvExampleGen(input="span-{SPAN}/*.csv", window=3)))
    assert second.reasons("StatisticsGen") == ("span 4 is new", "spans 2-3 are reused")
    before, after = (ran.result["StatisticsGen"].outputs["span_statistics"] for ran in (first, second))
    assert [artifact.id for artifact in after[:2]] == [artifact.id for artifact in before[1:]]
    ((whole,),) = (second.result["StatisticsGen"].outputs["statistics"],)
    assert (whole.record_counts, whole.properties["spans"]) == (
        {split: sum(one.record_counts[split] for one in after) for split in whole.splits},
        "2..4",
    )
