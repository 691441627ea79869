"""What an evaluation's summary becomes on its page."""

from __future__ import annotations

from pipeline.ui.contents import evaluation_contents
from tests.ui.summaries import evaluation


def test_metrics_of_many_classes_are_in_a_table_of_their_own() -> None:
    summary = evaluation()
    overall = summary["slices"][0]["metrics"]
    overall.clear()
    for number in range(12):
        overall[f"recall of {number}"] = {"candidate": {"value": number / 20}}
    overall["accuracy"] = {"candidate": {"value": 0.5}}
    found = evaluation_contents(summary)
    assert "recall of 3" not in found.metrics
    assert found.part_metrics == ("recall",)
    assert [part.name for part in found.parts] == [str(number) for number in range(12)]
    value = found.parts[3].values[0]
    assert value is not None
    assert value.value == 0.15


def test_confusion_is_in_the_order_of_the_classes() -> None:
    summary = evaluation()
    summary["plots"] = {"candidate": {"confusion": {"classes": ["10", "9"], "rows": [[3, 1], [0, 4]]}}}
    (matrix,) = evaluation_contents(summary).confusions
    assert matrix.classes == ("9", "10")
    assert [[cell.rows for cell in row] for row in matrix.cells] == [[4, 0], [1, 3]]
    assert matrix.cells[1][0].share == 0.25


def test_calibration_leaves_out_bins_of_a_few_rows() -> None:
    summary = evaluation()
    calibration = {"of": "spam", "error": 0.1, "predicted": [0.1, 0.5, 0.9], "observed": [0.1, 1.0, 0.9], "rows": [50, 1, 50]}
    summary["plots"] = {"candidate": {"calibration": calibration}}
    (plot,) = evaluation_contents(summary).plots
    assert 0.5 not in plot.x
    calibration["rows"] = [1, 1, 1]
    (plot,) = evaluation_contents(summary).plots
    assert 0.5 in plot.x
