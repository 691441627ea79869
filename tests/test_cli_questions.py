"""`cauce why`, `diff`, `search`, `executions list`, and conditions on `runs list` and `artifacts list`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.cli import Said, cauce
from tests.fakes import NearFailing, Source
from tests.light import Halver
from tests.models import modelling
from tests.project import Project


@pytest.fixture
def modelled(project: Project) -> list[str]:
    """The ids of three runs with models of other quality; the second is not blessed."""
    return [project.run(*modelling(quality=quality)).result.run for quality in (0.85, 0.7, 0.95)]


def test_why_prints_question_answer_steps_and_the_next_command(project: Project, modelled: list[str]) -> None:
    said = cauce("why", modelled[1], "Pushing", root=project.root)
    assert said.code == 0, said.err
    lines = said.plain(project.folder, modelled).splitlines()
    assert lines[0] == "Why did Pushing run?"
    assert "  It decided: not pushed: the model is not blessed" in lines
    assert lines[-1].startswith("next: cauce ")


def test_why_as_json_is_as_its_schema_says(project: Project, modelled: list[str]) -> None:
    for name in ("latest", "Training", "latest:Model", "latest:Examples", "execution:1", str(project.folder / "serving/fake/1")):
        found = cauce("why", name, "--json", root=project.root).json("why")
        assert found["answer"], name


def test_why_of_nothing_suggests_what_is_near(project: Project, modelled: list[str]) -> None:
    said = cauce("why", "Trainng", root=project.root)
    assert (said.code, said.err.splitlines()[0]) == (
        2,
        "error: There is no run, node, execution or artifact 'Trainng'. Did you mean 'Training'?",
    )
    assert cauce("why", "a", "b", "c", root=project.root).code == 2


def test_diff_prints_what_is_different(project: Project, modelled: list[str]) -> None:
    said = cauce("diff", modelled[0], modelled[1], root=project.root)
    text = said.plain(project.folder, modelled)
    assert "different: parameters" in text
    assert "Training.quality  0.85  0.7" in text
    assert "all rows  auc  0.85 [0.84, 0.86]  0.7 [0.69, 0.71]  -0.15000  intervals do not overlap" in text
    assert "Judging  done, blessed  done, not blessed" in text
    cauce("diff", modelled[0], modelled[1], "--json", root=project.root).json("diff")


def test_diff_of_data_shows_distances(project: Project) -> None:
    runs = [project.run(*modelling(rows)).result.run for rows in (10, 40)]
    text = cauce("diff", *runs, root=project.root).plain(project.folder, runs)
    assert "data of Measuring.statistics, split train: 10 rows before, 40 after" in text
    assert "size  0.7500" in text
    assert "5 → 20" in text


def test_search_finds_ids_names_paths_digests_and_code(project: Project, modelled: list[str]) -> None:
    digest = project.store.all_artifacts("Model")[0].digest

    def kinds(text: str) -> list[tuple[str, str]]:
        return [(hit["kind"], hit["where"]) for hit in cauce("search", text, "--json", root=project.root).json("search")]

    assert kinds(digest[:10]) == [("artifact", "digest")]
    assert ("run", "id") in kinds(modelled[0])
    assert kinds("trainin")[0] == ("node", "name")
    assert ("pipeline", "name") in kinds("fake")
    assert set(kinds(str(project.root / "artifacts"))) == {("artifact", "path")}
    assert kinds("execution:3") == [("execution", "id")]
    said = cauce("search", "no such thing", root=project.root)
    assert (said.code, said.out, said.err) == (0, "", "Nothing has 'no such thing' in its id, name, path or digest.\n")


def test_search_finds_user_code_by_file_and_digest(project: Project) -> None:
    project.write("model.py", "def quality():\n    return 0.9\n")
    project.run(*modelling(module="model"))
    (hit,) = cauce("search", "model.py", "--json", root=project.root).json("search")
    assert (hit["kind"], hit["where"]) == ("code", "file")
    (again,) = cauce("search", hit["id"][:12], "--json", root=project.root).json("search")
    assert (again["id"], again["where"]) == (hit["id"], "digest")


def test_runs_are_found_by_metrics_and_parameters_best_first(project: Project, modelled: list[str]) -> None:
    said = cauce("runs", "list", "--where", "auc > 0.8 and quality < 0.99", "--sort", "-auc", "--json", root=project.root)
    found = said.json("runs-list")
    assert [run["id"] for run in found] == [modelled[2], modelled[0]]
    assert found[0]["values"]["Judging.auc"] == 0.95
    text = cauce("runs", "list", "--where", "not blessed", root=project.root).plain(project.folder, modelled)
    assert text.splitlines() == [
        "id  pipeline  state  started  seconds  blessed",
        "RUN2  fake  done  TIME  SECONDS  no",
    ]


def test_conditions_add_up_and_a_pipeline_is_one(project: Project, modelled: list[str]) -> None:
    words = ("runs", "list", "--pipeline", "fake", "--where", "auc > 0.7 or auc < 0.1", "--where", "auc < 0.9", "--json")
    assert [run["id"] for run in cauce(*words, root=project.root).json("runs-list")] == [modelled[0]]


def test_csv_has_parameters_and_metrics_as_columns(project: Project, modelled: list[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(cauce("runs", "list", "--csv", root=project.root).out)))
    assert [row["id"] for row in rows] == modelled
    assert [row["Judging.auc"] for row in rows] == ["0.85", "0.7", "0.95"]
    assert {row["Training.quality"] for row in rows} == {"0.85", "0.7", "0.95"}
    assert rows[1]["blessed"] == "false"
    assert rows[0]["started"].endswith("Z")
    chosen = cauce("runs", "list", "--csv", "--column", "auc", "--sort", "auc", root=project.root).out.splitlines()
    assert chosen[0] == "id,pipeline,state,started,seconds,Judging.auc"
    assert chosen[1].endswith(",0.7")


def test_fields_are_listed_and_a_wrong_one_is_refused(project: Project, modelled: list[str]) -> None:
    fields = cauce("runs", "list", "--fields", root=project.root).out.splitlines()
    assert {"Judging.auc", "Training.quality", "state", "blessed", "age"} <= set(fields)
    said = cauce("runs", "list", "--where", "acu > 1", root=project.root)
    assert (said.code, said.err.splitlines()[0]) == (2, "error: There is no field 'acu'. Did you mean 'auc'?")
    assert cauce("runs", "list", "--csv", "--json", root=project.root).code == 2


def test_metrics_of_a_reused_evaluation_belong_to_the_run_too(project: Project, modelled: list[str]) -> None:
    again = project.run(*modelling(quality=0.95)).result.run
    found = cauce("runs", "list", "--where", "auc = 0.95", "--json", root=project.root).json("runs-list")
    assert [run["id"] for run in found] == [modelled[2], again]


def test_executions_are_found_by_code_as_it_is_now_and_by_digest(project: Project) -> None:
    file = project.write("model.py", "def quality():\n    return 0.9\n")
    project.run(*modelling(module="model"))
    project.write("model.py", "def quality():\n    return 0.91\n")
    second = project.run(*modelling(module="model")).result.run

    def runs(code: object) -> list[str]:
        said = cauce("executions", "list", "--code", code, "--json", root=project.root)
        return [execution["run"] for execution in said.json("executions-list")]

    assert runs(file) == [second]
    assert len(runs("model.py")) == 2
    (execution,) = cauce("executions", "list", "--code", file, "--json", root=project.root).json("executions-list")
    assert runs(f"model.py@{execution['code']['model.py'][:8]}") == [second]
    file.write_text("changed")
    said = cauce("executions", "list", "--code", file, root=project.root)
    assert (said.code, said.err.startswith(f"error: No execution used {file} as it is now.")) == (2, True)


def test_executions_are_found_by_a_library_that_was_only_installed(project: Project, modelled: list[str]) -> None:
    import click

    def count(library: str) -> int:
        return len(cauce("executions", "list", "--library", library, "--json", root=project.root).json("executions-list"))

    assert count("click") == count(f"click={click.__version__}") == 6 * 3
    assert count("click==0.1") == 0
    said = cauce("executions", "list", "--library", "clik", root=project.root)
    assert (said.code, said.err) == (2, "error: No execution ran with a library 'clik'. Did you mean 'click'?\n")


def test_failed_executions_are_found_with_their_errors(project: Project) -> None:
    project.run(NearFailing(Source()))
    said = cauce("executions", "list", "--where", "state = failed", "--column", "error", root=project.root)
    assert "as it was told" in said.out
    assert cauce("executions", "list", "--where", "state = skipped", root=project.root).err == "There are no such executions.\n"


def test_artifacts_that_are_large_old_and_unused_are_found(project: Project) -> None:
    project.run(Halver(Source(values=tuple(range(500)))))

    def ids(*options: str) -> list[int]:
        return [artifact["id"] for artifact in cauce("artifacts", "list", *options, "--json", root=project.root).json("artifacts-list")]

    assert ids("--unused") == [2]
    assert ids("--unused", "--larger-than", "1GB") == []
    assert ids("--larger-than", "1kB", "--sort", "-size") == [1, 2]
    assert ids("--older-than", "1h") == []
    assert ids("--where", "total = 124750") == [1]
    assert ids("--type", "FakeNumbers", "--where", "used") == [1]
    assert cauce("artifacts", "list", "--larger-than", "much", root=project.root).code == 2


def exported(said: Said) -> list[dict[str, object]]:
    return [json.loads(line) for line in said.out.splitlines()]


def test_runs_are_exported_as_events_a_line_each_or_as_an_array(project: Project, modelled: list[str]) -> None:
    lines = exported(cauce("lineage", "export", root=project.root))
    assert lines == cauce("lineage", "export", "latest", "--json", root=project.root).json("lineage-export")
    assert len(exported(cauce("lineage", "export", "--all", root=project.root))) == 3 * len(lines)
    file = project.folder / "events.ndjson"
    said = cauce("lineage", "export", modelled[0], "-o", file, root=project.root)
    assert (said.code, said.err, len(file.read_text().splitlines())) == (0, f"{len(lines)} events in {file}\n", len(lines))
    assert cauce("lineage", "export", "latest", "--all", root=project.root).code == 2
    assert "cannot be written" in cauce("lineage", "export", "-o", project.folder / "no" / "file", root=project.root).err


def test_lineage_of_a_span_and_of_what_is_served(project: Project, modelled: list[str]) -> None:
    served = project.folder / "serving/fake/2"
    said = cauce("lineage", "1", "--down", root=project.root)
    assert said.out.count(f"served now at {served}") >= 2
    assert f"served now at {project.folder / 'serving/fake/1'}" not in said.out
    assert "There are no examples of span '3'. Spans that were read: none." in cauce("lineage", "span:3", root=project.root).err


def test_what_a_model_was_made_of_stands_above_its_tree(project: Project) -> None:
    project.write("model.py", "def quality():\n    return 0.9\n")
    run = project.run(*modelling(module="model")).result.run
    text = cauce("lineage", "latest:Model", "--up", root=project.root).plain(project.folder, [run])
    lines = text.splitlines()
    assert lines[0].startswith("rows  Examples ")
    assert lines[0].endswith(": 10 (train 10)")
    assert lines[2].startswith("code  model.py@")
    assert "parameters  Training: quality=0.9 module=model" in text
    made_of = cauce("lineage", "latest:Model", "--up", "--json", root=project.root).json("lineage-show")["made_of"]
    assert [code["file"] for code in made_of["code"]] == ["model.py"]


def test_a_depth_stops_the_walk_and_says_where_it_goes_on(project: Project, modelled: list[str]) -> None:
    found = cauce("lineage", "latest:PushedModel", "--up", "--depth", "1", "--json", root=project.root).json("lineage-show")["up"]
    assert (len(found["executions"]), found["complete"]) == (1, False)
    kinds = {artifact["id"]: artifact["type"] for artifact in found["artifacts"]}
    assert {kinds[id] for id in found["frontier"]} == {"Model", "ModelBlessing"}


def test_mermaid_holds_no_markup_of_the_data(project: Project, modelled: list[str]) -> None:
    said = cauce("lineage", "latest:Model", "--up", "--format", "mermaid", root=project.root)
    assert said.out.startswith("flowchart LR\n")
    assert '("Model ' in said.out
    from pipeline.lineage.formats import _in_mermaid

    assert _in_mermaid('a"]<b>\nc') == '"a#34;#93;#60;b#62;<br>c"'


def test_questions_to_an_empty_root_say_so(tmp_path: Path) -> None:
    assert cauce("why", "latest", root=tmp_path / "root").err.startswith("error: There are no runs in")
    assert cauce("runs", "list", "--where", "state = done", root=tmp_path / "root").err == "There are no such runs.\n"
    assert cauce("executions", "list", root=tmp_path / "root").err == "There are no such executions.\n"
    assert cauce("search", "x", root=tmp_path / "root").code == 0
