"""One node of a run: why it ran or not, with what, on what, and what it said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.artifacts import Artifact
from pipeline.lineage.explanation import Explanation
from pipeline.lineage.finding import Found
from pipeline.lineage.graph import producers
from pipeline.lineage.why import explain
from pipeline.records import Execution
from pipeline.reports import code_of, node_state, nodes_of_run
from pipeline.ui.site import NotThereError, Site
from pipeline.ui.views.activity import Activities, NodeActivity
from pipeline.ui.views.files import Tail, tail_of
from pipeline.ui.views.run import Link, links

_LOG_BYTES = 64 << 10
_CODE_CHARACTERS = 100_000


@dataclass(frozen=True)
class Parameter:
    """A parameter, and whether it was given or has its default."""

    name: str
    value: Any
    given: bool


@dataclass(frozen=True)
class Part:
    """A part of the cache key: what the result depends on."""

    name: str
    digest: str
    text: str


@dataclass(frozen=True)
class Code:
    """A file of user code as it was; `text` is None where it is gone."""

    file: str
    digest: str
    text: str | None


@dataclass(frozen=True)
class Life:
    """One execution of the node in the run."""

    id: int
    state: str
    created: int
    seconds: float
    error: str


@dataclass(frozen=True)
class NodeView:
    """A node of a run.

    Attributes:
        run: The run.
        pipeline: Its pipeline.
        node: Id of the node.
        component: Class path of its component; empty if it has not begun.
        state: Its state.
        execution: Number of its latest execution; None if it has none.
        why: Why it is so, step by step back to the cause; None where it has not begun.
        rows: Records that it read, wrote and dropped.
        parameters: Its parameters.
        inputs: Its inputs.
        outputs: Its outputs.
        code: The user code that it ran.
        libraries: Versions that shape the result.
        parts: All that its cache key is made of.
        lives: Its executions in this run, oldest first.
        log: The end of its log; None if it has none.
        origin: Run and node whose work was reused; None if none was.
        activity: How far it is.
    """

    run: str
    pipeline: str
    node: str
    component: str
    state: str
    execution: Execution | None
    why: Explanation | None
    rows: Mapping[str, Any] | None
    parameters: tuple[Parameter, ...]
    inputs: tuple[Link, ...]
    outputs: tuple[Link, ...]
    code: tuple[Code, ...]
    libraries: Mapping[str, str]
    parts: tuple[Part, ...]
    lives: tuple[Life, ...]
    log: Tail | None
    origin: tuple[str, str] | None
    activity: NodeActivity | None


def node_view(site: Site, activities: Activities, run_id: str, node: str) -> NodeView:
    """Returns a node of a run.

    Raises:
        NotThereError: If there is no such run or node.
    """
    run = site.run(run_id)
    report = next((found for found in nodes_of_run(site.store, run) if found.id == node), None)
    if report is None:
        raise NotThereError(f"Run {run.id} has no node '{node}'.")
    known = report.execution
    ids = [id for groups in (report.inputs, report.outputs) for group in (groups or {}).values() for id in group]
    artifacts: dict[int, Artifact] = {artifact.id or 0: artifact for artifact in site.store.artifacts(ids)}
    lives = [execution for execution in site.store.executions_of_run(run.id) if execution.node == node]
    parts = _parts(known)
    return NodeView(
        run=run.id,
        pipeline=run.pipeline,
        node=node,
        component=known.component if known else "",
        state=report.state,
        execution=known,
        why=explain(site.store, Found(run=run, node=report)) if known else None,
        rows=report.as_json()["rows"],
        parameters=_parameters(known),
        inputs=links(report.inputs, artifacts),
        outputs=links(report.outputs, artifacts),
        code=_code(site, known),
        libraries={part.name.removeprefix("library "): part.text for part in parts if part.name.startswith("library ")},
        parts=parts,
        lives=tuple(Life(life.id, node_state(life), life.created, life.seconds, life.error) for life in lives),
        log=tail_of(site, run.id, node, _LOG_BYTES),
        origin=_origin(site, known, ids),
        activity=activities.of(run.id).get(node),
    )


def _parameters(known: Execution | None) -> tuple[Parameter, ...]:
    if known is None:
        return ()
    given = set(json.loads(str(known.properties.get("given") or "[]")))
    found = [Parameter(name, value, name in given) for name, value in known.parameters.items()]
    return tuple(sorted(found, key=lambda parameter: (not parameter.given, parameter.name)))


def _parts(known: Execution | None) -> tuple[Part, ...]:
    recorded = json.loads(str(known.properties.get("cache_parts") or "[]")) if known else []
    return tuple(Part(*map(str, part)) for part in recorded if isinstance(part, list) and len(part) == 3)


def _code(site: Site, known: Execution | None) -> tuple[Code, ...]:
    found = []
    for file, digest in (code_of(known) if known else {}).items():
        text = site.storage.kept_code(digest) if digest.isalnum() else None
        found.append(Code(file, digest, text[:_CODE_CHARACTERS] if text is not None else None))
    return tuple(found)


def _origin(site: Site, known: Execution | None, ids: list[int]) -> tuple[str, str] | None:
    """Returns run and node that made what was reused."""
    if known is None or known.state.value != "CACHED":
        return None
    made = [event.execution for event in producers(site.store, ids).values()]
    origins = [execution for execution in site.store.executions(made) if execution.node == known.node]
    return (origins[-1].run, origins[-1].node) if origins else None
