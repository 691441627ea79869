"""A source that reads a span as an ExampleGen does, and a pipeline of it, for runs that take a second."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.example_gen.spans import available
from pipeline.cache import KeyPart
from pipeline.component import Component, Output
from pipeline.driver import Driver, Prepared
from pipeline.errors import DataError
from tests.fakes import Numbers, write
from tests.project import Project

REPOSITORY = Path(__file__).parents[2]
SPANNED = """
    from pipeline import Pipeline
    from tests.fakes import Blocking
    from tests.schedule.spanned import SpanSource

    def create_pipeline():
        return Pipeline("spanned", [Blocking(SpanSource(input="data/span-{SPAN}/*.txt"))])
"""


class SpanDriver(Driver):
    """Takes the span that is asked for, or the latest."""

    def prepare(self, node: Component, inputs: Any, project: Path) -> Prepared:
        spans = [found for found in available(node.parameters["input"], project) if node.parameters["span"] in (None, found.span)]
        if not spans:
            raise DataError(f"{node.parameters['input']} has no span {node.parameters['span']}")
        files = [str(file) for file in spans[-1].files]
        parts = (KeyPart("input files", spans[-1].fingerprint, f"span {spans[-1].name}"),)
        return Prepared({"input": " ".join(files), "span": spans[-1].span}, parts=parts, left_out=frozenset({"input"}))


class SpanSource(Component):
    """Reads the numbers of a span."""

    driver = SpanDriver
    isolated = False

    def execute(self, context, numbers: Output[Numbers], *, input: str, span: int | None = None) -> None:  # type: ignore[no-untyped-def]
        write(numbers, [int(word) for file in input.split() for word in Path(file).read_text().split()])


def write_spans(project: Project, spans: Sequence[int], *, value: int | None = None) -> None:
    """Writes spans of one number each, ten times that of the span, or a given one; a minute ago, so that they are complete."""
    for span in spans:
        file = project.write(f"data/span-{span}/numbers.txt", str(10 * span if value is None else value))
        os.utime(file, (time.time() - 60, time.time() - 60))
