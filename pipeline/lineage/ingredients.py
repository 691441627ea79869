"""What something was made of, gathered from its lineage: rows, files, schemas, code, parameters, libraries, decisions on the way."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.artifacts import Artifact
from pipeline.lineage.graph import Lineage, belongs
from pipeline.records import Event, EventKind, Execution
from pipeline.reports import InputFile, artifact_as_json, code_of, files_read, input_files, libraries_of

_BASELINE = "baseline"


@dataclass(frozen=True)
class Decided:
    """What a node on the way decided."""

    node: str
    run: str
    verdict: str
    reasons: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Returns it as `schemas/cli/lineage-show.json` describes it."""
        return {"node": self.node, "run": self.run, "verdict": self.verdict, "reasons": list(self.reasons)}


@dataclass(frozen=True)
class Ingredients:
    """What something was made of.

    Attributes:
        examples: The examples that were read from files or made of nothing.
        files: The input files, by name.
        schemas: The schemas.
        code: The files of user code, each with its digest; a file that was used in several versions has one entry for each.
        parameters: The parameters that were given, by node.
        libraries: The versions of the libraries that shaped a result.
        decisions: What the nodes on the way decided.
    """

    examples: tuple[Artifact, ...]
    files: tuple[InputFile, ...]
    schemas: tuple[Artifact, ...]
    code: tuple[tuple[str, str], ...]
    parameters: Mapping[str, Mapping[str, Any]]
    libraries: tuple[tuple[str, str], ...]
    decisions: tuple[Decided, ...]

    def as_json(self) -> dict[str, Any]:
        """Returns it as `schemas/cli/lineage-show.json` describes it."""
        return {
            "examples": [artifact_as_json(artifact) for artifact in self.examples],
            "files": [{"name": file.name, **file.as_json()} for file in self.files],
            "schemas": [artifact_as_json(artifact) for artifact in self.schemas],
            "code": [{"file": file, "sha256": digest} for file, digest in self.code],
            "parameters": {node: dict(values) for node, values in self.parameters.items()},
            "libraries": [{"name": name, "version": version} for name, version in self.libraries],
            "decisions": [decided.as_json() for decided in self.decisions],
        }


def ingredients(lineage: Lineage) -> Ingredients:
    """Returns what the roots of a walk upwards were made of; not what a model was only compared with."""
    executions = [lineage.executions[id] for id in sorted(_making(lineage))]
    inputs = {event.execution for event in lineage.events if event.kind is EventKind.INPUT}
    near = {execution.id for execution in executions}
    made = {event.artifact: event.execution for event in lineage.events if event.kind.is_output and event.execution in near}
    first = {artifact for artifact, execution in made.items() if execution not in inputs}
    known = [lineage.artifacts[id] for id in sorted(made)]
    outputs = [event for event in lineage.events if event.kind.is_output and event.execution in near]
    files = {file.path: file for event in outputs for file in files_read(lineage.executions[event.execution], event).values()}
    return Ingredients(
        tuple(artifact for artifact in known if artifact.type_name == "Examples" and artifact.id in first),
        tuple(files[path] for path in sorted(files)),
        tuple(artifact for artifact in known if artifact.type_name == "Schema"),
        tuple(sorted({pair for execution in executions for pair in code_of(execution).items()})),
        {execution.node: given for execution in executions if (given := dict(_given(execution)))},
        tuple(sorted({pair for execution in executions for pair in libraries_of(execution).items()})),
        tuple(
            Decided(execution.node, execution.run, execution.verdict, execution.verdict_reasons)
            for execution in executions
            if execution.verdict
        ),
    )


def _making(lineage: Lineage) -> set[int]:
    """Returns the executions from which a way leads to the roots that is not a comparison with a baseline."""
    origin = {event.artifact: event for event in lineage.events if event.kind.is_output}
    inputs: dict[int, list[Event]] = defaultdict(list)
    for event in lineage.events:
        if event.kind is EventKind.INPUT and not event.key.startswith(_BASELINE):
            inputs[event.execution].append(event)
    found: set[int] = set()
    waiting, seen = list(lineage.roots), set(lineage.roots)
    while waiting:
        made = origin.get(waiting.pop())
        if made is not None:
            found.add(made.execution)
            new = [use.artifact for use in inputs[made.execution] if belongs(lineage.executions[made.execution], use, made)]
            waiting += [artifact for artifact in new if artifact not in seen]
            seen.update(new)
    return found


def _given(execution: Execution) -> Iterator[tuple[str, Any]]:
    """Yields the parameters that were given; not the files, which are told apart."""
    files = input_files(execution)
    for name in json.loads(str(execution.properties.get("given") or "[]")):
        if not (files and isinstance(execution.parameters.get(name), dict)):
            yield name, execution.parameters.get(name)
