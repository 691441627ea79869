"""One node at a time, as in a notebook."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import ExecutionError, ResolutionError, UsageError
from pipeline.interactive import InteractiveContext
from pipeline.outcome import NodeState
from tests.cli import cauce
from tests.fakes import Applying, Doubler, Failing, Source
from tests.light import Halver
from tests.models import modelling
from tests.project import Project

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def context(project: Project) -> Iterator[InteractiveContext]:
    with InteractiveContext("notes", project=project.folder, root=project.root) as made:
        yield made


def test_nodes_run_one_at_a_time_and_take_what_was_made_before(project: Project, context: InteractiveContext) -> None:
    source = Source(values=(4, 8))
    halver = Halver(source)
    assert context.run(source).state is NodeState.DONE
    assert context.run(halver).state is NodeState.DONE
    assert (context.run(halver).state, context.run(halver, cache=False).state) == (NodeState.CACHED, NodeState.DONE)
    assert (context.artifacts(halver)[0].path / "numbers.json").read_text() == "[2, 4]"


def test_a_node_may_be_made_anew_with_another_parameter(context: InteractiveContext) -> None:
    context.run(Source(values=(4, 8)))
    context.run(Source(values=(6,)))
    halver = Halver(Source(values=(6,)))
    context.run(halver)
    assert (context.artifacts(halver.halved)[0].path / "numbers.json").read_text() == "[3]"


def test_each_call_is_a_run_that_the_commands_know(project: Project, context: InteractiveContext) -> None:
    context.run(Source())
    context.run(Halver(Source()))
    runs = cauce("runs", "list", "--json", root=project.root).json("runs-list")
    assert [(run["pipeline"], run["state"]) for run in runs] == [("notes", "done")] * 2
    assert [step.node for step in context.ledger.why("Halver").steps] == ["Halver"]
    assert len(context.ledger.up("latest:FakeNumbers").executions) == 2


def test_processes_stay_between_nodes(context: InteractiveContext) -> None:
    source = Source()
    context.run(source)
    context.run(Doubler(source))
    (server,) = context._workers._servers.values()
    context.run(Doubler(source, factor=3))
    assert list(context._workers._servers.values()) == [server]
    context.close()
    assert not server.alive


def test_a_failure_is_raised_where_it_happened(context: InteractiveContext) -> None:
    context.run(Source())
    with pytest.raises(ExecutionError, match="as it was told"):
        context.run(Failing(Source()))


def test_what_was_not_run_yet_is_named(context: InteractiveContext) -> None:
    outcome = context.run(Halver(Source()))
    assert (outcome.state, outcome.reasons) == (
        NodeState.SKIPPED,
        ("Source is not part of this run, and no earlier run has made its outputs",),
    )
    with pytest.raises(UsageError, match=r"'Source' has made nothing yet\."):
        context.show(Source())


def test_a_changed_module_is_loaded_anew(project: Project, context: InteractiveContext) -> None:
    source = Source()
    context.run(source)
    project.write("steps.py", "def apply(numbers):\n    return numbers\n")
    node = Applying(source, function="steps")
    context.run(node)
    project.write("steps.py", "def apply(numbers):\n    return [7]\n")
    assert context.run(node).reasons == ("steps.py changed (line 2)",)
    assert (context.artifacts(node)[0].path / "numbers.json").read_text() == "[7]"


def test_what_a_node_made_is_shown_as_text_and_escaped_in_html(project: Project, context: InteractiveContext) -> None:
    measuring, _ = modelling()
    for node in context.pipeline(measuring).nodes:
        context.run(node)
    shown = context.show(measuring)
    assert shown.title.startswith("ExampleStatistics ")
    assert "split train: 10 rows" in str(shown)
    assert "<pre" in shown._repr_html_()


def test_a_wrong_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no folder"):
        InteractiveContext("notes", project=tmp_path / "no")


def test_notebook_objects_escape_what_comes_from_data(project: Project, context: InteractiveContext) -> None:
    source = Source()
    outcome = context.run(source)
    (artifact,) = context.artifacts(source)
    artifact.properties["note"] = "<script>alert(1)</script>"
    run = context.ledger.run()
    table = context.ledger.runs("state = done")
    objects = [context.pipeline(source), run, artifact, outcome, context.ledger.up("latest"), table]
    for shown in objects:
        html = shown._repr_html_()
        assert html.startswith("<div><strong>")
        assert "<script" not in html
    assert "&lt;script&gt;" in artifact._repr_html_()


def test_in_ipython_a_component_of_the_notebook_runs_in_its_own_process(project: Project) -> None:
    pytest.importorskip("IPython")
    script = f"""
from pipeline import Component, Input, Output
from pipeline.interactive import InteractiveContext
from tests.fakes import Numbers, Source, read, write
class Tripler(Component):
    def execute(self, context, numbers: Input[Numbers], tripled: Output[Numbers]) -> None:
        write(tripled, [3 * number for number in read(numbers)])
with InteractiveContext("notes", project={str(project.folder)!r}, root={str(project.root)!r}) as context:
    source = Source()
    context.run(source)
    outcome = context.run(Tripler(source))
    print(outcome.state.value, (context.artifacts(Tripler(source))[0].path / "numbers.json").read_text())
"""
    file = project.write("cells.ipy", script)
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", str(file)]
    environment = {"PYTHONPATH": str(REPOSITORY), "PATH": "", "HOME": str(project.folder), "IPYTHONDIR": str(project.folder / "ipython")}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert "done [3, 6, 9]" in ran.stdout, ran.stdout + ran.stderr


def test_the_history_of_the_pipeline_is_there_for_a_new_context(project: Project) -> None:
    source = Source(values=(2, 4))
    project.run(source, name="notes")
    with InteractiveContext("notes", project=project.folder, root=project.root) as context:
        assert context.run(Halver(source)).state is NodeState.DONE
        with pytest.raises(ResolutionError, match="damaged"):
            context.artifacts(source)[0].path.joinpath("numbers.json").unlink()
            context.run(Halver(source))
