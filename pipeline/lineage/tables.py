"""Runs, executions and artifacts as tables with a column for each thing that is known of them, to be searched and sorted.

Only the columns that a question needs are read, so that a question to fifty thousand artifacts is answered at once.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pipeline.artifacts import Property
from pipeline.cache import CacheKey
from pipeline.environment import Environment
from pipeline.errors import UsageError, did_you_mean
from pipeline.lineage.query import FieldKind, Get, Value, parse_condition, parse_sort, sorted_by
from pipeline.metadata import Columns, MetadataStore
from pipeline.records import MANUAL_RUN, Run
from pipeline.reports import node_state_of, run_seconds, short_name
from pipeline.storage import Storage

Id = int | str
_TIMES = frozenset({"created", "started", "ended", "updated"})
_FLAGS = frozenset({"blessed", "pushed", "used", "cached"})


@dataclass(frozen=True)
class Row:
    """A row of a table: the number or id of its record, and its values by column."""

    id: Id
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Table:
    """What a question found.

    Attributes:
        columns: The columns to show: the usual ones, and those that the question names.
        rows: The rows in order.
        total: How many rows there are, with those that a limit cut off.
        fields: The names of all columns that could be asked for.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    total: int
    fields: tuple[str, ...] = ()

    def as_json(self) -> list[dict[str, Any]]:
        """Returns id and values of each row."""
        return [{"id": row.id, "values": dict(row.values)} for row in self.rows]


@dataclass(frozen=True)
class Question:
    """What is wanted of a table.

    Attributes:
        where: A condition; see `pipeline.lineage.query`. Empty for all rows.
        sort: Fields to sort by, `-auc,started`. Empty for the order in which they were recorded.
        columns: Further columns to show.
        limit: How many rows; None for all. Without `sort` the last ones are taken, with it the first ones.
    """

    where: str = ""
    sort: str = ""
    columns: tuple[str, ...] = ()
    limit: int | None = None


@dataclass
class Source:
    """The columns of one kind of record, each read when it is asked for.

    Attributes:
        ids: All records in the order in which they were recorded.
        readers: What reads a column, by its full name.
        usual: The columns that are shown unless others are named.
    """

    ids: Sequence[Id]
    readers: Mapping[str, Callable[[], Mapping[Id, Value]]]
    usual: tuple[str, ...]
    _read: dict[str, Mapping[Id, Value]] = field(default_factory=dict)

    def add(self, name: str, values: Mapping[Id, Value]) -> None:
        """Adds a column, or replaces it."""
        self.readers = {**self.readers, name: _constantly(values)}
        self._read.pop(name, None)

    def resolve(self, name: str) -> tuple[str, FieldKind]:
        """Returns full name and kind of a field; `learning_rate` is enough where one node has it.

        Raises:
            UsageError: If there is none, or more than one.
        """
        full = self._full_name(name)
        if full in _TIMES:
            return full, FieldKind.TIME
        if full in _FLAGS:
            return full, FieldKind.BOOLEAN
        kinds = {type(value) for value in self.column(full).values()}
        if kinds and kinds <= {int, float}:
            return full, FieldKind.NUMBER
        return full, FieldKind.TEXT if kinds == {str} else FieldKind.ANY

    def _full_name(self, name: str) -> str:
        if name in self.readers:
            return name
        lower = name.lower()
        found = [known for known in self.readers if known.lower() == lower]
        found = found or [known for known in self.readers if known.lower().endswith(f".{lower}")]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f"'{name}' may be {', '.join(sorted(found))}.", hint="Name the node too.")
        short = {known.rpartition(".")[2] for known in self.readers} | set(self.readers)
        suggestion = did_you_mean(name, short)
        raise UsageError(f"There is no field '{name}'.{suggestion if len(suggestion) < 1_000 else ''}", hint="See all fields: --fields")

    def column(self, name: str) -> Mapping[Id, Value]:
        """Returns the values of a column by record; those that lack it are left out."""
        if name not in self._read:
            self._read[name] = self.readers[name]()
        return self._read[name]

    def answer(self, question: Question) -> Table:
        """Returns the rows that a question asks for.

        Raises:
            UsageError: If it is not well formed, or names a field that does not exist.
        """
        condition = parse_condition(question.where, self) if question.where.strip() else None
        keys = parse_sort(question.sort, self)
        named = [self.resolve(name)[0] for name in question.columns]
        asked = [*(condition.fields() if condition else ()), *(key.field for key in keys), *named]
        columns = tuple(dict.fromkeys([*self.usual, *asked]))
        found = list(self.ids)
        if condition is not None:
            found = [row for row in found if condition.holds(self._getter(row))]
        total = len(found)
        if keys:
            found = sorted_by(found, keys, lambda row, name: self.column(name).get(row))
        if question.limit is not None:
            found = found[: question.limit] if keys else found[max(len(found) - question.limit, 0) :]
        rows = tuple(Row(id, {name: self.column(name)[id] for name in columns if id in self.column(name)}) for id in found)
        return Table(columns, rows, total, tuple(self.readers))

    def _getter(self, row: Id) -> Get:
        return lambda name: self.column(name).get(row)


class Tables:
    """The tables of a store.

    Args:
        store: The metadata store.
    """

    def __init__(self, store: MetadataStore) -> None:
        self._store = store

    @cached_property
    def _columns(self) -> Columns:
        return self._store.columns()

    @cached_property
    def _known(self) -> _Executions:
        return _Executions(self._columns)

    @cached_property
    def artifacts(self) -> Source:
        """A row for each artifact; properties that its producer recorded are columns."""
        columns = self._columns
        created = columns.field("artifact", "created")
        names = {"size": "size", "files": "file_count", "digest": "content_digest", "producer": "producer_component"}
        readers: dict[str, Callable[[], Any]] = {
            "id": lambda: {id: id for id in created},
            **{name: _reading(columns.field, "artifact", name) for name in ("type", "name", "uri", "state")},
            "created": lambda: created,
            "age": lambda: _ages(created),
            **{name: _reading(columns.property, "artifact", own) for name, own in names.items()},
            "run": lambda: {id: str(name).split("/")[1] for id, name in self.artifacts.column("name").items() if str(name).count("/") == 4},
            "used": lambda: _flags(created, columns.used()),
        }
        taken = {*names.values(), *readers}
        readers |= {name: _reading(columns.property, "artifact", name) for name in columns.property_names("artifact") if name not in taken}
        return Source(sorted(created), readers, ("type", "state", "producer", "run", "created", "size"))

    @cached_property
    def executions(self) -> Source:
        """A row for each execution; parameters, code, libraries and measures are columns."""
        known = self._known
        readers: dict[str, Callable[[], Any]] = {
            "id": lambda: {id: id for id in known.created},
            "component": lambda: {id: short_name(str(name)) for id, name in known.field("type").items()},
            "state": lambda: known.states,
            "created": lambda: known.created,
            "age": lambda: _ages(known.created),
            **{name: _reading(known.property, name) for name in ("node", "run", "pipeline", "seconds", "verdict", "error", "log")},
            "memory": lambda: known.property("peak_memory"),
            "reasons": lambda: {id: "; ".join(json.loads(str(text))) for id, text in known.property("reasons").items()},
            "cached": lambda: _flags(known.created, {id for id, state in known.states.items() if state == "cached"}),
            **{f"code.{name}": _constantly(values) for name, values in known.code.items()},
            **{f"library.{name}": _constantly(values) for name, values in known.libraries.items()},
        }
        for name, values in {**known.parameters, **known.measures}.items():
            readers.setdefault(name, _constantly(values))
        return Source(sorted(known.created), readers, ("node", "component", "pipeline", "run", "state", "created", "seconds"))

    def package(self, name: str, storage: Storage) -> dict[Id, Value]:
        """Returns the version of a package that each execution ran with, whether it shaped the result or was only installed.

        Raises:
            UsageError: If no execution ran with such a package.
        """
        recorded = self._known.property("environment")
        environments = {digest: Environment.from_json(storage.kept_code(str(digest), ".json")) for digest in set(recorded.values())}
        found: dict[Id, Value] = {
            id: environments[digest].packages[name] for id, digest in recorded.items() if name in environments[digest].packages
        }
        found.update(self._known.libraries.get(name, {}).items())
        if not found:
            known = {*self._known.libraries, *(package for environment in environments.values() for package in environment.packages)}
            raise UsageError(f"No execution ran with a library '{name}'.{did_you_mean(name, known)}")
        return found

    @cached_property
    def runs(self) -> Source:
        """A row for each run; `Node.parameter`, `Node.measure`, and what was decided, are columns."""
        runs = {run.id: run for run in self._store.runs()}
        known = self._known
        latest = known.latest_of_runs(runs)
        readers: dict[str, Callable[[], Any]] = {
            "id": lambda: {id: id for id in runs},
            "pipeline": lambda: {id: run.pipeline for id, run in runs.items()},
            "state": lambda: {id: run.state.value for id, run in runs.items()},
            "reason": lambda: {id: run.reason for id, run in runs.items() if run.reason},
            "started": lambda: {id: run.started for id, run in runs.items()},
            "ended": lambda: {id: run.ended for id, run in runs.items() if run.ended},
            "age": lambda: _ages({id: run.started for id, run in runs.items()}),
            "seconds": lambda: {id: seconds for id, run in runs.items() if (seconds := run_seconds(run)) is not None},
            "nodes": lambda: {id: len(nodes) for id, nodes in latest.items()},
            "cached": lambda: {id: sum(known.states[node] == "cached" for node in nodes.values()) for id, nodes in latest.items()},
            "blessed": lambda: _verdicts(known, latest, {"blessed": True, "not blessed": False}),
            "pushed": lambda: _verdicts(known, latest, {"pushed": True, "not pushed": False}),
        }
        for name, values in _by_node(known, latest).items():
            readers.setdefault(name, _constantly(values))
        for name in sorted({name for run in runs.values() for name in run.properties} - set(readers) - {"nodes", "graph"}):
            readers[name] = _reading(_run_property, runs, name)
        return Source(list(runs), readers, ("pipeline", "state", "started", "seconds"))


def _run_property(runs: Mapping[str, Run], name: str) -> dict[str, Property]:
    return {id: run.properties[name] for id, run in runs.items() if name in run.properties}


@dataclass
class _Executions:
    """What is known of all executions, column by column."""

    columns: Columns

    @cached_property
    def created(self) -> dict[int, int]:
        """When each began, oldest first."""
        return {id: int(created) for id, created in sorted(self.columns.field("execution", "created").items())}

    def field(self, name: str) -> dict[int, Property]:
        return self.columns.field("execution", name)

    def property(self, name: str) -> dict[int, Property]:
        return self.columns.property("execution", name)

    @cached_property
    def nodes(self) -> dict[int, str]:
        return {id: str(node) for id, node in self.property("node").items()}

    @cached_property
    def states(self) -> dict[int, str]:
        """How each ended, in the words of `cauce nodes`."""
        verdicts, blocks, actions = (self.property(name) for name in ("verdict", "blocks", "action"))
        return {
            id: node_state_of(str(state), blocks=bool(blocks.get(id)), verdict=str(verdicts.get(id, "")), action=str(actions.get(id, "")))
            for id, state in self.field("state").items()
        }

    @cached_property
    def parameters(self) -> dict[str, dict[int, Value]]:
        return _columns_of_json(self.property("parameters"))

    @cached_property
    def measures(self) -> dict[str, dict[int, Value]]:
        return _columns_of_json(self.property("measures"))

    @cached_property
    def _parts(self) -> dict[int, CacheKey]:
        texts: dict[str, CacheKey] = {}  # most executions of a node share their parts
        found = {}
        for id, text in self.property("cache_parts").items():
            if text not in texts:
                texts[str(text)] = CacheKey.from_json(str(text))
            found[id] = texts[str(text)]
        return found

    @cached_property
    def code(self) -> dict[str, dict[int, Value]]:
        """The digest of each file of user code."""
        return self._named("code ", lambda part: part.digest)

    @cached_property
    def libraries(self) -> dict[str, dict[int, Value]]:
        """The version of each library that shaped the result."""
        return self._named("library ", lambda part: part.text)

    def _named(self, prefix: str, value: Callable[[Any], str]) -> dict[str, dict[int, Value]]:
        found: dict[str, dict[int, Value]] = defaultdict(dict)
        for id, key in self._parts.items():
            for part in key.parts:
                if part.name.startswith(prefix):
                    found[part.name.removeprefix(prefix)][id] = value(part)
        return dict(found)

    def latest_of_runs(self, runs: Mapping[str, Run]) -> dict[str, dict[str, int]]:
        """Returns the number of the latest execution of each node, by run."""
        found: dict[str, dict[str, int]] = {id: {} for id in runs}
        for execution, run in sorted(self.property("run").items()):
            if run in found and run != MANUAL_RUN and execution in self.nodes:
                found[str(run)][self.nodes[execution]] = execution
        return found


def _by_node(known: _Executions, latest: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, Value]]:
    """Returns `Node.parameter` and `Node.measure` by run; a measure wins where both have one name."""
    owners = {execution: (run, node) for run, nodes in latest.items() for node, execution in nodes.items()}
    found: dict[str, dict[str, Value]] = defaultdict(dict)
    for columns in (known.parameters, known.measures):
        for name, values in columns.items():
            for execution, value in values.items():
                if execution in owners:
                    run, node = owners[execution]
                    found[f"{node}.{name}"][run] = value
    return dict(found)


def _verdicts(known: _Executions, latest: Mapping[str, Mapping[str, int]], words: Mapping[str, bool]) -> dict[str, bool]:
    """Returns for each run whether all its verdicts of a kind were good; runs without one are left out."""
    verdicts = known.property("verdict")
    found = {run: [words[str(verdicts.get(id))] for id in nodes.values() if verdicts.get(id) in words] for run, nodes in latest.items()}
    return {run: all(judged) for run, judged in found.items() if judged}


def _columns_of_json(texts: Mapping[int, Property]) -> dict[str, dict[int, Value]]:
    """Returns the items of JSON objects as columns; lists and objects as JSON text, null as nothing."""
    parsed: dict[str, dict[str, Value]] = {}
    found: dict[str, dict[int, Value]] = defaultdict(dict)
    for id, text in texts.items():
        if text not in parsed:
            items = json.loads(str(text) or "{}").items()
            parsed[str(text)] = {
                name: value if isinstance(value, bool | int | float | str) else json.dumps(value)
                for name, value in items
                if value is not None
            }
        for name, value in parsed[str(text)].items():
            found[name][id] = value
    return dict(found)


def _ages(created: Mapping[Any, Any]) -> dict[Any, Value]:
    """Returns the seconds since each time."""
    now = time.time() * 1000
    return {id: round((now - int(moment)) / 1000, 3) for id, moment in created.items()}


def _flags(ids: Mapping[int, Any], true: set[int]) -> dict[int, Value]:
    return {id: id in true for id in ids}


def _reading(read: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    return lambda: read(*arguments)


def _constantly(values: Mapping[Any, Value]) -> Callable[[], Mapping[Any, Value]]:
    return lambda: values


def iterate(table: Table) -> Iterator[list[Value | None]]:
    """Yields id and values of each row, in the order of the columns."""
    for row in table.rows:
        yield [row.id, *(row.values.get(name) for name in table.columns)]
