"""Beam: the runner is always named, those that lose data are refused, and the graph itself runs as a Beam pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.beam import beam_pipeline, runner_name
from pipeline.component import Component, Input, Output
from pipeline.errors import DefinitionError
from pipeline.records import RunState
from tests.fakes import Adder, Blocking, Meeting, NearDoubler, NearFailing, Numbers, Source, read, write
from tests.project import Project


class Squaring(Component):
    """Squares each number with Beam."""

    needs = ("apache_beam",)

    def execute(self, context: Any, numbers: Input[Numbers], squared: Output[Numbers]) -> None:
        import apache_beam as beam

        target = str(context.temp / "squares")
        with context.beam() as pipeline:
            squares = pipeline | beam.Create(read(numbers)) | beam.Map(lambda number: number**2)
            _ = squares | beam.combiners.ToList() | beam.Map(lambda found: Path(target).write_text(repr(sorted(found))))
        write(squared, [int(word) for word in Path(target).read_text().strip("[]").split(",")])


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([], "DirectRunner"),
        (["--runner=FlinkRunner", "--parallelism=2"], "FlinkRunner"),
        (["--runner", "SparkRunner"], "SparkRunner"),
        (["--runner=FlinkRunner", "--runner=DirectRunner"], "DirectRunner"),
    ],
)
def test_runner_is_read_from_the_arguments_and_the_last_one_counts(arguments: list[str], name: str) -> None:
    assert runner_name(arguments) == name


def test_runner_that_loses_data_is_refused_with_the_reason() -> None:
    with pytest.raises(DefinitionError, match=r"--runner=DaskRunner is refused: .*drops outputs without an error\.\nUse DirectRunner"):
        runner_name(["--runner=DaskRunner"])


@pytest.mark.beam
@pytest.mark.parametrize("arguments", [[], ["--runner=DirectRunner"]])
def test_local_runner_is_beams_own_in_memory_runner(tmp_path: Path, arguments: list[str]) -> None:
    with beam_pipeline(arguments, temp=tmp_path) as pipeline:
        assert type(pipeline.runner).__name__ == "FnApiRunner"


@pytest.mark.beam
def test_component_uses_beam_in_its_own_process(project: Project) -> None:
    ran = project.run(Squaring(Source()))
    assert (ran.output("Squaring").path / "numbers.json").read_text() == "[1, 4, 9]"


@pytest.mark.beam
def test_graph_runs_as_a_beam_pipeline_with_independent_nodes_at_the_same_time(project: Project) -> None:
    source = Source()
    one, two = (Meeting(source, id=name, folder=str(project.folder), other=other) for name, other in (("one", "two"), ("two", "one")))
    ran = project.run(NearDoubler(Adder(one.met, two.met)), runner="beam")
    assert ran.states == {"Source": "done", "one": "done", "two": "done", "Adder": "done", "NearDoubler": "done"}
    assert (ran.output("NearDoubler").path / "numbers.json").read_text() == "[4, 8, 12]"
    assert project.run(NearDoubler(Adder(one.met, two.met))).result.reason == "nothing changed"


@pytest.mark.beam
def test_failure_and_block_mean_the_same_in_a_beam_pipeline(project: Project) -> None:
    source = Source(values=(5,))
    ran = project.run(NearDoubler(NearFailing(source), id="behind"), NearDoubler(source, id="well"), runner="beam")
    assert ran.states == {"Source": "done", "NearFailing": "failed", "behind": "not run", "well": "done"}
    assert (ran.result.state, ran.result.exit_code) == (RunState.FAILED, 1)
    ran = project.run(NearDoubler(Blocking(Source(values=(500,)))), runner="beam")
    assert ran.states == {"Source": "done", "Blocking": "blocked", "NearDoubler": "not run"}
    assert ran.result.exit_code == 3
