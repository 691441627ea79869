"""Search: whatever has an id, a name, a path or a digest that a person has at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pipeline.artifacts import Property
from pipeline.lineage.tables import Tables
from pipeline.metadata import MetadataStore
from pipeline.reports import timestamp

SHORTEST_DIGEST = 6
_HEXADECIMAL = set("0123456789abcdef")


@dataclass(frozen=True)
class Hit:
    """Something that was found.

    Attributes:
        kind: `run`, `pipeline`, `node`, `execution`, `artifact` or `code`.
        id: Id of the run or node, name of the pipeline, number of the execution or artifact, digest of the code.
        title: What it is, in a few words.
        where: In which of its fields the text was found: `id`, `name`, `type`, `path`, `digest`, `file`.
        created: Milliseconds since 1970-01-01 UTC; 0 where it has no time.
    """

    kind: str
    id: str
    title: str
    where: str
    created: int = 0

    def as_json(self) -> dict[str, Any]:
        """Returns it as `schemas/cli/search.json` describes it."""
        return {"kind": self.kind, "id": self.id, "title": self.title, "where": self.where, "created": timestamp(self.created)}


def search(store: MetadataStore, text: str, *, limit: int = 50) -> list[Hit]:
    """Returns what has a text in its id, name, path or digest, without regard to case; the newest of each kind first.

    Args:
        store: The metadata store.
        text: What to look for; digests are found from their beginning, with six characters or more.
        limit: How many of each kind.
    """
    wanted = text.strip().lower()
    if not wanted:
        return []
    looks = (_pipelines, _runs, _nodes, _executions, _artifacts, _code)
    tables = Tables(store)
    return [hit for look in looks for hit in islice(look(tables, wanted), limit)]


def _pipelines(tables: Tables, wanted: str) -> Iterator[Hit]:
    names = dict.fromkeys(map(str, tables.runs.column("pipeline").values()))
    for name in sorted(names):
        if wanted in name.lower():
            yield Hit("pipeline", name, f"pipeline {name}", "name")


def _runs(tables: Tables, wanted: str) -> Iterator[Hit]:
    pipelines, states, started = (tables.runs.column(name) for name in ("pipeline", "state", "started"))
    for id in reversed(tables.runs.ids):
        if wanted in str(id).lower():
            yield Hit("run", str(id), f"run {id} of {pipelines.get(id, '')}: {states.get(id, '')}", "id", int(started.get(id, 0)))


def _nodes(tables: Tables, wanted: str) -> Iterator[Hit]:
    pipelines = tables.executions.column("pipeline")
    latest = {(str(pipelines.get(id, "")), str(node)): id for id, node in sorted(tables.executions.column("node").items())}
    created = tables.executions.column("created")
    for (pipeline, node), id in latest.items():
        if wanted in node.lower():
            yield Hit("node", node, f"node {node} of {pipeline}", "name", int(created.get(id, 0)))


def _executions(tables: Tables, wanted: str) -> Iterator[Hit]:
    if not wanted.removeprefix("execution:").isdecimal():
        return
    id = int(wanted.removeprefix("execution:"))
    created, nodes, runs = (tables.executions.column(name) for name in ("created", "node", "run"))
    if id in created:
        yield Hit("execution", str(id), f"execution {id}: {nodes.get(id, '')} in run {runs.get(id, '')}", "id", int(created[id]))


def _artifacts(tables: Tables, wanted: str) -> Iterator[Hit]:
    columns = {name: tables.artifacts.column(name) for name in ("type", "name", "uri", "digest", "created")}
    digest = len(wanted) >= SHORTEST_DIGEST and set(wanted) <= _HEXADECIMAL
    for id in reversed(tables.artifacts.ids):
        where = _place(columns, id, wanted, digest=digest)
        if where:
            producer = str(columns["name"].get(id, "")).split("/")
            made = f" by {producer[2]} in run {producer[1]}" if len(producer) == 5 else ""
            yield Hit("artifact", str(id), f"{columns['type'].get(id, '')} {id}{made}", where, int(columns["created"].get(id, 0)))


def _place(columns: Mapping[str, Mapping[Any, Property]], id: Any, wanted: str, *, digest: bool) -> str:
    if str(id) == wanted:
        return "id"
    for name, where in (("type", "type"), ("name", "name"), ("uri", "path")):
        if wanted in str(columns[name].get(id, "")).lower():
            return where
    return "digest" if digest and str(columns["digest"].get(id, "")).startswith(wanted) else ""


def _code(tables: Tables, wanted: str) -> Iterator[Hit]:
    """Yields each text of a file of user code once, with the newest execution that used it."""
    created, nodes, runs = (tables.executions.column(name) for name in ("created", "node", "run"))
    for name in sorted(name for name in tables.executions.readers if name.startswith("code.")):
        file = name.removeprefix("code.")
        users: dict[str, Any] = {}
        for id, text in tables.executions.column(name).items():
            users[str(text)] = max(id, users.get(str(text), id))
        for digest, id in users.items():
            where = "file" if wanted in file.lower() else "digest" if len(wanted) >= SHORTEST_DIGEST and digest.startswith(wanted) else ""
            if where:
                title = f"{file}@{digest[:8]}, used last by {nodes.get(id, '')} in run {runs.get(id, '')}"
                yield Hit("code", digest, title, where, int(created.get(id, 0)))
