"""What is known about runs, nodes and artifacts, in the form in which the command line and others show it.

Reads the metadata store and nothing else. The dictionaries are those that `--json` prints; their schemas are in `schemas/cli/`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.artifacts import Artifact
from pipeline.cache import CacheKey
from pipeline.driver import Action
from pipeline.metadata import MetadataStore
from pipeline.outcome import NodeState
from pipeline.portions import MADE_PROPERTY
from pipeline.records import SKIPPED, Event, EventKind, Execution, ExecutionState, Run, RunState
from pipeline.resolution import latest_by_node

RUNNING = "running"
_VALUE_WIDTH = 60
_FILES = "groups"
_EMPTY: tuple[Any, ...] = (None, "", [], {})


@dataclass(frozen=True)
class NodeReport:
    """How a node did in a run.

    Attributes:
        id: Id of the node.
        state: `running`, or a value of `NodeState`.
        execution: Its latest execution in the run; None if it has none yet.
        inputs: Numbers of its input artifacts by name.
        outputs: Numbers of its output artifacts by name.
        refusal: Why it has no execution; empty if it has one, or that is not known.
    """

    id: str
    state: str
    execution: Execution | None = None
    inputs: Mapping[str, Sequence[int]] | None = None
    outputs: Mapping[str, Sequence[int]] | None = None
    refusal: str = ""

    @property
    def component(self) -> str:
        """Name of its component, without its module; empty if it has no execution."""
        return short_name(self.execution.component) if self.execution else ""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it ran, was reused, was skipped or failed."""
        return self.execution.reasons if self.execution else (self.refusal,) if self.refusal else ()

    def as_json(self) -> dict[str, Any]:
        """Returns what `cauce runs show --json` prints of it."""
        known = self.execution
        return {
            "id": self.id,
            "type": self.component,
            "name": self.id,
            "component": known.component if known else None,
            "execution": known.id if known else None,
            "uri": known.log if known else "",
            "state": self.state,
            "created": timestamp(known.created) if known else None,
            "seconds": known.seconds if known else 0.0,
            "peak_memory_bytes": known.peak_memory if known else 0,
            "reasons": list(self.reasons),
            "verdict": _verdict(known) if known else None,
            "rows": _rows(known) if known else None,
            "parameters": known.parameters if known else {},
            "error": known.error or None if known else None,
            "log": known.log if known else "",
            "inputs": dict(self.inputs or {}),
            "outputs": dict(self.outputs or {}),
        }


@dataclass(frozen=True)
class InputFile:
    """A file that a node read.

    Attributes:
        name: Relative to the project.
        path: Where it was.
        sha256: Of its content.
        size: Bytes.
    """

    name: str
    path: str
    sha256: str
    size: int

    def as_json(self) -> dict[str, Any]:
        """Returns what `--json` prints of it."""
        return {"path": self.path, "sha256": self.sha256, "size_bytes": self.size}


def short_name(component: str) -> str:
    """Returns the name of a component without its module."""
    return component.rpartition(".")[2]


def timestamp(milliseconds: int) -> str | None:
    """Returns a time as JSON output has it, `2026-01-31T23:59:59.123Z`; None for none."""
    if not milliseconds:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def node_state(execution: Execution) -> str:
    """Returns the state of a node by its execution."""
    return node_state_of(
        execution.state.value, blocks=execution.blocks, verdict=execution.verdict, action=str(execution.properties.get("action", ""))
    )


def node_state_of(state: str, *, blocks: bool, verdict: str, action: str) -> str:
    """Returns the state of a node by what is recorded of its execution; see `Execution`."""
    known = ExecutionState(state) if state in ExecutionState.__members__ else ExecutionState.FAILED
    if known is ExecutionState.RUNNING:
        return RUNNING
    if known.succeeded and blocks:
        return NodeState.BLOCKED.value
    if known is ExecutionState.CACHED:
        return NodeState.CACHED.value
    if known is ExecutionState.FAILED:
        return NodeState.FAILED.value
    if known is ExecutionState.CANCELED:
        return NodeState.SKIPPED.value if verdict == SKIPPED else NodeState.CANCELED.value
    return NodeState.SELECTED.value if action == Action.SELECT.value else NodeState.DONE.value


def nodes_of_run(store: MetadataStore, run: Run) -> list[NodeReport]:
    """Returns the nodes of a run in the order in which they began, each by its latest execution; then those that have not begun."""
    executions = latest_by_node(store.executions_of_run(run.id))
    events: dict[int, list[Event]] = defaultdict(list)
    for event in store.events_of_executions(execution.id for execution in executions.values()):
        events[event.execution].append(event)
    nodes = [
        NodeReport(
            id,
            node_state(execution),
            execution,
            _by_key(event for event in events[execution.id] if event.kind is EventKind.INPUT),
            _by_key(event for event in events[execution.id] if event.kind.is_output),
        )
        for id, execution in executions.items()
    ]
    planned = json.loads(str(run.properties.get("nodes") or "[]"))
    waiting = "waits" if run.state is RunState.RUNNING else NodeState.NOT_RUN.value
    refusals = json.loads(str(run.properties.get("not_run") or "{}"))
    return nodes + [NodeReport(id, waiting, refusal=str(refusals.get(id, ""))) for id in planned if id not in executions]


def _by_key(events: Any) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for event in events:
        found[event.key].append(event.artifact)
    return dict(found)


def _verdict(execution: Execution) -> dict[str, Any] | None:
    if not execution.verdict or execution.state is ExecutionState.CANCELED:
        return None
    return {"kind": execution.verdict, "reasons": list(execution.verdict_reasons)}


def _rows(execution: Execution) -> dict[str, Any] | None:
    if "rows_read" not in execution.properties:
        return None
    written, dropped = (json.loads(str(execution.properties.get(name) or "{}")) for name in ("rows_written", "rows_dropped"))
    return {"read": int(execution.properties["rows_read"]), "written": written, "dropped": dropped}


def run_as_json(run: Run) -> dict[str, Any]:
    """Returns what `cauce runs list --json` prints of a run."""
    return {
        "id": run.id,
        "type": "pipeline_run",
        "name": run.pipeline,
        "uri": str(run.properties.get("definition", "")),
        "state": run.state.value,
        "created": timestamp(run.started),
        "ended": timestamp(run.ended),
        "seconds": run_seconds(run),
        "pipeline": run.pipeline,
        "reason": run.reason,
    }


def run_seconds(run: Run) -> float | None:
    """Returns how long a run took, with pauses before it was resumed; None while it runs."""
    return round((run.ended - run.started) / 1000, 3) if run.ended else None


def artifact_as_json(artifact: Artifact) -> dict[str, Any]:
    """Returns what `cauce artifacts list --json` prints of an artifact."""
    return {
        "id": artifact.id,
        "type": artifact.type_name,
        "name": artifact.name,
        "uri": artifact.uri,
        "state": artifact.state.value,
        "created": timestamp(artifact.created),
        "producer": artifact.producer,
        "size_bytes": artifact.size,
        "digest": artifact.digest,
        "properties": dict(artifact.properties),
    }


def execution_as_json(execution: Execution) -> dict[str, Any]:
    """Returns what `cauce lineage --json` prints of an execution."""
    return {
        "id": execution.id,
        "type": execution.component,
        "name": execution.node,
        "uri": execution.log,
        "state": execution.state.value,
        "created": timestamp(execution.created),
        "pipeline": execution.pipeline,
        "run": execution.run,
        "seconds": execution.seconds,
        "reasons": list(execution.reasons),
        "verdict": _verdict(execution),
        "parameters": execution.parameters,
        "code": code_of(execution),
        "libraries": libraries_of(execution),
    }


def code_of(execution: Execution) -> dict[str, str]:
    """Returns the files of user code that an execution depends on, each with its digest, by which `code/` in the root keeps it."""
    return {name: digest for name, digest, _ in _parts(execution, "code ")}


def input_files(execution: Execution) -> dict[str, InputFile]:
    """Returns the files that an execution read, by name; of a window only those of the spans that it has read itself."""
    own = [execution.parameters, *(parameters for _, parameters in portions_made(execution))]
    return {file.name: file for parameters in own for file in _files_in(parameters)}


def portions_made(execution: Execution) -> list[tuple[str, Mapping[str, Any]]]:
    """Returns key and own parameters of each portion that an execution has done."""
    made = json.loads(str(execution.properties.get(MADE_PROPERTY) or "[]"))
    return [(str(one["key"]), one["parameters"]) for one in made]


def portion_that_read(execution: Execution, path: Path) -> str:
    """Returns the key of the portion that has read a file, or a file in a folder; empty if none has."""
    for key, parameters in portions_made(execution):
        if any(path in (read := Path(file.path), *read.parents) for file in _files_in(parameters)):
            return key
    return ""


def _files_in(parameters: Mapping[str, Any]) -> list[InputFile]:
    groups = [group for value in parameters.values() if has_files(value) for group in value[_FILES]]
    return [
        InputFile(str(file.get("name", "")), str(file.get("path", "")), str(file.get("sha256", "")), int(file.get("size", 0)))
        for group in groups
        for file in group.get("files", ())
    ]


def has_files(parameter: Any) -> bool:
    """Returns whether a parameter is what an ExampleGen's driver made of its `input`: groups of files."""
    return isinstance(parameter, dict) and isinstance(parameter.get(_FILES), list)


def libraries_of(execution: Execution) -> dict[str, str]:
    """Returns the versions of the libraries that shape the result of an execution."""
    return {name: text for name, _, text in _parts(execution, "library ")}


def _parts(execution: Execution, prefix: str) -> list[tuple[str, str, str]]:
    """Returns name, digest and text of those parts of the cache key whose names begin with a prefix, without the prefix."""
    if not execution.properties.get("cache_parts"):
        return []
    parts = CacheKey.from_json(str(execution.properties["cache_parts"])).parts
    return [(part.name.removeprefix(prefix), part.digest, part.text) for part in parts if part.name.startswith(prefix)]


def short_parameters(execution: Execution, width: int = 80) -> str:
    """Returns the parameters that were given, in one line of at most `width` characters."""
    given = execution.properties.get("given")
    names = json.loads(str(given)) if given else execution.parameters
    parameters = execution.parameters
    shown = [f"{name}={_shown(parameters[name])}" for name in names if parameters.get(name) not in _EMPTY]
    return shortened(" ".join(shown), width)


def _shown(value: Any) -> str:
    """Returns a value in few characters; of resolved inputs only their names."""
    if isinstance(value, str):
        return shortened(value, _VALUE_WIDTH)
    return shortened(", ".join(_names_in(value)) or json.dumps(value), _VALUE_WIDTH)


def _names_in(value: Any) -> list[str]:
    """Returns the names, or else paths, of the files that a value is made of."""
    if isinstance(value, dict):
        own = value.get("name") or value.get("path")
        return [str(own)] if own else [name for item in value.values() for name in _names_in(item)]
    return [name for item in value for name in _names_in(item)] if isinstance(value, list) else []


def shortened(text: str, width: int) -> str:
    """Returns a text in one line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"
