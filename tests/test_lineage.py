"""The walk over the lineage graph, and its text."""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.artifacts import Artifact, ArtifactState
from pipeline.channel import Channel
from pipeline.lineage import Direction, Lineage, producers, text_tree, to_dot, walk
from pipeline.metadata import MetadataStore
from pipeline.records import Event, EventKind, Execution, ExecutionState
from tests.fakes import Failing, Numbers, Source
from tests.light import Halver, Joining, Parting
from tests.project import Project


def diamond(limit: int = 10) -> Joining:
    """A source that is parted, one part halved, and both joined: artifacts 1 to 5."""
    parted = Parting(Source(values=(4, 8, 20)), limit=limit)
    return Joining(Halver(parted.outputs["small"]), parted.outputs["large"])


def ids(store: MetadataStore, root: int, direction: Direction) -> set[int]:
    return set(walk(store, [root], direction).artifacts) - {root}


def tree(store: MetadataStore, root: int, direction: Direction, *runs: str) -> str:
    text = "\n".join(text_tree(walk(store, [root], direction)))
    for number, run in enumerate(runs, start=1):
        text = text.replace(run, f"RUN{number}")
    return text


def test_up_is_all_that_an_artifact_was_made_from_and_nothing_else(project: Project) -> None:
    project.run(diamond(), Halver(Source(id="other", values=(1,)), id="unrelated"))
    by_name = {artifact.producer + "." + artifact.name.split("/")[3]: artifact.id or 0 for artifact in project.store.all_artifacts()}
    up = ids(project.store, by_name["Joining.joined"], Direction.UP)
    assert up == {by_name[name] for name in ("Source.numbers", "Parting.small", "Parting.large", "Halver.halved")}
    assert ids(project.store, by_name["Source.numbers"], Direction.UP) == set()


def test_down_is_all_that_was_made_from_an_artifact_and_nothing_else(project: Project) -> None:
    project.run(diamond())
    by_name = {artifact.name.split("/")[3]: artifact.id or 0 for artifact in project.store.all_artifacts()}
    assert ids(project.store, by_name["large"], Direction.DOWN) == {by_name["joined"]}
    assert ids(project.store, by_name["numbers"], Direction.DOWN) == set(by_name.values()) - {by_name["numbers"]}
    assert ids(project.store, by_name["joined"], Direction.DOWN) == set()


def test_the_origin_of_an_artifact_is_the_execution_that_made_it_not_one_that_reused_it(project: Project) -> None:
    first, *_ = (project.run(Halver(Source())).result for _ in range(3))
    made = producers(project.store, [1, 2])
    assert {id: event.execution for id, event in made.items()} == {
        1: first["Source"].execution,
        2: first["Halver"].execution,
    }


def test_a_cache_hit_leads_down_to_what_it_reused_but_not_to_what_was_made_before(project: Project) -> None:
    def pipeline(values: tuple[int, ...], *, end: bool) -> Channel:
        # Both sources have the same large numbers: Halver reuses what it made of the first.
        large = Parting(Source(values=values)).outputs["large"]
        halved = Halver(large).outputs["halved"]
        return Halver(halved, id="again").outputs["halved"] if end else halved

    first = project.run(pipeline((1, 20), end=True)).result
    second = project.run(pipeline((2, 20), end=False)).result
    assert second["Halver"].state.value == "cached"
    (source,) = second["Source"].outputs["numbers"]
    found = walk(project.store, [source.id or 0], Direction.DOWN)
    (halved,) = first["Halver"].outputs["halved"]
    (again,) = first["again"].outputs["halved"]
    assert halved.id in found.artifacts
    assert again.id not in found.artifacts
    assert found.executions[second["Halver"].execution or 0].state is ExecutionState.CACHED


def test_runs_that_only_reused_results_do_not_show_in_the_way_down(project: Project) -> None:
    runs = [project.run(Halver(Source())).result for _ in range(3)]
    found = walk(project.store, [1], Direction.DOWN)
    assert list(found.executions) == [runs[0]["Halver"].execution]


def test_what_failed_made_nothing(project: Project) -> None:
    project.run(Failing(Source()))
    assert walk(project.store, [1], Direction.DOWN).executions == {}


def test_the_tree_upwards_names_inputs_parameters_verdicts_and_shows_nothing_twice(project: Project) -> None:
    run = project.run(diamond()).result.run
    assert (
        tree(project.store, 5, Direction.UP, run)
        == """\
FakeNumbers 5  Joining in run RUN1 · joined
├─ first: FakeNumbers 4  Halver in run RUN1
│  └─ numbers: FakeNumbers 2  Parting in run RUN1
│     └─ numbers: FakeNumbers 1  Source in run RUN1 · values=[4, 8, 20]
└─ second: FakeNumbers 3  (above)"""
    )


def test_the_tree_downwards_names_how_an_artifact_was_used(project: Project) -> None:
    run = project.run(diamond()).result.run
    assert (
        tree(project.store, 1, Direction.DOWN, run)
        == """\
FakeNumbers 1
├─ numbers → large: FakeNumbers 3  Parting in run RUN1
│  └─ second → joined: FakeNumbers 5  Joining in run RUN1 · joined
└─ numbers → small: FakeNumbers 2  Parting in run RUN1
   └─ numbers → halved: FakeNumbers 4  Halver in run RUN1
      └─ first → joined: FakeNumbers 5  (above)"""
    )


def test_the_tree_says_why_a_later_run_made_something_anew(project: Project) -> None:
    first = project.run(Halver(Source())).result.run
    second = project.run(Halver(Source(), steps=2)).result.run
    assert tree(project.store, 1, Direction.DOWN, first, second).splitlines()[1:] == [
        "├─ numbers → halved: FakeNumbers 2  Halver in run RUN1",
        "└─ numbers → halved: FakeNumbers 3  Halver in run RUN2 · steps=2 · steps is 2, was 1",
    ]


def test_an_execution_without_outputs_is_a_line_of_its_own(project: Project) -> None:
    project.run(Source())
    store = project.store
    store.publish(store.register("fake", "manual", "look", "tests.Look", {}, {"seen": store.artifacts([1])}), ExecutionState.COMPLETE, {})
    assert tree(store, 1, Direction.DOWN).splitlines()[1:] == ["└─ seen → look by hand"]


def test_a_removed_artifact_and_rows_are_told(tmp_path: Path) -> None:
    store = MetadataStore(f"sqlite://{tmp_path}/metadata.db")
    artifact = Numbers(tmp_path / "numbers", state=ArtifactState.DELETED)
    artifact.set_record_counts({"train": 1200, "eval": 34})
    store.publish(store.register("fake", "r", "n", "tests.N", {}, {}), ExecutionState.COMPLETE, {}, {"out": [artifact]})
    assert tree(store, 1, Direction.UP) == "FakeNumbers 1, removed (train 1,200, eval 34 rows)  n in run r"


def chain(store: MetadataStore, folder: Path, length: int) -> list[Artifact]:
    """A chain of artifacts, each made from the one before."""
    made: list[Artifact] = []
    for number in range(length):
        execution = store.register("fake", "run", f"n{number}", "tests.N", {}, {"before": made[-1:]} if made else {})
        made.append(Numbers(folder / str(number), name=str(number), state=ArtifactState.LIVE))
        store.publish(execution, ExecutionState.COMPLETE, {}, {"out": made[-1:]})
    return made


def test_a_walk_stops_at_its_limit_and_says_so(tmp_path: Path) -> None:
    store = MetadataStore(f"sqlite://{tmp_path}/metadata.db")
    made = chain(store, tmp_path, 30)
    for direction, root in ((Direction.UP, made[-1]), (Direction.DOWN, made[0])):
        found = walk(store, [root.id or 0], direction, limit=10)
        assert (len(found.executions), found.complete) == (10, False)
        assert list(text_tree(found))[-1] == "… there is more; to see all of it: --limit 0"
        assert len(walk(store, [root.id or 0], direction, limit=None).artifacts) == 30


def test_a_limit_holds_also_where_one_artifact_was_used_by_many(tmp_path: Path) -> None:
    store = MetadataStore(f"sqlite://{tmp_path}/metadata.db")
    (shared,) = chain(store, tmp_path, 1)
    for number in range(20):
        execution = store.register("fake", "run", "n", "tests.N", {}, {"shared": [shared]})
        store.publish(execution, ExecutionState.COMPLETE, {}, {"out": [Numbers(tmp_path, name=f"use {number}", state=ArtifactState.LIVE)]})
    found = walk(store, [shared.id or 0], Direction.DOWN, limit=5)
    assert (len(found.executions), len(found.artifacts), found.complete) == (5, 6, False)
    assert walk(store, [shared.id or 0], Direction.DOWN, limit=20).complete


def test_a_chain_longer_than_the_recursion_limit_has_a_tree(tmp_path: Path) -> None:
    length = sys.getrecursionlimit() + 100
    lineage = Lineage(Direction.UP, (length,))
    for id in range(1, length + 1):
        lineage.artifacts[id] = Numbers(tmp_path, id=id)
        lineage.executions[id] = Execution(id, "tests.N", ExecutionState.COMPLETE, 0, 0, {"node": "n", "run": "r"})
        lineage.events.append(Event(id, id, EventKind.OUTPUT, "out", 0))
        lineage.events += [Event(id, id - 1, EventKind.INPUT, "in", 0)] if id > 1 else []
    lines = list(text_tree(lineage))
    assert (len(lines), lines[-1].strip()) == (length, "└─ in: FakeNumbers 1  n in run r")


def test_an_artifact_whose_origin_is_unknown_is_not_taken_for_an_execution(project: Project) -> None:
    store = project.store
    strays = [Numbers(project.folder / str(number), name=str(number), state=ArtifactState.LIVE) for number in range(3)]
    store.publish(
        store.register("fake", "r", "resolver", "tests.R", {}, {}),
        ExecutionState.COMPLETE,
        {},
        {"a": strays},
        kind=EventKind.INTERNAL_OUTPUT,
    )
    execution = store.register("fake", "r", "n", "tests.N", {}, {"in": strays})
    made = Numbers(project.folder / "made", name="made", state=ArtifactState.LIVE)
    store.publish(execution, ExecutionState.COMPLETE, {}, {"out": [made]})
    assert tree(store, made.id or 0, Direction.UP).splitlines() == [
        "FakeNumbers 4  n in run r",
        "├─ in: FakeNumbers 1",
        "├─ in: FakeNumbers 2",
        "└─ in: FakeNumbers 3",
    ]


def test_the_dictionary_holds_artifacts_executions_and_edges(project: Project) -> None:
    project.run(Halver(Source()))
    shown = walk(project.store, [2], Direction.UP).as_json()
    assert (shown["direction"], shown["roots"], shown["complete"]) == ("up", [2], True)
    assert [artifact["id"] for artifact in shown["artifacts"]] == [1, 2]
    assert [execution["name"] for execution in shown["executions"]] == ["Source", "Halver"]
    assert {(event["kind"], event["key"], event["artifact"]) for event in shown["events"]} == {
        ("OUTPUT", "halved", 2),
        ("INPUT", "numbers", 1),
        ("OUTPUT", "numbers", 1),
    }


def test_the_code_that_an_artifact_was_made_with_is_part_of_its_lineage(project: Project) -> None:
    project.write(
        "definition.py",
        'from pipeline import Pipeline\nfrom steps import Made\n\ndef create_pipeline():\n    return Pipeline("own", [Made()])\n',
    )
    project.write(
        "steps.py",
        """
        from pipeline import Component, Output
        from tests.fakes import Numbers, write

        class Made(Component):
            isolated = False

            def execute(self, context, numbers: Output[Numbers]) -> None:
                write(numbers, [1])
        """,
    )
    project.run_file()
    (execution,) = walk(project.store, [1], Direction.UP).as_json()["executions"]
    sha = execution["code"]["steps.py"]
    assert project.storage.kept_code(sha) == (project.folder / "steps.py").read_text()
    assert f" · steps.py@{sha[:8]}" in tree(project.store, 1, Direction.UP)


def test_dot_names_each_node_and_edge_once_and_quotes_names(tmp_path: Path) -> None:
    store = MetadataStore(f"sqlite://{tmp_path}/metadata.db")
    execution = store.register("fake", "r", 'say "hi"', "tests.N", {}, {})
    store.publish(execution, ExecutionState.COMPLETE, {}, {"out": [Numbers(tmp_path, state=ArtifactState.LIVE)]})
    assert (
        to_dot([walk(store, [1], Direction.UP), walk(store, [1], Direction.DOWN)])
        == r"""digraph lineage {
  rankdir=LR;
  a1 [label="FakeNumbers 1", style=bold];
  e1 [shape=box, label="say \"hi\"\nr"];
  e1 -> a1 [label="out"];
}"""
    )
