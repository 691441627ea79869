"""Buckets, areas and metric names by themselves. TensorFlow is not needed."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sklearn

from components.evaluator.measures import Ranking, thinned
from components.evaluator.media import media_kind
from components.evaluator.metric import BUNDLES, Metric, parse_metric, spread_bundles
from components.evaluator.plots import plots_of
from components.evaluator.subject import Subject
from components.evaluator.tally import Buckets, ClassMatrix, Scores, truth_and_scores, value_ids
from components.evaluator.threshold import METRICS, Threshold
from pipeline.errors import DataError, DefinitionError


def buckets(scores: Any, labels: Any, limit: int) -> Buckets:
    """Returns the tally of the scores of the second of two classes."""
    ids, columns = Scores(1).entries(labels, scores, np.ones(len(scores)), 0.0)
    return Buckets(ids[:0], columns[None, :0], limit).merged(Buckets(ids, columns[None], limit))


def test_values_and_their_numbers_have_the_same_order() -> None:
    values = np.array([-np.inf, -3e38, -1.5, -1e-40, -0.0, 0.0, 1e-40, 0.1, 0.25, 1.0, 7.5, np.inf], np.float32)
    ids = value_ids(values)
    assert ids[4] == ids[5]
    assert (np.diff(np.delete(ids, 4)) > 0).all() and ids.min() >= 0


def test_merging_in_any_order_gives_the_same_buckets() -> None:
    random = np.random.default_rng(1)
    parts = []
    for rows in (5000, 30, 2000, 1):
        scores = random.random(rows).astype(np.float32)
        parts.append(buckets(scores, random.random(rows) < scores, 500))
    results = [functools.reduce(Buckets.merged, order) for order in itertools.permutations(parts)]
    assert all((result.level, len(result.ids)) == (results[0].level, len(results[0].ids)) for result in results)
    assert 0 < len(results[0].ids) <= 500
    for result in results:
        assert np.array_equal(result.ids, results[0].ids)
        assert np.array_equal(result.sums, results[0].sums)


def test_areas_are_exact_within_the_limit_and_near_beyond_it() -> None:
    random = np.random.default_rng(2)
    scores = random.random(20_000).astype(np.float32)
    labels = (random.random(20_000) < scores).astype(np.int64)
    exact = Ranking.of(buckets(scores, labels, 1 << 15).sums[0])
    assert exact.roc_area() == pytest.approx(sklearn.roc_auc_score(labels, scores), abs=1e-9)
    assert exact.average_precision() == pytest.approx(sklearn.average_precision_score(labels, scores), abs=1e-9)
    coarse = Ranking.of(buckets(scores, labels, 1000).sums[0])
    assert len(coarse.positives) <= 1000
    assert coarse.roc_area() == pytest.approx(exact.roc_area(), abs=1e-3)
    assert coarse.roc_area() != exact.roc_area()


def test_rows_of_weight_0_count_for_nothing() -> None:
    scores, labels = np.array([0.9, 0.8, 0.6, 0.3, 0.1], np.float32), np.array([0, 1, 0, 1, 0])
    ids, columns = Scores(1).entries(labels, scores, np.array([0.0, 1.0, 1.0, 1.0, 1.0]), 0.0)
    ranking = Ranking.of(Buckets(ids[:0], columns[None, :0]).merged(Buckets(ids, columns[None])).sums[0])
    assert ranking.average_precision() == pytest.approx(sklearn.average_precision_score(labels[1:], scores[1:]))
    assert ranking.roc_area() == pytest.approx(sklearn.roc_auc_score(labels[1:], scores[1:]))


def test_scores_that_are_no_probabilities_and_labels_that_are_no_classes_are_named() -> None:
    with pytest.raises(DataError, match=r"must be probabilities from 0 to 1\. Received: -2 to 3"):
        truth_and_scores(np.array([0, 1]), np.array([[3.0, -2.0], [0.0, 1.0]]))
    with pytest.raises(DataError, match="The label 3 is none of the model's 3 classes"):
        truth_and_scores(np.array([0, 3]), np.full((2, 3), 1 / 3))
    with pytest.raises(DataError, match=r"The label 0\.5 is none of the model's 2 classes"):
        truth_and_scores(np.array([0.5]), np.array([0.5]))


def test_many_classes_are_shown_as_the_most_frequent_and_the_others() -> None:
    random = np.random.default_rng(3)
    truth = np.minimum(random.geometric(0.05, 4000) - 1, 39)
    scores = random.dirichlet(np.ones(40), 4000)
    subject = Subject("classes", tuple(f"class {number}" for number in range(40)))
    counted = [ClassMatrix().entries(truth, scores, np.ones(4000), 0.0)]
    counted += [Scores(number).entries(truth, scores, np.ones(4000), 0.0) for number in range(40)]
    counted += [(np.zeros(4000, np.int64), np.ones((4000, 3)))]
    found = [Buckets(ids[:0], columns[None, :0]).merged(Buckets(ids, columns[None])) for ids, columns in counted]
    plots = plots_of(subject, found)
    assert len(plots["confusion"]["classes"]) == 30 and plots["confusion"]["classes"][-1] == "other"
    assert np.sum(plots["confusion"]["rows"]) == 4000
    expected = np.bincount(truth, minlength=40)
    assert [sum(row) for row in plots["confusion"]["rows"]][:5] == expected[:5].tolist()
    assert len(plots["roc"]) == 12


def test_a_thinned_curve_keeps_its_ends_and_its_shape() -> None:
    x = np.linspace(0, 1, 10_000)
    across, along = thinned(x, x**3, 101)
    assert len(across) <= 101
    assert (across[0], along[0], across[-1], along[-1]) == (0.0, 0.0, 1.0, 1.0)
    assert max(np.diff(across)) < 0.03


@pytest.mark.parametrize(
    ("text", "metric"),
    [
        ("AUC", Metric("AUC")),
        ("TopKAccuracy(k=3)", Metric("TopKAccuracy", k=3)),
        ("TopKAccuracy", Metric("TopKAccuracy", k=5)),
        ("Recall(class_='spam')", Metric("Recall", class_="spam")),
        ("Recall(class_=0)", Metric("Recall", class_=0)),
        ("F1Score(average='macro')", Metric("F1Score", average="macro")),
        ("MeanAbsoluteError( step = 24 )", Metric("MeanAbsoluteError", step=24)),
    ],
)
def test_a_metric_reads_as_it_is_written(text: str, metric: Metric) -> None:
    assert parse_metric(text, METRICS) == metric
    assert parse_metric(str(metric), METRICS) == metric


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Recal(class_='spam')", "There is no metric 'Recal'. Did you mean 'Recall'?"),
        ("Recall(clas='spam')", "Recall has no option 'clas'. Did you mean 'class_'? It has: class_, average."),
        ("AUC(k=3)", "AUC has no option 'k'. It has: none."),
        ("Recall('spam')", "'Recall('spam')' does not read as a metric."),
        ("Recall(class_=spam)", "does not read as a metric"),
        ("Recall(class_='spam'", "does not read as a metric. Did you mean 'Recall'?"),
        ("Recall(class_='spam', average='macro')", "not both"),
        ("Recall(average='makro')", "average must be one of macro, micro, weighted. Did you mean 'macro'?"),
        ("TopKAccuracy(k=0)", "k must be a whole number from 1 to 100"),
        ("MeanAbsoluteError(step=0)", "step must be a whole number from 1, or '*' for each"),
        ("ExpectedCalibrationError(bins=True)", "bins must be a whole number"),
        ("classification", "'classification' stands for several metrics"),
    ],
)
def test_a_metric_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_metric(text, METRICS)
    assert message in str(caught.value)


def test_bundles_hold_metrics_that_there_are() -> None:
    for bundle, names in BUNDLES.items():
        assert [parse_metric(name, METRICS) for name in names]
        assert spread_bundles(bundle) == names
    assert spread_bundles(["AUC", "regression", "R2Score"]) == ("AUC", *BUNDLES["regression"])


def test_a_threshold_names_its_class_or_step_in_one_place() -> None:
    assert Threshold("Recall", class_="spam", at_least=0.9).of == Threshold("Recall(class_='spam')", at_least=0.9).of
    assert Threshold("LogLoss", better_than_baseline_by=0.1).change == -0.1
    assert Threshold("ROCAUC", better_than_baseline_by=0.1).change == 0.1
    with pytest.raises(DefinitionError, match="class_ is 'ham' in the name and 'spam' beside it"):
        Threshold("Recall(class_='ham')", class_="spam", at_least=0.9)
    with pytest.raises(DefinitionError, match="AUC has no option 'class_'"):
        Threshold("AUC", class_="spam", at_least=0.9)


def test_a_class_is_known_by_its_name_and_else_by_its_number() -> None:
    assert Subject("classes", ("9", "4", "1")).class_id(4) == 1
    assert Subject("classes", ("ham", "spam")).class_id(1) == Subject("classes", ("ham", "spam")).class_id("spam") == 1
    with pytest.raises(DataError, match=r"The model has no class '2'\. Known: ham, spam\."):
        Subject("classes", ("ham", "spam")).class_id(2)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"GIF89a", "gif"),
        (b"BM" + bytes(60), "bmp"),
        (b"BMW is a car, and this is no picture at all, however long", None),
        (b"RIFF\0\0\0\0WAVE", "wav"),
        (b"RIFF\0\0\0\0WEBP", None),
        (b"fLaC", "flac"),
        (b"OggS", "ogg"),
        (b"", None),
    ],
)
def test_pictures_and_sounds_are_known_by_their_first_bytes(data: bytes, kind: str | None) -> None:
    assert media_kind(data) == kind
