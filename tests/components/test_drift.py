"""Drift and skew: distances are TFDV's, what is said of chance is true in simulations, and the baseline is the last valid span."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from components.example_validator import ExampleValidator
from components.example_validator.chance import KOLMOGOROV_SMIRNOV, PERMUTATION, chance_of
from components.example_validator.distance import JENSEN_SHANNON, L_INFINITY, Categories, Numbers, distributions
from components.schema.component import ImportSchema
from components.schema.file import parse_schema
from components.statistics.component import StatisticsGen
from components.statistics.files import read_statistics
from pipeline.artifacts import Artifact, ExampleStatistics
from pipeline.component import Component, Output
from pipeline.context import Context
from pipeline.errors import DataError, DefinitionError
from tests.components.rows import DATA, SCHEMAS, as_statistics, read_csv, write_examples
from tests.harness import Outputs, run
from tests.project import Project, Ran

pytestmark = pytest.mark.tensorflow

TRIPS = read_csv(DATA / "taxi" / "span-1" / "trips.csv")
COMPARED = ("company", "payment_type", "trip_miles", "tips", "trip_seconds", "fare")
SCHEMA = "\n".join(
    f'feature {{ name: "{name}" type: {"BYTES" if TRIPS.schema.field(name).type == pa.binary() else "FLOAT"} '
    "drift_comparator { infinity_norm { threshold: 0.05 } jensen_shannon_divergence { threshold: 0.02 } } }"
    for name in COMPARED
).replace('"trip_seconds" type: FLOAT', '"trip_seconds" type: INT')


def statistics_of(folder: Path, splits: dict[str, Any], span: int = 0) -> Artifact:
    folder.mkdir(parents=True)
    found = run(StatisticsGen, folder, inputs={"examples": write_examples(folder / "rows", splits)})["statistics"]
    if span:
        found.properties["span"] = span
    return found


def validated(folder: Path, inputs: dict[str, Artifact], schema: str = SCHEMA, **parameters: Any) -> Outputs:
    (folder / "mine.pbtxt").write_text(schema)
    imported = run(ImportSchema, folder, schema_file="mine.pbtxt")["schema"]
    return run(ExampleValidator, folder, inputs={"schema": imported, **inputs}, allow=("SCHEMA_NEW_COLUMN",), **parameters)


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Artifact]:
    """Statistics of the first trips and of later ones: the taxi data are sorted by nothing, and their second part is another year."""
    folder = tmp_path_factory.mktemp("halves")
    first, second = TRIPS.slice(0, 5000), TRIPS.slice(5000, 4000)
    return statistics_of(folder / "first", {"train": first}, 1), statistics_of(folder / "second", {"train": second}, 2)


def feature(artifact: Artifact, name: str) -> statistics_pb2.FeatureNameStatistics:
    return next(one for one in read_statistics(artifact, "train").datasets[0].features if one.path.step[0] == name)


def test_distances_of_texts_are_those_of_tfdv(halves: tuple[Artifact, Artifact]) -> None:
    before, now = (read_statistics(half, "train") for half in halves)
    anomalies = tfdv.validate_statistics(now, parse_schema(SCHEMA), previous_statistics=before)
    measured = {
        ("".join(info.path.step), anomalies_pb2.DriftSkewInfo.Measurement.Type.Name(one.type)): one.value
        for info in anomalies.drift_skew_info
        for one in info.drift_measurements
    }
    for name in ("company", "payment_type"):
        found = distributions(feature(halves[0], name), feature(halves[1], name))
        for measure in (L_INFINITY, JENSEN_SHANNON):
            assert found is not None and isinstance(found, Categories)
            assert found.distance(measure) == pytest.approx(measured[name, measure], rel=1e-9)


def test_shares_of_ranges_of_numbers_are_those_of_the_rows(halves: tuple[Artifact, Artifact]) -> None:
    found = distributions(feature(halves[0], "fare"), feature(halves[1], "fare"))
    assert isinstance(found, Numbers)
    fares = [TRIPS["fare"].slice(0, 5000).to_numpy(), TRIPS["fare"].slice(5000, 4000).to_numpy()]
    for change in found.changes():
        low, _, high = (float(part) if part.strip() else math.nan for part in change.value.replace("to", ",,").split(","))
        for share, values in zip((change.before, change.now), fares, strict=True):
            assert share == pytest.approx(((values > low) & (values <= high)).mean(), abs=0.025)


def texts(before: Counter[str], now: Counter[str]) -> Categories:
    labels = tuple(sorted({*before, *now}))
    return Categories(labels, *(np.array([float(counts[label]) for label in labels]) for counts in (before, now)))


@pytest.mark.parametrize("measure", [L_INFINITY, JENSEN_SHANNON])
@pytest.mark.parametrize("rows", [(60, 40), (900, 300)])
def test_where_nothing_changed_a_text_looks_sure_as_rarely_as_it_should(measure: str, rows: tuple[int, int]) -> None:
    """Companies: many values, most of them rare, where samples from the pooled shares would look sure far too often."""
    companies = TRIPS["company"].drop_null().to_pylist()
    generator = np.random.default_rng(3)
    p_values = []
    for _ in range(300):
        drawn = generator.choice(companies, sum(rows))
        found = texts(Counter(drawn[: rows[0]]), Counter(drawn[rows[0] :]))
        chance = chance_of(found.distance(measure) or 0.0, measure, found, samples=199)
        assert chance is not None and chance.method == PERMUTATION
        p_values.append(chance.p_value)
    assert 0.02 < np.mean(np.array(p_values) <= 0.05) < 0.09
    assert np.mean(np.array(p_values) <= 0.5) == pytest.approx(0.5, abs=0.12)


def numbers(before: Any, now: Any) -> tuple[Numbers, float]:
    """Statistics with exact quantiles, and TFDV's distance."""
    protos = []
    for values in (before, now):
        statistics = statistics_pb2.DatasetFeatureStatisticsList()
        dataset = statistics.datasets.add(num_examples=len(values))
        one = dataset.features.add(type=statistics_pb2.FeatureNameStatistics.FLOAT)
        one.path.step.append("x")
        one.num_stats.min, one.num_stats.max, one.num_stats.num_zeros = values.min(), values.max(), int((values == 0).sum())
        one.num_stats.common_stats.num_non_missing = one.num_stats.common_stats.tot_num_values = len(values)
        counts, edges = np.histogram(values, 10)
        cuts = np.quantile(values, np.linspace(0, 1, 11))
        for kind, bounds, sizes in ((0, edges, counts), (1, cuts, [len(values) / 10] * 10)):
            histogram = one.num_stats.histograms.add(type=kind)
            for low, high, size in zip(bounds[:-1], bounds[1:], sizes, strict=True):
                histogram.buckets.add(low_value=low, high_value=high, sample_count=size)
        protos.append(statistics)
    schema = 'feature { name: "x" type: FLOAT drift_comparator { jensen_shannon_divergence { threshold: 0.01 } } }'
    anomalies = tfdv.validate_statistics(protos[1], parse_schema(schema), previous_statistics=protos[0])
    found = distributions(*(proto.datasets[0].features[0] for proto in protos))
    assert isinstance(found, Numbers)
    return found, anomalies.drift_skew_info[0].drift_measurements[0].value


def test_numbers_that_did_not_change_look_sure_rarely_and_those_that_did_look_so_nearly_always() -> None:
    """Miles: some are far off, and so TFDV's divergence of equal samples is large; the certainty is not misled by it."""
    miles = TRIPS["trip_miles"].drop_null().to_numpy()
    generator = np.random.default_rng(4)
    p_values: dict[float, list[float]] = {1.0: [], 1.3: []}
    distances = []
    for _ in range(100):
        for factor, found_so_far in p_values.items():
            found, distance = numbers(generator.choice(miles, 1500), factor * generator.choice(miles, 1000) + (factor - 1))
            chance = chance_of(distance, JENSEN_SHANNON, found)
            assert chance is not None and chance.method == KOLMOGOROV_SMIRNOV
            found_so_far.append(chance.p_value)
            distances += [distance] if factor == 1 else []
    assert np.mean(distances) > 0.1
    assert np.mean(np.array(p_values[1.0]) <= 0.05) <= 0.05
    assert np.mean(np.array(p_values[1.3]) <= 0.05) >= 0.95


def test_a_reason_names_distance_threshold_what_changed_most_and_how_sure_it_is(halves: tuple[Artifact, Artifact], tmp_path: Path) -> None:
    schema = SCHEMA.replace("infinity_norm { threshold: 0.05 }", "infinity_norm { threshold: 0.03 }")
    outputs = validated(tmp_path, {"statistics": halves[1], "baseline_statistics": halves[0]}, schema)
    assert outputs.context.verdict is not None and outputs.context.verdict.blocks
    reason = next(reason for reason in outputs.context.verdict.reasons if "payment_type" in reason)
    assert reason == (
        "Split 'train', feature 'payment_type': High Linfty distance between current and previous (present in 4,000 of 4,000 rows). "
        "The L-infinity distance from span 1 is 0.0314, above 0.03: 'Cash' 66.3% -> 63.2%, 'Credit Card' 33.0% -> 36.0%, "
        "'Unknown' 0.1% -> 0.3%. With 5,000 and 4,000 values chance alone makes 0.0088 on average, and as much as this in 0.5% of all "
        "cases."
    )
    miles = next(reason for reason in outputs.context.verdict.reasons if "trip_miles" in reason)
    assert "The Jensen-Shannon divergence from span 1 is 0.696, above 0.02: 5.3 to 14.6 5.9% -> 10.0%" in miles
    assert "The shares of values up to a bound differ by at least" in miles
    summary = outputs["anomalies"].summary()
    jsonschema.validate(summary, json.loads((SCHEMAS / "summaries" / "ExampleAnomalies.json").read_text()))
    assert summary["baselines"] == [{"kind": "drift", "span": 1, "rows": {"train": 5000}}]
    assert summary["span"] == 2


def test_distance_that_chance_explains_does_not_block_where_confidence_is_asked_for(tmp_path: Path) -> None:
    rows = TRIPS.take(np.random.default_rng(5).permutation(len(TRIPS))[:240])
    schema = 'feature { name: "company" type: BYTES drift_comparator { infinity_norm { threshold: 0.01 } } }'
    inputs = {
        "baseline_statistics": statistics_of(tmp_path / "past", {"train": rows.slice(0, 120)}, 1),
        "statistics": statistics_of(tmp_path / "now", {"train": rows.slice(120)}, 2),
    }
    blocked = validated(tmp_path, inputs, schema).context.verdict
    assert blocked is not None and blocked.blocks
    assert "The threshold is within chance, which stays below" in blocked.reasons[0]
    passed = validated(tmp_path, inputs, schema, min_confidence=0.99).context.verdict
    assert passed is not None and not passed.blocks
    assert any("So it may be chance, and does not count: min_confidence is 0.99." in reason for reason in passed.reasons)
    real = {**inputs, "statistics": statistics_of(tmp_path / "other", {"train": {"company": [b"Blue Diamond"] * 120}}, 2)}
    sure = validated(tmp_path, real, schema, min_confidence=0.99).context.verdict
    assert sure is not None and sure.blocks


def test_threshold_that_can_never_be_exceeded_is_named(halves: tuple[Artifact, Artifact], tmp_path: Path) -> None:
    schema = 'feature { name: "fare" type: FLOAT drift_comparator { infinity_norm { threshold: 0.01 } } }'
    verdict = validated(tmp_path, {"statistics": halves[1], "baseline_statistics": halves[0]}, schema).context.verdict
    assert verdict is not None and not verdict.blocks
    assert any(reason.startswith("Feature 'fare': This distance is one of texts and always 0 for numbers") for reason in verdict.reasons)


SPECIES = 'feature { name: "species" type: BYTES }'


def test_distribution_of_the_label_is_watched_without_a_comparator(tmp_path: Path) -> None:
    past = statistics_of(tmp_path / "past", {"train": {"species": [b"Adelie"] * 50 + [b"Gentoo"] * 50}}, 1)
    now = statistics_of(tmp_path / "now", {"train": {"species": [b"Adelie"] * 80 + [b"Gentoo"] * 20}}, 2)
    inputs = {"statistics": now, "baseline_statistics": past}
    verdict = validated(tmp_path, inputs, SPECIES, label="species").context.verdict
    assert verdict is not None and verdict.blocks
    assert "High Linfty distance between current and previous, of the label" in verdict.reasons[0]
    assert "'Adelie' 50.0% -> 80.0%" in verdict.reasons[0]
    for parameters in ({}, {"label": "species", "max_label_drift": 0.4}):
        verdict = validated(tmp_path, inputs, SPECIES, **parameters).context.verdict
        assert verdict is not None and not verdict.blocks
    with pytest.raises(DataError, match=r"no label 'specie'\. Did you mean 'species'"):
        validated(tmp_path, inputs, SPECIES, label="specie")


def test_value_of_the_label_that_is_gone_blocks_unless_chance_could_leave_it_out(tmp_path: Path) -> None:
    past = statistics_of(tmp_path / "past", {"train": {"species": [b"Adelie"] * 94 + [b"Gentoo"] * 6}}, 1)
    for rows, blocks in ((200, True), (20, False)):
        now = statistics_of(tmp_path / f"now-{rows}", {"train": {"species": [b"Adelie"] * rows}}, 2)
        verdict = validated(tmp_path, {"statistics": now, "baseline_statistics": past}, SPECIES, label="species").context.verdict
        assert verdict is not None and verdict.blocks is blocks
        if blocks:
            assert verdict.reasons[0] == (
                "Split 'train', feature 'species': Values of the label are gone (present in 200 of 200 rows). "
                "In span 1 'Gentoo' had 6.0%. Of 200 rows, chance would leave none in less than 1% of all cases."
            )


@pytest.mark.parametrize(("rows", "kind"), [(40, "COMPARATOR_LOW_NUM_EXAMPLES"), (300, "COMPARATOR_HIGH_NUM_EXAMPLES")])
def test_rows_that_fall_or_rise_out_of_bounds_block(tmp_path: Path, rows: int, kind: str) -> None:
    schema = """
        feature { name: "x" type: INT }
        dataset_constraints { num_examples_drift_comparator { min_fraction_threshold: 0.5 max_fraction_threshold: 2 } }
    """
    past = statistics_of(tmp_path / "past", {"train": {"x": [1] * 100}}, 1)
    now = statistics_of(tmp_path / "now", {"train": {"x": [1] * rows}}, 2)
    outputs = validated(tmp_path, {"statistics": now, "baseline_statistics": past}, schema)
    assert outputs["anomalies"].summary()["splits"]["train"]["anomalies"][0]["kinds"] == [kind]
    assert outputs.context.verdict is not None and outputs.context.verdict.blocks
    assert f"({rows} rows, 100 before)" in outputs.context.verdict.reasons[0]


class Colours(Component):
    """Statistics of a span, with a share of red."""

    isolated = False

    def execute(self, context: Context, statistics: Output[ExampleStatistics], *, span: int, red: int) -> None:
        proto = tfdv.generate_statistics_from_dataframe(_frame(red))
        statistics.properties |= as_statistics(statistics.path, {"train": proto}).properties
        statistics.properties["span"] = span


def _frame(red: int) -> Any:
    import pandas as pd

    return pd.DataFrame({"colour": ["red"] * red + ["blue"] * (100 - red)})


class NearValidator(ExampleValidator):
    """Validates in this process."""

    isolated = False


COLOUR = 'feature { name: "colour" type: BYTES drift_comparator { infinity_norm { threshold: 0.2 } } }'


def validate_span(project: Project, span: int, red: int, **parameters: Any) -> Ran:
    project.write("colour.pbtxt", COLOUR)
    statistics = Colours(span=span, red=red).outputs["statistics"]
    schema = ImportSchema(schema_file="colour.pbtxt")
    return project.run(NearValidator(statistics, schema, **{"baseline": "previous", **parameters}))


def compared_with(ran: Ran) -> list[int | None]:
    return [baseline["span"] for baseline in ran.output("NearValidator").summary()["baselines"]]


def test_drift_is_judged_against_the_last_span_that_was_valid(project: Project) -> None:
    first = validate_span(project, 1, 50)
    verdict = first.result["NearValidator"].verdict
    assert compared_with(first) == [] and verdict is not None
    assert "No earlier data were found valid yet, so drift is not judged." in verdict.reasons
    assert compared_with(validate_span(project, 2, 55)) == [1]
    damaged = validate_span(project, 3, 99)
    assert (damaged.result.state.value, compared_with(damaged)) == ("blocked", [2])
    after = validate_span(project, 4, 58)
    assert (after.result.state.value, compared_with(after)) == ("done", [2])
    corrected = validate_span(project, 3, 60)
    assert (corrected.result.state.value, compared_with(corrected)) == ("done", [2])
    assert compared_with(validate_span(project, 5, 60)) == [4]


def test_a_baseline_is_part_of_the_lineage_and_of_the_cache_key(project: Project) -> None:
    validate_span(project, 1, 50)
    second = validate_span(project, 2, 55)
    inputs = project.store.inputs_of(project.executions(second.result.run)["NearValidator"].id)
    assert [artifact.properties["span"] for artifact in inputs["baseline_statistics"]] == [1]
    assert validate_span(project, 2, 55).state("NearValidator") == "cached"
    validate_span(project, 1, 45)
    again = validate_span(project, 2, 55)
    assert again.state("NearValidator") == "done"
    assert "input baseline_statistics is new" in again.reasons("NearValidator")


def test_a_pinned_span_stays_the_baseline(project: Project) -> None:
    validate_span(project, 1, 50)
    validate_span(project, 2, 60)
    validate_span(project, 3, 69)
    assert compared_with(validate_span(project, 4, 72, baseline=2)) == [2]
    assert validate_span(project, 5, 72, baseline=1).result.state.value == "blocked"
    missing = validate_span(project, 6, 72, baseline=9)
    assert missing.result.state.value == "failed"
    assert "baseline=9, and it has found no statistics of that span valid" in missing.reasons("NearValidator")[0]


def test_a_baseline_is_given_once() -> None:
    statistics = Colours(span=1, red=2)
    schema = ImportSchema(schema_file="colour.pbtxt")
    with pytest.raises(DefinitionError, match="give baseline or baseline_statistics, not both"):
        ExampleValidator(statistics, schema, statistics, baseline="previous")
    with pytest.raises(DefinitionError, match="min_confidence expects more than 0 and less than 1"):
        ExampleValidator(statistics, schema, min_confidence=1.0)
    with pytest.raises(DefinitionError, match="parameter 'baseline' expects"):
        ExampleValidator(statistics, schema, baseline="last")
