"""Conditions on the properties of upstream artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.artifacts import Artifact
from pipeline.channel import Condition
from tests.fakes import Numbers, Source


def numbers(**properties: Any) -> Numbers:
    return Numbers(Path("/nowhere"), properties=properties)


@pytest.mark.parametrize(
    ("condition", "symbol", "holding", "failing"),
    [
        (Source().numbers.property("total") == 6, "==", 6, 7),
        (Source().numbers.property("total") != 6, "!=", 7, 6),
        (Source().numbers.property("total") < 6, "<", 5, 6),
        (Source().numbers.property("total") <= 6, "<=", 6, 7),
        (Source().numbers.property("total") > 6, ">", 7, 6),
        (Source().numbers.property("total") >= 6, ">=", 6, 5),
    ],
)
def test_comparison_of_a_property_is_a_condition(condition: Condition, symbol: str, holding: int, failing: int) -> None:
    assert condition.holds(numbers(total=holding)) == (True, f"the condition Source.numbers.total {symbol} 6 holds (it is {holding})")
    holds, reason = condition.holds(numbers(total=failing))
    assert (holds, reason) == (False, f"the condition Source.numbers.total {symbol} 6 does not hold (it is {failing})")


def test_missing_property_fails_every_comparison() -> None:
    reference = Source().numbers.property("total")
    for condition in (reference == 1, reference != 1, reference < 1):
        assert condition.holds(numbers()) == (False, f"the condition {condition.description} does not hold (it is None)")


def test_predicate_is_named_by_its_function_or_its_description() -> None:
    def is_large(artifact: Artifact) -> bool:
        return int(artifact.properties["total"]) > 10

    channel = Source().numbers
    assert channel.satisfies(is_large).holds(numbers(total=11)) == (True, "the condition is_large(Source.numbers) holds")
    assert channel.satisfies(is_large, "the sum is large").holds(numbers(total=9)) == (
        False,
        "the condition the sum is large does not hold",
    )
