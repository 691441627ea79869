"""A pipeline is found by walking its edges, and checked as a whole when it is built."""

from __future__ import annotations

import pytest

from pipeline.artifacts import Artifact
from pipeline.component import Component, Output
from pipeline.definition import Pipeline
from pipeline.errors import DefinitionError, UsageError
from tests.fakes import Adder, Blocking, Doubler, Source


def diamond() -> Pipeline:
    source = Source()
    left, right = Doubler(source, id="left"), Doubler(source, id="right", factor=3)
    return Pipeline("diamond", [Blocking(Adder(left.doubled, right.doubled))])


def test_nodes_are_found_from_the_ends_and_stand_after_what_they_need() -> None:
    pipeline = diamond()
    order = [node.id for node in pipeline.nodes]
    assert sorted(order) == ["Adder", "Blocking", "Source", "left", "right"]
    for node in pipeline.nodes:
        for needed in node.upstream:
            assert order.index(needed.id) < order.index(node.id)


def test_channel_may_be_an_end() -> None:
    source = Source()
    assert [node.id for node in Pipeline("p", [Doubler(source).doubled]).nodes] == ["Source", "Doubler"]


def test_node_that_only_a_condition_or_an_order_names_is_part_of_the_pipeline() -> None:
    gate, before = Source(id="gate"), Source(id="before")
    end = Doubler(Source(), when=gate.numbers.property("total") > 0, after=[before])
    assert {node.id for node in Pipeline("p", [end]).nodes} == {"Source", "gate", "before", "Doubler"}


def test_two_nodes_of_one_id_are_refused_with_the_way_out() -> None:
    with pytest.raises(DefinitionError) as raised:
        Pipeline("p", [Adder(Source(), Source())])
    assert str(raised.value) == (
        "Pipeline 'p' has two nodes with the id 'Source': a Source and a Source.\nName one of them: Source(..., id='...')."
    )


def test_cycle_is_refused_and_shown() -> None:
    source = Source()
    first = Doubler(source, id="first")
    second = Doubler(first, id="second")
    first.after = (second,)
    with pytest.raises(DefinitionError, match=r"Pipeline 'p' has a cycle: (first -> second -> first|second -> first -> second)\."):
        Pipeline("p", [second])


@pytest.mark.parametrize("name", ["", "a/b", "a b", "..", ".", None])
def test_name_that_cannot_be_a_folder_is_refused(name: str) -> None:
    with pytest.raises(DefinitionError, match="A pipeline's name may hold"):
        Pipeline(name, [Source()])


def test_pipeline_without_nodes_or_with_something_else_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"Pipeline 'p' has no nodes\.\nPass the nodes that it ends in"):
        Pipeline("p", [])
    with pytest.raises(DefinitionError, match=r"Pipeline 'p' ends in nodes\. Received: 'Source' of type str"):
        Pipeline("p", ["Source"])  # type: ignore[list-item]


def test_runner_that_loses_data_is_refused_for_pipeline_and_node() -> None:
    with pytest.raises(DefinitionError, match="--runner=DaskRunner is refused"):
        Pipeline("p", [Source()], beam_args=["--runner=DaskRunner"])
    with pytest.raises(DefinitionError, match="--runner=DaskRunner is refused"):
        Pipeline("p", [Source(beam_args=["--runner", "DaskRunner"])])


def test_node_is_found_by_id_without_regard_to_case_and_a_typo_gets_a_suggestion() -> None:
    pipeline = diamond()
    assert pipeline["adder"].id == "Adder"
    with pytest.raises(UsageError, match=r"Pipeline 'diamond' has no node 'Aderr'\. Did you mean 'Adder'\?"):
        pipeline["Aderr"]


def test_selection_by_start_end_and_only() -> None:
    pipeline = diamond()
    assert pipeline.select() == {"Source", "left", "right", "Adder", "Blocking"}
    assert pipeline.select(start=["left"]) == {"left", "Adder", "Blocking"}
    assert pipeline.select(end=["Adder"]) == {"Source", "left", "right", "Adder"}
    assert pipeline.select(start=["right"], end=["Adder"]) == {"right", "Adder"}
    assert pipeline.select(only=["left", "right"]) == {"left", "right"}


def test_selection_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="No node is left to run: no path leads from Blocking to left"):
        diamond().select(start=["Blocking"], end=["left"])


def test_set_reads_literals_and_text_and_returns_what_it_applied() -> None:
    pipeline = Pipeline("p", [Doubler(Source())])
    assert pipeline.set_parameters({"doubler.factor": "5", "Source.values": "[7, 8]"}) == {"Doubler.factor": 5, "Source.values": (7, 8)}
    assert pipeline["Doubler"].parameters["factor"] == 5


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("Doubler.factr", "1", "Node 'Doubler' has no parameter 'factr'. Did you mean 'factor'?"),
        ("Dubler.factor", "1", "Pipeline 'p' has no node 'Dubler'. Did you mean 'Doubler'?"),
        ("factor", "1", "Expected NODE.PARAMETER=VALUE. Received: factor=1"),
        ("Doubler.factor", "three", "Node 'Doubler': parameter 'factor' expects int. Received: 'three' of type str."),
    ],
)
def test_wrong_setting_is_refused(setting: str, value: str, expected: str) -> None:
    with pytest.raises(UsageError) as raised:
        Pipeline("p", [Doubler(Source())]).set_parameters({setting: value})
    assert expected in str(raised.value)


class Untyped(Component):
    def execute(self, context, made: Output[Artifact]) -> None: ...  # type: ignore[no-untyped-def]


def test_output_without_a_type_of_its_own_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"Output 'Untyped\.made' is a plain Artifact"):
        Pipeline("p", [Untyped()])
