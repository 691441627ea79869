"""`cauce models`: what is served, why, and how to go back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.pusher import Pusher
from components.resolver import Resolver
from pipeline.artifacts import Model, ModelBlessing, ModelEvaluation
from pipeline.component import Component, Input, Output
from pipeline.records import MANUAL_RUN, ExecutionState
from tests.cli import cauce
from tests.project import Project

GRAPH = b"\x08\x01\x12\x02\x0a\x00"  # a SavedModel: its version, and a graph of two bytes


class Training(Component):
    """Makes a SavedModel that holds a number."""

    isolated = False

    def execute(self, context, model: Output[Model], *, weights: int) -> None:  # type: ignore[no-untyped-def]
        saved = model.path / "Format-Serving"
        saved.mkdir()
        (saved / "saved_model.pb").write_bytes(GRAPH)
        (saved / "weights").write_text(str(weights))


class Judging(Component):
    """Blesses a model, with a metric."""

    isolated = False

    def execute(
        self, context, model: Input[Model], blessing: Output[ModelBlessing], evaluation: Output[ModelEvaluation], *, auc: float
    ) -> None:  # type: ignore[no-untyped-def]
        evaluation.write_summary({"slices": [{"name": "all rows", "metrics": {"auc": {"candidate": {"value": auc}}}}]})
        blessing.write_summary({"verdict": "blessed", "reasons": [f"auc on all rows is {auc:g}."]})
        blessing.properties |= {"blessed": int(auc >= 0.8), "current_model_digest": model.digest, "current_model_id": model.id or 0}


def push(project: Project, weights: int, auc: float) -> str:
    """Trains, judges and pushes a model; returns the run."""
    model = Training(weights=weights).outputs["model"]
    return project.run(Pusher(model, Judging(model, auc=auc).outputs["blessing"], destination="serving/fake")).result.run


def test_versions_are_listed_with_verdict_metrics_and_which_is_served(project: Project) -> None:
    push(project, 1, 0.8)
    push(project, 2, 0.91)
    push(project, 3, 0.5)  # not blessed, so not pushed
    said = cauce("models", root=project.root).plain(project.folder)
    times = [record(project, version)["pushed"].replace("T", " ") for version in (1, 2)]
    assert said.replace(times[0], "TIME").replace(times[1], "TIME") == (
        """\
DIR/serving/fake
version  verdict  metrics  model  pushed
      1  available  blessed  auc 0.8  1  TIME
      2  served  blessed  auc 0.91  5  TIME"""
    )


def record(project: Project, version: int) -> dict[str, str]:
    found: dict[str, str] = json.loads((project.folder / "serving/fake" / str(version) / "assets.extra/cauce.json").read_text())
    return found


def test_versions_as_json_name_model_run_and_reasons(project: Project) -> None:
    run = push(project, 1, 0.8)
    (row,) = cauce("models", "list", "--json", root=project.root).json("models-list")
    assert (row["version"], row["state"], row["model"], row["run"], row["pipeline"]) == (1, "served", 1, run, "fake")
    assert (row["blessed"], row["metrics"], row["blessing_reasons"]) == (True, {"auc": 0.8}, ["auc on all rows is 0.8."])
    assert Path(row["uri"]).is_dir()


def test_a_destination_may_be_named_and_versions_of_others_are_listed_too(project: Project) -> None:
    push(project, 1, 0.8)
    (project.folder / "serving/fake/7").mkdir()
    rows = cauce("models", "list", project.folder / "serving/fake", "--json", root=project.root).json("models-list")
    assert [(row["version"], row["state"], row["problem"]) for row in rows] == [
        (1, "available", None),
        (7, "served", "version 7 has no record of cauce"),
    ]
    said = cauce("models", "list", project.folder / "serving/fak", root=project.root)
    assert (said.code, str(project.folder / "serving/fake") in said.err) == (2, True)


def test_nothing_was_pushed_yet(project: Project) -> None:
    said = cauce("models", root=project.root)
    assert (said.code, said.out, said.err) == (0, "", "No model has been pushed yet.\n")
    assert cauce("models", "--json", root=project.root).json("models-list") == []


def test_a_rollback_serves_an_earlier_version_again_and_is_recorded_with_its_reason(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = push(project, 1, 0.8)
    push(project, 2, 0.91)
    monkeypatch.chdir(project.folder)
    said = cauce("models", "rollback", "serving/fake", 1, "--reason", "false alarms", root=project.root)
    assert said.code == 0
    assert said.out.startswith(f"{project.folder / 'serving/fake'} serves version 3, which is version 1 again.")
    assert (project.folder / "serving/fake/3/weights").read_text() == "1"
    rows = cauce("models", "--json", root=project.root).json("models-list")
    assert [(row["version"], row["state"], row["restored"], row["reason"], row["run"]) for row in rows][-1] == (
        3,
        "served",
        1,
        "false alarms",
        run,
    )
    (execution,) = project.store.executions_of_run(MANUAL_RUN)
    assert (execution.component, execution.pipeline, execution.state) == ("cauce.models.rollback", "fake", ExecutionState.COMPLETE)
    assert execution.reasons == ("false alarms",)
    assert execution.properties["replaced_version"] == 2
    assert [artifact.id for artifact in project.store.inputs_of(execution.id)["model"]] == [1]


def test_a_rollback_withdraws_the_later_models_also_as_champions(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for weights in (1, 2, 3):
        push(project, weights, 0.9)
    monkeypatch.chdir(project.folder)
    champion = project.run(Resolver())
    assert champion.result["Resolver"].outputs["model"][0].id == model_of(project, 3)
    done = cauce("models", "rollback", "serving/fake", 1, "--reason", "false alarms", "--json", root=project.root).json("models-rollback")
    assert (done["withdrawn"], done["pinned"]) == ([2, 3], False)
    (execution,) = project.store.executions_of_run(MANUAL_RUN)
    assert [one.id for one in project.store.inputs_of(execution.id)["withdrawn"]] == [model_of(project, 2), model_of(project, 3)]
    after = project.run(Resolver())
    assert after.result["Resolver"].outputs["model"][0].id == model_of(project, 1)
    assert f"model {model_of(project, 3)} was passed over: it was rolled back (false alarms)" in after.reasons("Resolver")[0]
    rows = cauce("models", "--json", root=project.root).json("models-list")
    assert [row["withdrawn"] and row["withdrawn"]["reason"] for row in rows] == [None, "false alarms", "false alarms", None]
    assert "withdrawn: false alarms" in cauce("models", root=project.root).out
    cauce("models", "rollback", "serving/fake", 3, "--reason", "it was the data", root=project.root)
    assert project.run(Resolver()).result["Resolver"].outputs["model"][0].id == model_of(project, 3)


def model_of(project: Project, version: int) -> int:
    return int(record(project, version)["model_id"])


def test_nothing_changed_after_a_rollback_does_not_bring_the_model_back(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    push(project, 1, 0.8)
    push(project, 2, 0.91)
    monkeypatch.chdir(project.folder)
    cauce("models", "rollback", "serving/fake", 1, "--reason", "false alarms", root=project.root)
    model = Training(weights=2).outputs["model"]
    ran = project.run(Pusher(model, Judging(model, auc=0.91).outputs["blessing"], destination="serving/fake"))
    assert (ran.state("Training"), ran.state("Pusher")) == ("cached", "done")
    verdict = ran.result["Pusher"].verdict
    assert verdict is not None and verdict.kind == "not pushed" and "was rolled back" in verdict.reasons[0]
    assert not (project.folder / "serving/fake/4").exists()


def test_a_pin_keeps_others_away_until_it_ends_and_both_are_recorded(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    push(project, 1, 0.8)
    monkeypatch.chdir(project.folder)
    pinned = cauce("models", "pin", "serving/fake", "--reason", "audit", "--json", root=project.root).json("models-pin")
    assert (pinned["version"], pinned["pinned"], pinned["reason"]) == (1, True, "audit")
    push(project, 2, 0.91)
    assert not (project.folder / "serving/fake/2").exists()
    (row,) = cauce("models", "--json", root=project.root).json("models-list")
    assert row["pinned"]["reason"] == "audit"
    assert "pinned: audit" in cauce("models", root=project.root).out
    again = cauce("models", "pin", "serving/fake", "--reason", "audit", root=project.root)
    assert (again.code, "is pinned already, since" in again.err) == (2, True)
    said = cauce("models", "unpin", "serving/fake", "--reason", "the audit is over", root=project.root)
    assert (said.code, "is not pinned any more. It was since" in said.out) == (0, True)
    push(project, 2, 0.91)  # the refusal was no result that could be reused
    assert (project.folder / "serving/fake/2").is_dir()
    done = project.store.executions_of_run(MANUAL_RUN)
    assert [(one.component, one.verdict, one.reasons) for one in done] == [
        ("cauce.models.pin", "pinned", ("audit",)),
        ("cauce.models.unpin", "unpinned", ("the audit is over",)),
    ]
    assert [artifact.id for artifact in project.store.inputs_of(done[0].id)["model"]] == [1]


def test_a_rollback_may_pin_what_it_serves(project: Project) -> None:
    push(project, 1, 0.8)
    push(project, 2, 0.91)
    words = ("models", "rollback", project.folder / "serving/fake", 1, "--reason", "alarms", "--pin")
    said = cauce(*words, root=project.root)
    assert said.out.splitlines()[1:] == [
        "Withdrawn, and not pushed again: version 2.",
        "The destination is pinned: no other model is pushed there.",
    ]
    push(project, 3, 0.95)
    assert not (project.folder / "serving/fake/4").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("pin", "serving/fake", "--reason", " "), "--reason is empty"),
        (("pin", "serving/fake"), "Missing option '--reason'."),
        (("pin", "serving/other", "--reason", "x"), "There is no folder serving/other."),
        (("pin", "empty", "--reason", "x"), "has no version yet."),
        (("unpin", "serving/fake", "--reason", "x"), "is not pinned."),
    ],
)
def test_a_pin_that_cannot_be_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch, words: tuple[object, ...], message: str
) -> None:
    push(project, 1, 0.8)
    (project.folder / "empty").mkdir()
    monkeypatch.chdir(project.folder)
    said = cauce("models", *words, root=project.root)
    assert (said.code, message in said.err) == (2, True), said.err
    assert not (project.folder / "serving/fake/.cauce.json").exists()
    assert project.store.executions_of_run(MANUAL_RUN) == []


def test_why_says_of_a_withdrawn_model_what_took_it_back_and_what_is_served_instead(project: Project) -> None:
    for weights, auc in ((1, 0.9), (2, 0.95)):
        push(project, weights, auc)
    serving = project.folder / "serving/fake"
    assert cauce("models", "rollback", serving, 1, "--reason", "too many alarms", root=project.root).code == 0
    withdrawn = cauce("why", model_of(project, 2), root=project.root).out.splitlines()
    assert withdrawn[:2] == ["Why was this model withdrawn?", "  It was withdrawn by a rollback: too many alarms"]
    assert withdrawn[2].startswith(f"  It is not served now: {serving}/3 is (version 1 again: too many alarms), since ")
    assert "models.rollback  rolled back  by hand  (took it back)" in withdrawn
    again = cauce("why", serving / "1", root=project.root).out
    assert again.startswith(f"Why is this model served?\n  It is served now at {serving}/3.\n")
    assert "models.rollback  rolled back  by hand  (made it the served one again)" in again


def test_a_rollback_is_part_of_the_models_lineage_and_is_no_run(project: Project) -> None:
    push(project, 1, 0.8)
    push(project, 2, 0.91)
    done = cauce("models", "rollback", project.folder / "serving/fake", 1, "--reason", "why not", "--json", root=project.root).json(
        "models-rollback"
    )
    assert (done["restored"], done["version"]) == (1, 3)
    assert "models.rollback by hand · why not" in cauce("lineage", 1, "--down", root=project.root).out
    assert len(cauce("runs", "--json", root=project.root).json("runs-list")) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("serving/fake", 9, "--reason", "x"), "has no version 9."),
        (("serving/fake", 2, "--reason", "x"), "is served already."),
        (("serving/fake", 1, "--reason", " "), "--reason is empty. Expected why, in a few words."),
        (("serving/fake", 1), "Missing option '--reason'."),
        (("serving/other", 1, "--reason", "x"), "There is no folder serving/other."),
    ],
)
def test_a_rollback_that_cannot_be_is_refused_and_changes_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch, words: tuple[object, ...], message: str
) -> None:
    push(project, 1, 0.8)
    push(project, 2, 0.91)
    monkeypatch.chdir(project.folder)
    said = cauce("models", "rollback", *words, root=project.root)
    assert (said.code, message in said.err) == (2, True), said.err
    assert sorted(path.name for path in (project.folder / "serving/fake").iterdir()) == ["1", "2"]
    assert project.store.executions_of_run(MANUAL_RUN) == []


def test_a_rollback_that_could_not_be_recorded_is_refused(project: Project) -> None:
    push(project, 1, 0.8)
    push(project, 2, 0.91)
    said = cauce("models", "rollback", project.folder / "serving/fake", 1, "--reason", "x", root=project.folder / "elsewhere")
    assert (said.code, "There is no metadata store in" in said.err) == (2, True)
    assert not (project.folder / "serving/fake/3").exists()
