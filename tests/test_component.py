"""The signature of `execute` declares a component; a node is checked when it is built."""

from __future__ import annotations

import inspect
from typing import Any, cast

import pytest

from pipeline.artifacts import Artifact, Examples, Schema
from pipeline.component import REQUIRED, Component, Input, Output, component, spec_of
from pipeline.errors import DefinitionError
from tests.fakes import Adder, Doubler, Numbers, Source


class Many(Component):
    """Takes many, one, and an optional one."""

    def execute(
        self,
        context: Any,
        examples: Input[list[Examples]],
        schema: Input[Schema],
        extra: Input[Numbers] | None = None,
        *,
        result: Output[Numbers],
        spare: Output[Schema] | None = None,
        steps: int,
        rates: tuple[float, ...] = (0.1,),
        name: str | None = None,
    ) -> None: ...


class Several(Component):
    """Makes two outputs of one type, and one of another."""

    def execute(self, context: Any, first: Output[Numbers], second: Output[Numbers], examples: Output[Examples]) -> None: ...


class Anything(Component):
    """Makes an artifact whose type is known when it runs, as a resolver does."""

    def execute(self, context: Any, found: Output[Artifact]) -> None: ...


def message(build: Any) -> str:
    with pytest.raises(DefinitionError) as raised:
        build()
    return str(raised.value)


def test_signature_of_execute_is_the_specification() -> None:
    spec = spec_of(Many)
    assert {name: (item.type, item.optional, item.many) for name, item in spec.inputs.items()} == {
        "examples": (Examples, False, True),
        "schema": (Schema, False, False),
        "extra": (Numbers, True, False),
    }
    assert {name: (item.type, item.optional) for name, item in spec.outputs.items()} == {
        "result": (Numbers, False),
        "spare": (Schema, True),
    }
    assert {name: item.default for name, item in spec.parameters.items()} == {"steps": REQUIRED, "rates": (0.1,), "name": None}


def test_help_shows_inputs_by_position_and_parameters_by_name() -> None:
    shown = inspect.signature(Many)
    assert list(shown.parameters) == ["examples", "schema", "extra", "steps", "rates", "name"]
    assert shown.parameters["schema"].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert shown.parameters["steps"].kind is inspect.Parameter.KEYWORD_ONLY


def test_function_becomes_a_component_of_its_name() -> None:
    assert issubclass(Adder, Component)
    assert (Adder.__name__, Adder.__doc__) == ("Adder", "Adds two lists of numbers; the second may be missing.")
    assert list(spec_of(Adder).inputs) == ["first", "second"]
    assert Adder(Source()).id == "Adder"


def test_function_may_take_the_context() -> None:
    @component
    def Noting(context: Any, numbers: Output[Numbers], *, text: str = "x") -> None:
        context.note(text=text)

    assert list(spec_of(Noting).outputs) == ["numbers"]
    assert list(spec_of(Noting).parameters) == ["text"]


def test_output_is_a_channel_and_an_attribute() -> None:
    node = Doubler(Source())
    assert node.doubled is node.outputs["doubled"]
    assert str(node.doubled) == "Doubler.doubled"
    assert node.doubled.type is Numbers


def test_unknown_attribute_suggests_the_output_that_was_meant() -> None:
    with pytest.raises(AttributeError, match=r"Doubler has no output or attribute 'doubledd'\. Did you mean 'doubled'\?"):
        Doubler(Source()).doubledd  # noqa: B018


def test_node_stands_for_its_only_output_of_the_wanted_type() -> None:
    several = Several()
    assert Many(several, several_schema := Anything().found, steps=1).inputs == {
        "examples": (several.examples,),
        "schema": (several_schema,),
    }


def test_node_with_two_fitting_outputs_must_name_one() -> None:
    text = message(lambda: Doubler(Several()))
    assert "input 'numbers' expects FakeNumbers. Received: node 'Several', which makes first: FakeNumbers, second: FakeNumbers" in text
    assert "Name one of its outputs." in text


def test_many_input_takes_a_list_and_keeps_its_order() -> None:
    first, second = Several(id="first"), Several(id="second")
    node = Many([second.examples, first], Anything().found, steps=1)
    assert [str(channel) for channel in node.inputs["examples"]] == ["second.examples", "first.examples"]


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: Doubler(Source().numbers, factr=3), "Node 'Doubler' (Doubler) has no input or parameter 'factr'. Did you mean 'factor'?"),
        (lambda: Doubler(), "Node 'Doubler' (Doubler) needs the input 'numbers': FakeNumbers."),
        (lambda: Doubler(Source(), Source(id="b")), "Node 'Doubler' takes 1 inputs (numbers). Received: 2."),
        (lambda: Doubler(Source(), numbers=Source(id="b")), "input 'numbers' is given twice, by position and by name"),
        (lambda: Doubler([Source(), Source(id="b")]), "input 'numbers' takes one FakeNumbers. Received: 2 channels."),
        (lambda: Doubler(Several().examples), "input 'numbers' expects FakeNumbers. Received: 'Several.examples', which is Examples."),
        (lambda: Doubler("numbers"), "input 'numbers' expects FakeNumbers. Received: 'numbers' of type str."),
        (lambda: Doubler(Source(), factor="3"), "parameter 'factor' expects int. Received: '3' of type str."),
        (lambda: Source(values=[1, "2"]), "parameter 'values' expects tuple[int, ...]. Received: (1, '2') of type tuple."),
        (lambda: Many(Several(), Anything().found), "Node 'Many' (Many) needs the parameter 'steps': int."),
        (lambda: Source(id="a b"), "A node's id may hold letters, digits, '_' and '-'. Received: id='a b'"),
        (lambda: Source(id=""), "Received: id=''"),
        (lambda: Source(timeout=0), "Node 'Source': timeout expects seconds greater than 0, or None. Received: 0"),
        (lambda: Source(retries=-1), "Node 'Source': retries and retry_delay expect 0 or more. Received: retries=-1"),
        (lambda: Source(beam_args=cast(Any, "--runner=X")), "Node 'Source': beam_args expects a list of texts. Received: '--runner=X'"),
    ],
)
def test_wrong_node_is_refused_where_it_is_built(build: Any, expected: str) -> None:
    assert expected in message(build)


def test_lists_become_tuples_and_integers_become_floats_where_declared() -> None:
    node = Many(Several(), Anything().found, steps=3, rates=[1, 2.5])
    assert node.parameters == {"steps": 3, "rates": (1, 2.5), "name": None}
    assert Source(values=[4, 5]).parameters["values"] == (4, 5)


def test_upstream_holds_inputs_conditions_and_what_comes_before() -> None:
    source, other, third = Source(), Source(id="other"), Source(id="third")
    node = Doubler(source, when=other.numbers.property("total") > 1, after=[third, source])
    assert node.upstream == (source, other, third)


def test_annotation_that_is_missing_or_no_artifact_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"Broken\.execute: 'steps' has no annotation"):

        class Broken(Component):
            def execute(self, context: Any, numbers: Input[Numbers], *, steps=1) -> None: ...  # type: ignore[no-untyped-def]

    with pytest.raises(DefinitionError, match=r"Expected an artifact type in Input\[\.\.\.\]\. Received: <class 'int'>"):

        class Wrong(Component):
            def execute(self, context: Any, numbers: Input[int]) -> None: ...


def test_two_artifact_types_of_one_name_and_other_properties_are_refused() -> None:
    with pytest.raises(DefinitionError, match="Two artifact types have the name 'FakeNumbers'"):

        class Other(Artifact):
            TYPE_NAME = "FakeNumbers"
            PROPERTIES = {"span": int}


def test_component_without_execute_says_so() -> None:
    class Empty(Component):
        """Has nothing."""

    with pytest.raises(NotImplementedError, match="Empty does not define execute"):
        Empty().execute(None)
