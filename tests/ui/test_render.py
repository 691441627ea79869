"""Words and colours of numbers."""

from __future__ import annotations

import pytest

from pipeline.ui.render import better, plain


@pytest.mark.parametrize(
    ("metric", "change", "expected"),
    [
        ("auc", 0.01, "better"),
        ("BinaryAccuracy", -0.01, "worse"),
        ("mean_absolute_error", -33.0, "better"),
        ("MeanSquaredError", 0.1, "worse"),
        ("recall of spam", 0.1, "better"),
        ("root_mean_squared_error at step 24", 0.1, "worse"),
        ("false_positive_rate", -0.1, "better"),
        ("log_loss", 0.1, "worse"),
        ("mean_prediction", 0.1, "other"),
        ("my_own", -0.1, "other"),
        ("auc", 0.0, "same"),
    ],
)
def test_change_of_a_metric_is_better_or_worse_by_its_name(metric: str, change: float, expected: str) -> None:
    assert better(metric, change) == expected


def test_values_are_written_as_a_person_does() -> None:
    assert plain(["it's <b>", 473.0, -7]) == "it's <b>, 473, -7"
