"""What all ExampleGens have in common: the driver that turns patterns into files, and the checks of their parameters."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from components.example_gen.inputs import ResolvedInput
from components.example_gen.known_files import NOTE, knowing, note_of
from components.example_gen.patterns import Pattern
from components.example_gen.spans import check_ready, patterns_of, spanned
from components.example_gen.windows import choose_spans, parameters_of
from pipeline.artifacts import Artifact
from pipeline.component import Component
from pipeline.driver import Decision, Driver, KeyPart, Prepared, RunInfo
from pipeline.errors import DefinitionError
from pipeline.hashing import digest
from pipeline.portions import Portion
from pipeline.resolution import Resolution
from pipeline.storage import Storage

if TYPE_CHECKING:
    from pipeline.metadata import MetadataStore

InputPattern = str | tuple[str, ...] | dict[str, str] | dict[str, tuple[str, ...]]
"""One pattern, several, or those of each given split."""

DEFAULT_SPLITS = {"train": 2, "eval": 1}

_SPLIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_LARGEST_TOTAL = 1_000_000


class InputDriver(Driver):
    """Replaces `input` by a `ResolvedInput`, and `span` and `version` by the numbers that were found; each span is a portion.

    The cache key holds the content of the files and their names relative to the project, not where the project lies, and neither
    how the spans were chosen: a span that was read once, alone or in a window, is not read again.
    """

    allows_empty_files = False

    def decide(self, node: Component, run: RunInfo, resolution: Resolution, store: MetadataStore, storage: Storage) -> Decision:
        """Decides as all drivers do; files that the node has read before, and that are still the same, are not read for it."""
        last = next(resolution.history.executions(node.id), None)
        with knowing([str(last.properties[NOTE])] if last is not None and NOTE in last.properties else []):
            return super().decide(node, run, resolution, store, storage)

    def prepare(self, node: Component, inputs: Mapping[str, tuple[Artifact, ...]], project: Path) -> Prepared:
        """Finds the files of `node`, and fingerprints them."""
        given, began = node.parameters, time.time_ns()
        chosen = choose_spans(given["input"], parameters_of(given), project, allow_empty=self.allows_empty_files)
        portions = tuple(_portion(found, name) for found, name in zip(chosen.inputs, chosen.names, strict=False))
        newest = chosen.inputs[-1]
        digests = [(file.path, file.sha256) for found in chosen.inputs for file in found.files]
        if len(chosen.inputs) == 1:
            resolved, part = {"input": newest, "span": newest.span, "version": newest.version}, _files_part(newest)
        else:
            text = f"{len(chosen.inputs)} spans, {chosen.names[0]} to {chosen.names[-1]}"
            resolved = {"span": f"{chosen.names[0]}..{chosen.names[-1]}", "version": None}
            part = KeyPart("input files", digest([(found.span, found.version, found.fingerprint) for found in chosen.inputs]), text)
        return Prepared(
            {**given, **resolved},
            (part,),
            frozenset({"input", "window", "missing_spans", "ready"}),
            {"input_files": part.text, "input_fingerprint": part.digest, "span": newest.span, NOTE: note_of(digests, since=began)},
            portions,
            chosen.remarks,
        )

    def reads_spans(self, node: Component) -> bool:
        """Returns whether the input of `node` names spans."""
        return spanned(patterns_of(node.parameters["input"])) is not None


def _portion(found: ResolvedInput, name: str) -> Portion:
    parameters = {"input": found, "span": found.span, "version": found.version}
    return Portion(f"span {name}", found.text, parameters, parts=(_files_part(found),))


def _files_part(found: ResolvedInput) -> KeyPart:
    return KeyPart("input files", found.fingerprint, str(found))


class FileExampleGen(Component):
    """Base of the components that read files; see `CsvExampleGen` for the parameters that they share."""

    driver = InputDriver

    def validate(self) -> None:
        """Checks the parameters that all of them share."""
        values = self.parameters
        patterns = [pattern for _, pattern in patterns_of(values["input"])]
        self._check_spans(patterns)
        if values["version"] is not None and not any(pattern.has_version for pattern in patterns):
            raise self._error(f"version={values['version']} is given, and input has no {{VERSION}}: '{patterns[0].text}'.")
        if values.get("split_by") is not None and values.get("stratify_by") is not None:
            raise self._error("split_by and stratify_by exclude one another.")
        if isinstance(values["input"], Mapping):
            self._check_given_splits(values["input"])
        self._check_splits(values["splits"])
        if values["shards"] is not None and values["shards"] < 1:
            raise self._error(f"shards must be 1 or more. Received: {values['shards']}")

    def makes_several(self, output: str) -> bool:
        """Whether it reads more than one span."""
        return parameters_of(self.parameters).several

    def _check_spans(self, patterns: Sequence[Pattern]) -> None:
        named = spanned([(None, pattern) for pattern in patterns])
        for name in ("span", "window", "ready"):
            if self.parameters.get(name) is not None and named is None:
                raise self._error(f"{name}={self.parameters[name]!r} is given, and input has no {{SPAN}}: '{patterns[0].text}'.")
        if named is not None:
            try:
                parameters_of(self.parameters).check(named)
                check_ready([(None, pattern) for pattern in patterns], self.parameters.get("ready"))
            except DefinitionError as error:
                raise DefinitionError(f"Node '{self.id}': {error.message}", hint=error.hint) from error

    def _check_given_splits(self, given: Mapping[str, object]) -> None:
        self._check_names(given)
        for name, default in (("splits", DEFAULT_SPLITS), ("split_by", None), ("stratify_by", None)):
            if self.parameters.get(name, default) != default:
                raise self._error(f"input names the files of each split ({', '.join(given)}), so {name} cannot be given too.")

    def _check_splits(self, splits: Mapping[str, int]) -> None:
        if not splits:
            raise self._error("splits is empty. Expected names with weights, such as {'train': 2, 'eval': 1}.")
        self._check_names(splits)
        for name, weight in splits.items():
            if weight < 1:
                raise self._error(f"the weight of split '{name}' must be 1 or more. Received: {weight}")
        if sum(splits.values()) > _LARGEST_TOTAL:
            raise self._error(f"the weights of the splits may add up to {_LARGEST_TOTAL:,}. Received: {sum(splits.values()):,}")

    def _check_names(self, names: Mapping[str, object]) -> None:
        for name in names:
            if not _SPLIT_NAME.fullmatch(name):
                raise self._error(f"a split's name may hold letters, digits, '_', '-' and '.'. Received: '{name}'")

    def _error(self, message: str) -> DefinitionError:
        return DefinitionError(f"Node '{self.id}': {message}")


def resolved(value: object) -> ResolvedInput:
    """Returns what the driver put in the place of `input`."""
    if not isinstance(value, ResolvedInput):
        raise TypeError(f"Expected an input that InputDriver has resolved. Received: {value!r}")
    return value
