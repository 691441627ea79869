"""Search: whatever has an id, a name, a path or a digest that a person has at hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pipeline.artifacts import Property
from pipeline.lineage.tables import Tables
from pipeline.metadata import FIELDS, Kind, MetadataStore
from pipeline.reports import timestamp

SHORTEST_DIGEST = 6
_PAGE = 100
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


def search(store: MetadataStore, text: str, *, limit: int = 50, tables: Tables | None = None) -> list[Hit]:
    """Returns what has a text in its id, name, path or digest, without regard to case; the newest of each kind first.

    Args:
        store: The metadata store.
        text: What to look for; digests are found from their beginning, with six characters or more.
        limit: How many of each kind.
        tables: The store's columns, where they have been read already.
    """
    wanted = text.strip().lower()
    if not wanted:
        return []
    looks = (_pipelines, _runs, _nodes, _executions, _artifacts, _code)
    known = tables or Tables(store)
    return [hit for look in looks for hit in islice(look(known, wanted), limit)]


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
    ids = tables.columns.holding("execution", "node", wanted)
    nodes, pipelines, created = _some(tables, "execution", ids, "node", "pipeline", "created")
    latest = {(str(pipelines.get(id, "")), str(nodes.get(id, ""))): id for id in ids}
    for (pipeline, node), id in latest.items():
        yield Hit("node", node, f"node {node} of {pipeline}", "name", int(created.get(id, 0)))


def _executions(tables: Tables, wanted: str) -> Iterator[Hit]:
    number = wanted.removeprefix("execution:")
    if number.isdecimal():
        nodes, runs, created = _some(tables, "execution", [int(number)], "node", "run", "created")
        for id, moment in created.items():
            yield Hit("execution", number, f"execution {id}: {nodes.get(id, '')} in run {runs.get(id, '')}", "id", int(moment))


def _artifacts(tables: Tables, wanted: str) -> Iterator[Hit]:
    columns = tables.columns
    where = dict.fromkeys(columns.field("artifact", "created", [int(wanted)]), "id") if wanted.isdecimal() else {}
    for name, place in (("type", "type"), ("name", "name"), ("uri", "path")):
        where = {**dict.fromkeys(columns.holding("artifact", name, wanted), place), **where}
    if len(wanted) >= SHORTEST_DIGEST and set(wanted) <= _HEXADECIMAL:
        where = {**dict.fromkeys(columns.holding("artifact", "content_digest", wanted, start=True), "digest"), **where}
    ids = sorted(where, reverse=True)
    for start in range(0, len(ids), _PAGE):
        page = ids[start : start + _PAGE]
        types, names, created = _some(tables, "artifact", page, "type", "name", "created")
        for id in page:
            made = str(names.get(id, "")).split("/")
            told = f" by {made[2]} in run {made[1]}" if len(made) == 5 else ""
            yield Hit("artifact", str(id), f"{types.get(id, '')} {id}{told}", where[id], int(created.get(id, 0)))


def _some(tables: Tables, kind: Kind, ids: list[int], *names: str) -> list[dict[int, Property]]:
    """Returns columns of some records."""
    columns = tables.columns
    return [columns.field(kind, name, ids) if name in FIELDS[kind] else columns.property(kind, name, ids) for name in names]


def _code(tables: Tables, wanted: str) -> Iterator[Hit]:
    """Yields each text of a file of user code once, with the newest execution that used it."""
    for file, values in sorted(tables.code.items()):
        users: dict[str, int] = {}
        for id, text in values.items():
            users[str(text)] = max(id, users.get(str(text), id))
        for digest, id in users.items():
            where = "file" if wanted in file.lower() else "digest" if len(wanted) >= SHORTEST_DIGEST and digest.startswith(wanted) else ""
            if where:
                nodes, runs, created = _some(tables, "execution", [id], "node", "run", "created")
                title = f"{file}@{digest[:8]}, used last by {nodes.get(id, '')} in run {runs.get(id, '')}"
                yield Hit("code", digest, title, where, int(created.get(id, 0)))
