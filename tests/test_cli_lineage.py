"""`cauce lineage`, and how artifacts are named on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.artifacts import ArtifactState, Model, PushedModel
from pipeline.component import Component, Input, Output
from pipeline.lineage import Ledger
from pipeline.lineage.text import text_tree
from pipeline.records import ExecutionState
from tests.cli import cauce
from tests.fakes import Failing, Numbers, Source
from tests.light import Halver
from tests.project import Project


class Training(Component):
    """Makes a model of nothing."""

    isolated = False

    def execute(self, context, model: Output[Model]) -> None:  # type: ignore[no-untyped-def]
        (model.path / "weights").write_text("1")


class Pushing(Component):
    """Pushes a model to version 1 of the destination, with the record that the Pusher leaves there."""

    isolated = False

    def execute(self, context, model: Input[Model], pushed: Output[PushedModel], *, destination: str) -> None:  # type: ignore[no-untyped-def]
        version = context.path(destination) / "1"
        (version / "assets.extra").mkdir(parents=True)
        (version / "saved_model.pb").write_text("1")
        (version / "assets.extra/cauce.json").write_text(json.dumps({"model": model.name, "model_id": model.id}))
        (pushed.path / "saved_model.pb").write_text("1")
        pushed.properties["pushed_destination"] = str(version)


def test_without_a_direction_both_are_shown(project: Project) -> None:
    run = project.run(Halver(Halver(Source(), id="first"), id="second")).result.run
    said = cauce("lineage", 2, root=project.root)
    assert said.code == 0
    assert (
        said.plain(project.folder, [run])
        == """\
made from
FakeNumbers 2  first (Halver) in run RUN1
└─ numbers: FakeNumbers 1  Source in run RUN1

used for
FakeNumbers 2
└─ numbers → halved: FakeNumbers 3  second (Halver) in run RUN1"""
    )
    assert cauce("lineage", 3, root=project.root).plain(project.folder).endswith("\n\nused for: nothing")


def test_one_direction_has_no_title(project: Project) -> None:
    run = project.run(Halver(Source())).result.run
    assert cauce("lineage", 2, "--up", root=project.root).plain(project.folder, [run]).splitlines() == [
        "FakeNumbers 2  Halver in run RUN1",
        "└─ numbers: FakeNumbers 1  Source in run RUN1",
    ]
    assert cauce("lineage", 2, "--down", root=project.root).out == "FakeNumbers 2\n"


def test_json_has_what_was_named_and_each_direction_that_was_asked_for(project: Project) -> None:
    project.run(Halver(Source()))
    both = cauce("lineage", 1, "--json", root=project.root).json("lineage-show")
    assert ([root["id"] for root in both["roots"]], both["up"]["direction"], both["down"]["direction"]) == ([1], "up", "down")
    assert [artifact["id"] for artifact in both["down"]["artifacts"]] == [1, 2]
    up = cauce("lineage", 2, "--up", "--format", "json", root=project.root).json("lineage-show")
    assert set(up) == {"roots", "made_of", "up"}


def test_dot_is_one_graph_of_both_directions(project: Project) -> None:
    project.run(Halver(Halver(Source(), id="first"), id="second"))
    said = cauce("lineage", 2, "--format", "dot", root=project.root)
    assert said.out.startswith("digraph lineage {\n")
    assert said.out.count('"FakeNumbers 2"') == 1
    assert '  a1 [label="FakeNumbers 1"];\n' in said.out
    assert '  a3 [label="FakeNumbers 3"];\n' in said.out


def test_an_artifact_is_named_by_the_path_of_a_file_in_it_also_of_a_removed_one(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.run(Halver(Source()))
    (folder,) = (path for path in project.published() if path.parent.name == "halved")
    monkeypatch.chdir(folder)
    for name in ("numbers.json", ".", folder, folder / "numbers.json", folder / "gone" / "file"):
        assert cauce("lineage", name, "--down", root=project.root).out == "FakeNumbers 2\n", name


def test_a_served_model_leads_to_what_was_pushed(project: Project) -> None:
    project.run(Pushing(Training(), destination="serving/fake"))
    served = f"served now at {project.folder}/serving/fake/1"
    for path in ("serving/fake/1", "serving/fake/1/saved_model.pb", "serving/fake"):
        said = cauce("lineage", project.folder / path, "--up", root=project.root)
        assert said.out.splitlines()[0].startswith(f"PushedModel 2, {served}  Pushing in run "), said.err
        assert said.out.splitlines()[1].startswith("└─ model: Model 1  Training in run ")


def test_long_lines_go_on_below_between_the_branches(project: Project) -> None:
    project.run(Pushing(Training(), destination="serving/fake"))
    ledger = Ledger(project.store, project.storage)
    wide, narrow = (list(text_tree(ledger.up("latest:PushedModel"), width=width)) for width in (None, 60))
    assert max(map(len, wide)) > 60 >= max(map(len, narrow))
    assert narrow[1].startswith("│  ")
    words = " ".join("".join(line.lstrip("│├└─ ") + " " for line in narrow).split())
    assert words == " ".join("".join(line.lstrip("│├└─ ") + " " for line in wide).split())


def test_a_served_model_that_was_rolled_back_to_leads_to_the_model(project: Project) -> None:
    project.run(Pushing(Training(), destination="serving/fake"))
    (project.folder / "serving/fake/1").rename(project.folder / "serving/fake/2")
    assert cauce("lineage", project.folder / "serving/fake/2", "--up", root=project.root).out.startswith("Model 1  Training in run ")


def test_a_served_model_of_another_store_is_told_from_one_of_this(project: Project) -> None:
    project.run(Pushing(Training(), destination="serving/fake"))
    record = project.folder / "serving/fake/1/assets.extra/cauce.json"
    record.write_text(json.dumps({"model": "other/model", "model_id": 1}))
    said = cauce("lineage", project.folder / "serving/fake/1", root=project.root)
    assert (said.code, "names the model 'other/model' (1), which this metadata store does not know." in said.err) == (2, True)
    record.write_text("{")
    said = cauce("lineage", project.folder / "serving/fake/1", root=project.root)
    assert (said.code, f"{record} does not say which model it holds" in said.err) == (2, True)


def test_a_run_stands_for_what_it_ended_in(project: Project) -> None:
    run = project.run(Halver(Source())).result.run
    for name in ("latest", "-", run, run[:12]):
        assert cauce("lineage", name, "--down", root=project.root).out == "FakeNumbers 2\n"


def test_of_a_failed_run_it_is_what_was_done_before(project: Project) -> None:
    project.run(Failing(Halver(Source())))
    assert cauce("lineage", "latest", "--down", root=project.root).out == "FakeNumbers 2\n"


def test_the_latest_of_a_type_is_found_however_old_it_is(project: Project) -> None:
    project.run(Training())
    store = project.store
    made = [Numbers(project.folder, name=str(number), state=ArtifactState.LIVE) for number in range(150)]
    store.publish(store.register("fake", "r", "n", "tests.N", {}, {}), ExecutionState.COMPLETE, {}, {"out": made})
    assert cauce("lineage", "latest:Model", "--down", root=project.root).out == "Model 1\n"
    assert cauce("lineage", "latest:FakeNumbers", "--down", root=project.root).out == "FakeNumbers 151\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("77", "There is no artifact '77'. Expected a number, latest:TYPE, span:N, or the path of a file"),
        ("nothing", "There is no artifact 'nothing'."),
        ("latest:Modle", "There is no artifact type 'Modle'. Did you mean 'Model'?"),
        ("latest:Model", "There is no Model yet."),
        ("/nowhere/else", "/nowhere/else belongs to no artifact of this metadata store."),
    ],
)
def test_what_names_nothing_is_refused_with_what_was_expected(project: Project, name: str, message: str) -> None:
    project.run(Source())
    said = cauce("lineage", name, root=project.root)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"error: {message}"), said.err
    assert "Traceback" not in said.err


def test_without_a_store_the_error_says_so(tmp_path: Path) -> None:
    said = cauce("lineage", "latest", root=tmp_path / "root")
    assert (said.code, said.err.startswith("error: There are no runs in")) == (2, True)


def test_formats_do_not_mix(project: Project) -> None:
    project.run(Source())
    said = cauce("lineage", 1, "--json", "--format", "dot", root=project.root)
    assert (said.code, said.err) == (2, "error: Expected --json or --format dot, not both.\n")
