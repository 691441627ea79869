"""`cauce runs`, `cauce nodes`, `cauce logs`."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from pipeline.component import Component, Output
from pipeline.records import ExecutionState, RunState
from tests.cli import cauce
from tests.fakes import Blocking, Failing, Numbers, Source, write
from tests.light import Halver
from tests.project import Project


def test_runs_alone_lists_them_oldest_first(project: Project) -> None:
    first = project.run(Halver(Source())).result.run
    second = project.run(Halver(Source()), name="other").result.run
    expected = """run  pipeline  state  started  time  because
RUN1  fake  done  TIME  SECONDS
RUN2  other  done  TIME  SECONDS  nothing changed"""
    for words in ((), ("list",)):
        said = cauce("runs", *words, root=project.root)
        assert (said.code, said.err) == (0, "")
        assert said.plain(project.folder, [first, second]) == expected


def test_runs_are_listed_as_json_with_the_fields_that_scripts_rely_on(project: Project) -> None:
    done = project.run(Halver(Source())).result.run
    blocked = project.run(Blocking(Source(values=(500,)))).result.run
    rows = cauce("runs", "list", "--json", root=project.root).json("runs-list")
    assert [row["id"] for row in rows] == [done, blocked]
    assert [row["state"] for row in rows] == ["done", "blocked"]
    assert {"id", "type", "name", "uri", "state", "created"} <= set(rows[0])
    assert rows[0]["created"] < rows[1]["created"]
    assert rows[1]["reason"] == "Blocking: the largest number is 500, the limit is 100"


def test_a_person_sees_the_last_20_runs_and_a_script_all(project: Project) -> None:
    ids = [f"run-{number:02d}" for number in range(25)]
    store = project.store
    for number, run in enumerate(ids):
        store.begin_run("fake", run, {"started": 1_700_000_000_000 + number})
        store.update_run(run, {"state": RunState.DONE.value, "ended": 1_700_000_060_000})
    said = cauce("runs", root=project.root)
    assert [line.split()[0] for line in said.out.splitlines()[1:]] == ids[-20:]
    assert said.err == "The last 20 of 25 runs. All of them: --limit 0\n"
    assert len(cauce("runs", "--limit", 0, root=project.root).out.splitlines()) == 26
    assert [row["id"] for row in cauce("runs", "--json", root=project.root).json("runs-list")] == ids
    assert [row["id"] for row in cauce("runs", "--json", "--limit", 2, root=project.root).json("runs-list")] == ids[-2:]


def test_runs_of_one_pipeline(project: Project) -> None:
    project.run(Source(), name="taxi")
    bikes = project.run(Source(), name="bikes").result.run
    assert [row["id"] for row in cauce("runs", "--pipeline", "bikes", "--json", root=project.root).json("runs-list")] == [bikes]
    said = cauce("runs", "--pipeline", "taxy", root=project.root)
    assert (said.code, said.err) == (2, "error: No pipeline 'taxy' has run. Did you mean 'taxi'?\n")


def test_without_a_store_there_are_no_runs_and_nothing_is_made(tmp_path: Path) -> None:
    said = cauce("runs", root=tmp_path / "root")
    assert (said.code, said.out) == (0, "")
    assert said.err.startswith(f"There are no runs in {tmp_path / 'root'}. Start one: cauce run PATH.")
    assert cauce("runs", "--json", root=tmp_path / "root").json("runs-list") == []
    assert cauce("runs", "show", root=tmp_path / "root").code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_shown_with_its_nodes_parameters_and_next_command(project: Project) -> None:
    run = project.run(Halver(Source(values=(2, 4)), steps=3), settings={"Halver.steps": "7"}).result.run
    said = cauce("runs", "show", run[:-2], root=project.root)
    definition = str(project.store.run(run).properties["definition"]).replace(str(project.folder), "DIR")
    assert (
        said.plain(project.folder, [run])
        == f"""run RUN1 of fake: done
started TIME, took SECONDS
definition {definition}
set Halver.steps=7

node  state  time  memory  verdict  why
Source  done  SECONDS  it has not run before
Halver  done  SECONDS  it has not run before

parameters
  Source: values=[2, 4]
  Halver: steps=7

next: cauce lineage 2"""
    )


def test_a_run_as_json_tells_all_of_each_node(project: Project) -> None:
    run = project.run(Halver(Source(values=(2, 4)))).result.run
    shown = cauce("runs", "show", "--json", root=project.root).json("runs-show")
    assert (shown["id"], shown["state"], shown["pipeline"]) == (run, "done", "fake")
    source, halver = shown["nodes"]
    assert (source["id"], source["component"], source["outputs"]) == ("Source", "tests.fakes.Source", {"numbers": [1]})
    assert (halver["inputs"], halver["outputs"]) == ({"numbers": [1]}, {"halved": [2]})
    assert halver["rows"] == {"read": 2, "written": {"all": 2}, "dropped": {}}
    assert halver["parameters"] == {"steps": 1}
    assert halver["reasons"] == ["it has not run before"]
    assert halver["seconds"] > 0
    assert Path(halver["log"]).is_file()


def test_a_failed_run_shows_the_error_the_log_and_how_to_go_on(project: Project) -> None:
    result = project.run(Failing(Source())).result
    said = cauce("runs", "show", root=project.root).plain(project.folder, [result.run])
    error = result["Failing"].reasons[0]
    assert "ValueError: as it was told" in error
    assert said.startswith(f"run RUN1 of fake: failed — Failing failed: {error}\n")
    assert f"\n\nFailing failed\n  {error}\n  The whole traceback: DIR/root/logs/RUN1/Failing.log\n" in said
    assert said.endswith("\nnext: cauce logs RUN1 Failing; then: cauce resume RUN1")


def test_a_blocked_run_shows_the_verdict_and_what_to_look_at(project: Project) -> None:
    run = project.run(Halver(Blocking(Source(values=(500,))))).result.run
    said = cauce("runs", "show", root=project.root).plain(project.folder, [run])
    assert "\nBlocking  blocked  SECONDS  blocked  it has not run before\n" in said
    assert "\nBlocking: blocked\n  the largest number is 500, the limit is 100\n" in said
    assert said.endswith("\nnext: cauce artifacts show 2")


def test_nodes_are_listed_in_the_order_in_which_they_began(project: Project) -> None:
    project.run(Halver(Halver(Source(), id="first"), id="second"))
    run = project.run(Halver(Halver(Source(), id="first"), id="second")).result.run
    rows = cauce("nodes", "latest", "--json", root=project.root).json("nodes")
    assert [(row["id"], row["state"]) for row in rows] == [("Source", "cached"), ("first", "cached"), ("second", "cached")]
    text = cauce("nodes", run, root=project.root).out
    assert [line.split()[0] for line in text.splitlines()] == ["node", "Source", "first", "second"]


def test_a_run_is_named_by_latest_a_dash_or_the_start_of_its_id(project: Project) -> None:
    first, second = (project.run(Source(values=(number,))).result.run for number in (1, 2))
    for name, expected in (("latest", second), ("-", second), (first, first), (first[:-1], first)):
        assert cauce("runs", "show", name, "--json", root=project.root).json("runs-show")["id"] == expected
    ambiguous = cauce("runs", "show", first[:4], root=project.root)
    assert ambiguous.code == 2
    assert f"'{first[:4]}' names 2 runs: {first}, {second}." in ambiguous.err
    unknown = cauce("runs", "show", f"x{second}", root=project.root)
    assert (unknown.code, f"Did you mean '{second}'?" in unknown.err) == (2, True)


def test_the_log_of_a_node_holds_what_it_said_and_its_traceback(project: Project) -> None:
    run = project.run(Failing(Halver(Source()).outputs["halved"])).result.run
    assert "WARNING cauce.Halver: halving 3 numbers\n" in cauce("logs", "halver", root=project.root).out
    said = cauce("logs", run, "Failing", "--json", root=project.root).json("logs")
    assert (said["run"], said["node"], said["path"]) == (run, "Failing", str(project.root / "logs" / run / "Failing.log"))
    assert "ValueError: as it was told" in said["lines"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("Halvr",), "has no node 'Halvr'. Did you mean 'Halver'?"),
        (("latest", "Halver", "more"), "Expected [RUN] NODE. Received: latest Halver more"),
        (("Halver", "--follow", "--json"), "Expected --follow or --json, not both."),
    ],
)
def test_a_log_that_is_asked_for_wrongly_is_refused(project: Project, words: tuple[str, ...], message: str) -> None:
    project.run(Halver(Source()))
    said = cauce("logs", *words, root=project.root)
    assert (said.code, message in said.err) == (2, True), said.err


def test_the_log_of_a_cached_node_is_that_of_the_run_which_did_the_work(project: Project) -> None:
    runs = [project.run(Halver(Source())).result.run for _ in range(3)]
    said = cauce("logs", "Halver", root=project.root)
    assert said.code == 2
    assert f"See the log of what was reused: cauce logs {runs[0]} Halver" in said.err


def test_a_log_that_was_removed_is_said_to_be_gone(project: Project) -> None:
    run = project.run(Halver(Source())).result.run
    file = project.root / "logs" / run / "Halver.log"
    file.unlink()
    said = cauce("logs", "Halver", root=project.root)
    assert (said.code, said.err.splitlines()[0]) == (2, f"error: The log of 'Halver' is gone: {file}")


def test_following_a_log_prints_what_is_added_until_the_node_has_ended(project: Project) -> None:
    store = project.store
    store.begin_run("fake", "now", {"started": 1, "root": "elsewhere"})
    log = project.root / "logs" / "slow.log"
    log.parent.mkdir(parents=True)
    log.write_text("begun\n")
    execution = store.register("fake", "now", "slow", "tests.Slow", {"log": str(log)}, {})

    def work() -> None:
        time.sleep(0.4)
        with log.open("a") as file:
            file.write("ended\n")
        store.publish(execution, ExecutionState.COMPLETE, {})

    worker = threading.Thread(target=work)
    worker.start()
    said = cauce("logs", "slow", "--follow", root=project.root)
    worker.join()
    assert (said.code, said.out) == (0, "begun\nended\n")


def test_nodes_that_a_run_never_came_to_are_shown(project: Project) -> None:
    store = project.store
    store.begin_run("fake", "stopped", {"started": 1, "nodes": '["Source", "Trainer"]'})
    store.update_run("stopped", {"state": RunState.INTERRUPTED.value, "ended": 2})
    (source, trainer) = cauce("nodes", "stopped", "--json", root=project.root).json("nodes")
    assert (source["state"], trainer["id"], trainer["state"], trainer["created"]) == ("not run", "Trainer", "not run", None)


def test_square_brackets_and_colons_are_data_and_no_markup(project: Project) -> None:
    class Odd(Component):
        isolated = False

        def execute(self, context, result: Output[Numbers]) -> None:  # type: ignore[no-untyped-def]
            write(result, [1])
            context.decide("odd", ["[red]not[/] :key: [/b]"])

    project.run(Odd())
    assert "[red]not[/] :key: [/b]" in cauce("runs", "show", root=project.root).out
