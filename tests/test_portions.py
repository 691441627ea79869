"""Work in portions: each result is kept on its own, reused one by one, published in one execution."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.component import Component, Input, Output
from pipeline.driver import Driver, Prepared
from pipeline.errors import DataError
from pipeline.garbage import find_garbage, remove_garbage
from pipeline.lineage import Direction, walk
from pipeline.portions import Portion, shortened_names
from tests.fakes import Numbers, Source, read, write
from tests.project import Project, Ran


class PartsDriver(Driver):
    """Makes each input a portion."""

    def prepare(self, node: Component, inputs: Any, project: Path) -> Prepared:
        portions = tuple(Portion(f"part {json.dumps(read(one))}", inputs={"numbers": (one,)}) for one in inputs["numbers"])
        return Prepared(dict(node.parameters), portions=portions)


class Summing(Component):
    """Adds up each input, and all sums; fails at a given sum, and counts its calls in a file."""

    driver = PartsDriver
    isolated = False

    def execute(  # type: ignore[no-untyped-def]
        self,
        context,
        numbers: Input[list[Numbers]],
        sums: Output[list[Numbers]],
        total: Output[Numbers],
        *,
        factor: int = 1,
        fail_at: int | None = None,
    ) -> None:
        for one, own in zip(numbers, sums, strict=True):
            if own.id is None:
                write(own, [factor * sum(read(one))])
                own.properties["sum"] = factor * sum(read(one))
        values = [read(own)[0] for own in sums]
        if fail_at in values:
            raise DataError(f"{fail_at} is not wanted")
        write(total, [sum(values)])


class EachDriver(Driver):
    """Makes each value a portion."""

    def prepare(self, node: Component, inputs: Any, project: Path) -> Prepared:
        values = node.parameters["values"]
        return Prepared(
            {"values": values, "folder": node.parameters["folder"]},
            left_out=frozenset({"folder"}),
            portions=tuple(Portion(f"value {value}", parameters={"values": (value,)}) for value in values),
        )


class Each(Component):
    """Makes numbers of each value on its own, and notes each call in a folder; fails while a file of that name is there."""

    driver = EachDriver
    isolated = False

    def execute(self, context, numbers: Output[Numbers], *, values: tuple[int, ...], folder: str) -> None:  # type: ignore[no-untyped-def]
        (value,) = values
        if (Path(folder) / f"fail-{value}").exists():
            raise DataError(f"{value} is damaged")
        with (Path(folder) / "calls").open("a") as file:
            file.write(f"{value} ")
        context.progress("making")
        context.count_rows(value, {"all": value})
        write(numbers, [value])


def parts(*groups: tuple[int, ...]) -> list[Source]:
    return [Source(values=group, id="source-" + "-".join(map(str, group))) for group in groups]


def outputs(ran: Ran, node: str, name: str) -> list[list[int]]:
    return [read(artifact) for artifact in ran.result[node].outputs[name]]


def calls(folder: Path) -> str:
    return (folder / "calls").read_text().strip() if (folder / "calls").exists() else ""


def each(project: Project, *values: int) -> Each:
    return Each(values=values, folder=str(project.folder))


def test_what_is_made_of_all_is_made_anew_from_the_kept_results(project: Project) -> None:
    first = project.run(Summing(parts((1,), (2, 3))))
    assert (outputs(first, "Summing", "sums"), outputs(first, "Summing", "total")) == ([[1], [5]], [[6]])
    second = project.run(Summing(parts((2, 3), (4,))))
    assert (outputs(second, "Summing", "sums"), outputs(second, "Summing", "total")) == ([[5], [4]], [[9]])
    assert second.reasons("Summing") == ("part [4] is new", "part [2, 3] is reused")
    ids = [[artifact.id for artifact in ran.result["Summing"].outputs["sums"]] for ran in (first, second)]
    assert ids[0][1] == ids[1][0]
    third = project.run(Summing(parts((1,), (2, 3), (4,))))
    assert third.reasons("Summing") == ("parts [1] to [4] are reused and put together anew",)
    assert outputs(third, "Summing", "total") == [[10]]
    assert project.run(Summing(parts((1,), (2, 3), (4,)))).states["Summing"] == "cached"


def test_artifacts_of_an_output_have_places_of_their_own_and_keep_their_order_in_the_store(project: Project) -> None:
    ran = project.run(Summing(parts((5,), (1,))))
    execution = project.executions(ran.result.run)["Summing"]
    stored = project.store.outputs_of(execution.id)
    assert [artifact.properties["sum"] for artifact in stored["sums"]] == [5, 1]
    assert len({artifact.path for artifact in stored["sums"]} | {artifact.name for artifact in stored["sums"]}) == 4
    assert not any((project.root / "staging").iterdir())


def test_each_portion_to_do_is_one_call_and_the_balances_add_up(project: Project) -> None:
    project.run(each(project, 1, 2))
    ran = project.run(each(project, 2, 3, 4))
    assert calls(project.folder) == "1 2 3 4"
    execution = project.executions(ran.result.run)["Each"]
    assert (execution.properties["rows_read"], json.loads(str(execution.properties["rows_written"]))) == (7, {"all": 7})
    assert [progress.message for node, progress in ran.events.progress] == ["value 3: making", "value 4: making"]
    assert (project.run(each(project, 3)).state("Each"), calls(project.folder)) == ("cached", "1 2 3 4")


def test_failure_of_one_portion_publishes_nothing(project: Project) -> None:
    (project.folder / "fail-2").touch()
    ran = project.run(each(project, 1, 2))
    assert (ran.state("Each"), project.published()) == ("failed", [])
    (project.folder / "fail-2").unlink()
    assert outputs(project.run(each(project, 1, 2)), "Each", "numbers") == [[1], [2]]


def test_cache_that_is_off_does_all_portions_again(project: Project) -> None:
    project.run(each(project, 1, 2))
    ran = project.run(each(project, 1, 2), rerun=("Each",))
    assert (calls(project.folder), ran.reasons("Each")) == ("1 2 1 2", ("asked for with --rerun",))


def test_changed_parameter_is_named_once_for_all_portions(project: Project) -> None:
    project.run(Summing(parts((1,), (2,))))
    ran = project.run(Summing(parts((1,), (2,)), factor=3))
    assert ran.reasons("Summing") == ("factor is 3, was 1", "parts [1], [2] are done again")


def test_lineage_of_a_reused_artifact_leads_to_the_execution_that_made_it(project: Project) -> None:
    first = project.run(Summing(parts((1,), (2,))))
    second = project.run(Summing(parts((2,), (3,))))
    reused = second.result["Summing"].outputs["sums"][0].id or 0
    up = walk(project.store, [reused], Direction.UP)
    assert project.executions(first.result.run)["Summing"].id in up.executions
    down = walk(project.store, [second.result["source-3"].outputs["numbers"][0].id or 0], Direction.DOWN)
    assert second.result["Summing"].outputs["total"][0].id in down.artifacts


def test_artifacts_that_left_the_window_are_garbage_and_those_in_it_stay(project: Project) -> None:
    project.run(each(project, 1, 2, 3))
    kept = project.run(each(project, 2, 3, 4))
    garbage = find_garbage(project.store, project.storage, keep=1)
    assert [read(judged.artifact) for judged in garbage.remove] == [[1]]
    remove_garbage(garbage, project.store, project.storage)
    assert project.run(each(project, 2, 3, 4)).state("Each") == "cached"
    again = project.run(each(project, 1, 2, 3))
    assert again.reasons("Each") == (
        "value 1 is done again: its cached output 'numbers' was removed (DELETED)",
        "values 2-3 are reused",
    )
    assert [artifact.id for artifact in again.result["Each"].outputs["numbers"]][1:] == [
        artifact.id for artifact in kept.result["Each"].outputs["numbers"]
    ][:2]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["span 1", "span 2", "span 3", "span 7"], "spans 1-3, 7"),
        (["span 4"], "span 4"),
        (["span 2024-01", "span 2024-02"], "spans 2024-01, 2024-02"),
        (["span 2024-01", "span 2024-02", "span 2024-03", "span 2024-05"], "spans 2024-01 to 2024-03, 2024-05"),
        (["examples 1", "span 2"], "examples 1, span 2"),
    ],
)
def test_names_are_written_as_people_write_them(names: list[str], expected: str) -> None:
    assert shortened_names(names, [*(f"span 2024-0{month}" for month in range(1, 6)), *names]) == expected
