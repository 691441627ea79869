"""What is different between two runs, or two models."""

from __future__ import annotations

import json
import shutil

import jsonschema
import pytest

from pipeline.environment import Environment, packages
from pipeline.errors import UsageError
from pipeline.lineage import Comparison, Ledger
from tests.cli import SCHEMAS
from tests.models import modelling
from tests.project import Project

SCHEMA = json.loads((SCHEMAS / "diff.json").read_text())


def diff(project: Project, before: str, after: str) -> Comparison:
    found = Ledger(project.store, project.storage).diff(before, after)
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(found.as_json())))
    return found


def test_runs_in_which_nothing_changed_have_no_cause_of_difference(project: Project) -> None:
    first, second = (project.run(*modelling()).result.run for _ in range(2))
    found = diff(project, first, second)
    assert found.causes == ()
    assert {change.difference for change in found.metrics} == {0.0}
    states = {change.node: (change.before and change.before.state, change.after and change.after.state) for change in found.nodes}
    assert states["Training"] == ("done", "cached")


def test_parameters_are_named_with_their_node(project: Project) -> None:
    runs = [project.run(*modelling(quality=quality)).result.run for quality in (0.85, 0.95)]
    found = diff(project, *runs)
    assert [(change.name, change.before, change.after) for change in found.parameters] == [("Training.quality", 0.85, 0.95)]
    assert found.causes == ("parameters",)
    (auc,) = found.metrics
    assert (auc.slice, auc.metric, auc.apart) == ("all rows", "auc", True)
    assert auc.difference == pytest.approx(0.1)


def test_intervals_that_overlap_are_told_from_those_that_do_not(project: Project) -> None:
    runs = [project.run(*modelling(quality=quality)).result.run for quality in (0.9, 0.901)]
    assert [change.apart for change in diff(project, *runs).metrics] == [False]


def test_data_are_compared_by_feature_the_most_changed_first(project: Project) -> None:
    runs = [project.run(*modelling(rows)).result.run for rows in (10, 40)]
    (split,) = diff(project, *runs).data
    assert (split.source, split.split, split.rows_before, split.rows_after) == ("Measuring.statistics", "train", 10, 40)
    size, fare = split.features
    assert (size.feature, size.distance and size.distance.l_infinity, size.distance and size.distance.value) == ("size", 0.75, "many")
    assert fare.distance is not None
    assert fare.distance.l_infinity is None
    # A quarter of the second histogram covers the first: (log2(2 / 1.25) + 0.25 log2(0.5 / 1.25) + 0.75) / 2.
    assert fare.distance.jensen_shannon == pytest.approx(0.5488, abs=1e-4)
    assert (fare.before and fare.before.numbers["mean"], fare.after and fare.after.numbers["mean"]) == (5.0, 20.0)


def test_statistics_whose_files_are_gone_are_told(project: Project) -> None:
    runs = [project.run(*modelling(rows)).result.run for rows in (10, 40)]
    for path in project.published():
        if path.parent.name == "statistics":
            shutil.rmtree(path)
            break
    assert "is not there any more" in diff(project, *runs).data[-1].problem


def test_schemas_are_compared_by_feature(project: Project) -> None:
    runs = [project.run(*modelling(least=least)).result.run for least in (0, 5)]
    (change,) = diff(project, *runs).schema
    assert (change.feature, change.kind) == ("fare", "changed")
    assert [(part.name, part.before, part.after) for part in change.changes] == [("domain.min", 0, 5)]


def test_code_is_shown_as_a_diff_of_lines_also_after_the_file_has_changed_again(project: Project) -> None:
    runs = []
    for quality in ("0.85", "0.95"):
        project.write("model.py", f"def quality():\n    return {quality}\n")
        runs.append(project.run(*modelling(module="model")).result.run)
    project.write("model.py", "")
    (change,) = diff(project, *runs).code
    assert (change.file, change.nodes) == ("model.py", ("Training",))
    assert change.diff.splitlines()[-3:] == [" def quality():", "-    return 0.85", "+    return 0.95"]


def test_a_file_that_only_one_side_has_is_new(project: Project) -> None:
    first = project.run(*modelling()).result.run
    project.write("model.py", "def quality():\n    return 0.9\n")
    second = project.run(*modelling(module="model")).result.run
    (change,) = diff(project, first, second).code
    assert (change.before, change.diff.splitlines()[-1]) == (None, "+    return 0.9")


def test_models_are_compared_with_what_they_were_made_from_and_judged_by(project: Project) -> None:
    for rows, quality in ((10, 0.85), (40, 0.95)):
        project.run(*modelling(rows, quality=quality))
    first, second = (str(artifact.id) for artifact in project.store.all_artifacts("Model"))
    found = diff(project, first, second)
    assert (found.before.name, found.after.name) == (f"Model {first}", f"Model {second}")
    assert found.causes == ("data", "parameters")
    assert [change.metric for change in found.metrics] == ["auc"]
    assert {change.name for change in found.parameters} == {"Reading.rows", "Training.quality"}
    served = diff(project, str(project.folder / "serving/fake/1"), str(project.folder / "serving/fake/2"))
    assert (served.before.id, served.after.id) == (first, second)


def test_environments_are_compared_where_both_are_known(project: Project) -> None:
    runs = [project.run(*modelling()).result.run for _ in range(2)]
    store, storage = project.store, project.storage
    known = Environment.from_json(storage.kept_code(str(store.run(runs[0]).properties["environment"]), ".json"))
    assert known.packages["click"] == packages()["click"]
    assert "pip" in known.packages
    changed = Environment(known.cauce, "3.99.0", known.platform, {**known.packages, "click": "0.1"})
    store.update_run(runs[1], {"environment": storage.keep_text(changed.to_json(), ".json")})
    found = {change.name: change.after for change in diff(project, *runs).environment}
    assert found == {"python": "3.99.0", "click": "0.1"}


def test_a_node_cannot_be_compared(project: Project) -> None:
    project.run(*modelling())
    with pytest.raises(UsageError, match=r"'Training' is a node\. Expected a run, or a model\."):
        diff(project, "Training", "latest")
