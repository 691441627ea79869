"""The example `taxi`: what the README shows, missing values, slices by hour, and a new span of data."""

from __future__ import annotations

import json
import re

import pytest

from tests.examples.project import REPOSITORY
from tests.examples.session import QUESTIONS, Session
from tests.sessions import masked, sessions

pytestmark = pytest.mark.tensorflow

_RUN = r"\b\d{8}-\d{6}-[0-9a-f]{6}\b"


def test_readme_of_the_project_shows_what_the_commands_print(taxi: Session) -> None:
    readme = sessions(REPOSITORY / "README.md")
    (run,), (again,), (plan,) = readme["run"], readme["again"], readme["plan"]
    assert run.command == again.command == "cauce run examples/taxi"
    assert plan.command == "cauce plan examples/taxi"
    assert masked(taxi.first.out) == masked(run.printed)
    assert masked(taxi.again.out) == masked(again.printed)
    assert masked(taxi.changed.plan.out) == masked(plan.printed)


def test_guide_to_lineage_shows_what_the_commands_print(taxi: Session) -> None:
    for steps in sessions(QUESTIONS).values():
        for step in steps:
            said = taxi.questions[step.command]
            assert said.code == 0, said.err
            assert _told(said.out + said.err) == _told(step.printed), step.command


def _told(printed: str) -> list[str]:
    """Returns the lines without numbers, paths and branches, in an order of their own: two nodes that run at once may change places."""
    lines = (re.sub(r"[│├└─ ]+|served now at \S+/", " ", line) for line in re.sub(_RUN, "RUN", printed).splitlines())
    return sorted(" ".join(re.sub(r"[\d,.:+-]*\d[\d,.:+-]*|(?<= )[a-z0-9]{12,64}|\b[kM]?B\b", "N", line).split()) for line in lines)


def test_each_hour_is_a_slice_of_the_evaluation(taxi: Session) -> None:
    assert taxi.first.code == 0
    summary = json.loads((taxi.project.only("ModelEvaluation") / "summary.json").read_text())
    hours = {entry["slice"]["trip_start_hour"]: entry["examples"] for entry in summary["slices"] if entry["slice"]}
    assert sorted(hours) == list(range(24))
    assert sum(hours.values()) == summary["examples"]


def test_missing_values_are_counted_and_survive_to_the_statistics(taxi: Session) -> None:
    import tensorflow_data_validation as tfdv

    assert taxi.first.code == 0
    lines = taxi.project.data.read_text().splitlines()
    column = lines[0].split(",").index("company")
    without = sum(1 for line in lines[1:] if not line.split(",")[column])
    missing = 0
    for split in ("train", "eval"):
        statistics = tfdv.load_stats_binary(str(taxi.project.only("ExampleStatistics") / f"Split-{split}" / "FeatureStats.pb"))
        view = tfdv.utils.stats_util.DatasetListView(statistics).get_default_slice_or_die()
        missing += view.get_feature("company").proto().string_stats.common_stats.num_missing
    assert missing == without > 5_000
