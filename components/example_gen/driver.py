"""The driver of all ExampleGens: it turns the input pattern into files, and asks the cache for their content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from components.example_gen.inputs import resolve_input
from pipeline.artifacts import Artifact
from pipeline.component import Component
from pipeline.driver import Driver, KeyPart, Prepared


class InputDriver(Driver):
    """Replaces `input` by a `ResolvedInput`, and `span` and `version` by the numbers that were found.

    The cache key holds the content of the files and their names relative to the project, not where the project lies.
    """

    def prepare(self, node: Component, inputs: Mapping[str, tuple[Artifact, ...]], project: Path) -> Prepared:
        """Finds the files of `node`, and fingerprints them."""
        given = node.parameters
        found = resolve_input(given["input"], span=given["span"], version=given["version"], project=project)
        return Prepared(
            {**given, "input": found, "span": found.span, "version": found.version},
            (KeyPart("input files", found.fingerprint, str(found)),),
            frozenset({"input"}),
            {"input_files": str(found), "input_fingerprint": found.fingerprint, "span": found.span},
        )
