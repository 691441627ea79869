"""A plan tells what a run would do, and writes nothing."""

from __future__ import annotations

import pytest

from pipeline.driver import Action
from pipeline.errors import DataError
from pipeline.metadata import EMPTY
from tests.fakes import Blocking, FileSource, Latest, NearDoubler, Source
from tests.project import Project


def chain(factor: int = 2) -> NearDoubler:
    return NearDoubler(NearDoubler(Source(), id="first", factor=factor), id="second")


def shown(plan: dict) -> dict[str, tuple[str, tuple[str, ...]]]:  # type: ignore[type-arg]
    return {node: (decision.action.value, decision.reasons) for node, decision in plan.items()}


def test_plan_of_a_new_project_needs_no_store_and_makes_no_file(project: Project) -> None:
    planned = project.plan(chain(), url=EMPTY)
    assert shown(planned) == {
        "Source": ("run", ("it has not run before",)),
        "first": ("waits", ("runs if the output of Source is different",)),
        "second": ("waits", ("runs if the output of first is different",)),
    }
    assert [file.name for file in project.folder.iterdir()] == ["built.py"]


def test_plan_says_hit_miss_and_wait_with_the_reasons_of_a_run(project: Project) -> None:
    first = project.run(chain())
    unchanged = (f"nothing changed since run {first.result.run}",)
    assert shown(project.plan(chain())) == dict.fromkeys(("Source", "first", "second"), ("cached", unchanged))
    assert shown(project.plan(chain(factor=5))) == {
        "Source": ("cached", unchanged),
        "first": ("run", ("factor is 5, was 2",)),
        "second": ("waits", ("runs if the output of first is different",)),
    }
    assert shown(project.plan(chain(), rerun=("second",)))["second"] == ("run", ("asked for with --rerun",))
    assert shown(project.plan(chain(), only=("first",))) == {"first": ("cached", unchanged)}


def test_run_does_what_the_plan_said(project: Project) -> None:
    project.run(chain())
    planned = project.plan(chain(factor=5))
    ran = project.run(chain(factor=5))
    for node, decision in planned.items():
        if decision.action is not Action.WAIT:
            assert (ran.events.decisions[node].action, ran.reasons(node)) == (decision.action, decision.reasons)
    assert ran.state("second") == "done"


def test_plan_writes_nothing(project: Project) -> None:
    project.run(chain())

    def files() -> dict[str, bytes]:
        return {str(file): file.read_bytes() for file in project.folder.rglob("*") if file.is_file()}

    before = files()
    project.plan(chain(factor=5), FileSource(file="built.py"), Latest())
    project.plan(chain(), name="another")
    assert files() == before


def test_plan_sees_damage(project: Project) -> None:
    ran = project.run(chain())
    (ran.output("first").path / "numbers.json").unlink()
    assert project.plan(chain())["first"].reasons[0].startswith("its cached output 'doubled' is damaged: ")


def test_plan_judges_conditions_where_it_can(project: Project) -> None:
    def conditional() -> NearDoubler:
        source = Source()
        return NearDoubler(source, when=source.numbers.property("total") > 100)

    assert shown(project.plan(conditional(), url=EMPTY))["NearDoubler"] == ("waits", ("runs if Source.numbers.total > 100",))
    project.run(conditional())
    assert project.plan(conditional())["NearDoubler"].action is Action.SKIP


def test_plan_behind_a_skipped_node_skips_too(project: Project) -> None:
    source = Source()
    project.run(source)
    planned = project.plan(Blocking(NearDoubler(source, when=source.numbers.property("total") > 100)))
    assert planned["Blocking"].action is Action.SKIP


def test_plan_raises_what_a_driver_would(project: Project) -> None:
    with pytest.raises(DataError, match=r"missing\.txt is missing"):
        project.plan(FileSource(file="missing.txt"), url=EMPTY)


def test_selection_from_history_is_shown_with_its_reason(project: Project) -> None:
    made = project.run(Source()).output("Source")
    assert shown(project.plan(NearDoubler(Latest())))["Latest"] == ("selected", (f"the newest is {made.name}",))
