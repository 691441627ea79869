"""`cauce run`, `cauce plan`, `cauce resume`."""

from __future__ import annotations

import json

import pytest

from tests.cli import Said, cauce
from tests.project import Project

DEFINITION = """
    from pipeline import Pipeline
    from tests.fakes import Blocking, NearFailing, Source
    from tests.light import Halver

    def create_pipeline():
        source = Source(values=(10, 20))
        return Pipeline("small", [Halver(source), NearFailing(Blocking(source), marker="MARKER", id="Last")])
"""


@pytest.fixture(autouse=True)
def definition(project: Project) -> None:
    """A pipeline whose last node fails in the first run, until `marker` is there."""
    project.write("definition.py", DEFINITION.replace("MARKER", str(project.folder / "marker")))


def run(project: Project, *words: str) -> Said:
    """Runs the pipeline, whose last node is mended."""
    (project.folder / "marker").touch()
    return cauce("run", project.folder, *words, root=project.root)


def test_run_says_on_stdout_what_ran_and_why_and_on_stderr_what_happens(project: Project) -> None:
    said = run(project, "--parallel", "1")
    assert said.code == 0
    name = said.out.rpartition("runs show ")[2].strip()
    assert said.plain(project.folder, [name]) == (
        "   node  time  memory  why\n"
        "✓  Source  done  SECONDS  it has not run before\n"
        "✓  Halver  done  SECONDS  it has not run before\n"
        "✓  Blocking  done  SECONDS  it has not run before\n"
        "✓  Last  done  SECONDS  it has not run before\n"
        "Blocking: valid\n"
        "  the largest number is 20, the limit is 100\n"
        "run RUN1 done in SECONDS\n"
        "next: cauce runs show RUN1"
    )
    lines = said.err.splitlines()
    assert lines[0] == f"run {name} of small: 4 nodes"
    assert "Source runs: it has not run before" in lines
    (blocking,) = [line for line in lines if line.startswith("Blocking done in ")]
    assert blocking.endswith(": valid: the largest number is 20, the limit is 100")


def test_same_run_again_says_that_nothing_changed(project: Project) -> None:
    run(project)
    again = run(project, "--json").json("run")
    assert (again["state"], again["reason"]) == ("done", "nothing changed")
    assert {node["state"] for node in again["nodes"]} == {"cached"}


def test_run_as_json_prints_the_result_on_stdout_and_each_event_on_stderr(project: Project) -> None:
    said = run(project, "--json")
    result = said.json("run")
    assert {node["id"]: node["state"] for node in result["nodes"]} == dict.fromkeys(["Source", "Halver", "Blocking", "Last"], "done")
    assert next(node["verdict"] for node in result["nodes"] if node["id"] == "Blocking") == {
        "kind": "valid",
        "reasons": ["the largest number is 20, the limit is 100"],
    }
    events = [json.loads(line) for line in said.err.splitlines()]
    assert events[0]["event"] == "run_started"
    finished = {event["node"]: event["state"] for event in events if event["event"] == "node_finished"}
    assert finished == {node["id"]: node["state"] for node in result["nodes"]}


def test_plan_says_what_would_run_and_writes_nothing(project: Project) -> None:
    rows = cauce("plan", project.folder, "--json", root=project.root).json("plan")
    assert {row["id"]: row["action"] for row in rows} == {"Source": "run", "Halver": "waits", "Blocking": "waits", "Last": "waits"}
    assert not project.root.exists()
    run(project)
    said = cauce("plan", project.folder, "--set", "halver.steps=2", root=project.root)
    assert [line.split()[:2] for line in said.out.splitlines()[1:]] == [
        ["Source", "reuse"],
        ["Halver", "run"],
        ["Blocking", "reuse"],
        ["Last", "reuse"],
    ]
    assert "steps is 2, was 1" in said.out


def test_failed_node_leaves_code_1_and_resume_goes_on_from_there(project: Project) -> None:
    failed = cauce("run", project.folder, root=project.root)
    assert failed.code == 1
    assert "Last failed: " in failed.out and "ValueError: as it was told" in failed.out
    assert failed.out.endswith("next: cauce resume\n")
    said = cauce("resume", "--json", root=project.root)
    assert said.code == 0
    result = said.json("resume")
    assert [node["reasons"][0] for node in result["nodes"]] == ["done by this run before it was resumed"] * 3 + ["it has not succeeded yet"]
    again = cauce("resume", root=project.root)
    assert (again.code, again.out) == (0, "")
    assert again.err == f"Run {result['run']} is done; there is nothing to resume.\n"


def test_resume_uses_the_options_that_the_run_was_started_with(project: Project) -> None:
    assert cauce("run", project.folder, "--set", "blocking.limit=50", "--to", "Last", root=project.root).code == 1
    nodes = cauce("resume", "--json", root=project.root).json("resume")["nodes"]
    assert [node["id"] for node in nodes] == ["Source", "Blocking", "Last"]
    assert "the limit is 50" in nodes[1]["verdict"]["reasons"][0]


def test_blocked_run_leaves_code_3_and_names_what_to_look_at(project: Project) -> None:
    said = run(project, "--set", "blocking.limit=15")
    assert said.code == 3
    assert "Blocking: blocked\n  the largest number is 20, the limit is 15" in said.out
    assert "the run is blocked by Blocking" in said.out
    (shown,) = [line for line in said.out.splitlines() if line.startswith("next: ")]
    assert cauce(*shown.split()[2:], root=project.root).code == 0


def test_run_without_a_push_leaves_code_4_where_one_is_required(project: Project) -> None:
    assert run(project, "--require-push").code == 4


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--set", "halver.stepps=2"], "Node 'Halver' has no parameter 'stepps'. Did you mean 'steps'?"),
        (["--set", "halver.steps"], "--set expects NODE.PARAMETER=VALUE. Received: 'halver.steps'"),
        (["--set", "halver.steps=many"], "Node 'Halver': parameter 'steps' expects int. Received: 'many' of type str."),
        (["--only", "Halfer"], "Did you mean 'Halver'?"),
        (["--from", "Last", "--to", "Source"], "No node is left to run: no path leads from Last to Source."),
        (["--parallel", "0"], "Invalid value for '--parallel'"),
        (["--runner", "dask"], "Invalid value for '--runner'"),
    ],
)
def test_wrong_use_leaves_code_2_says_what_is_wrong_and_starts_nothing(project: Project, words: list[str], problem: str) -> None:
    said = run(project, *words)
    assert said.code == 2
    assert problem in said.err
    assert said.out == ""
    assert not project.root.exists()


def test_path_without_a_definition_leaves_code_2(project: Project) -> None:
    said = cauce("run", project.folder / "nowhere", root=project.root)
    assert said.code == 2
    assert "nowhere" in said.err
