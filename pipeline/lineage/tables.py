"""Runs, executions and artifacts as tables with a column for each thing that is known of them, to be searched and sorted.

Only the columns that a question needs are read, so that a question to fifty thousand artifacts is answered at once.
"""

from __future__ import annotations

import difflib
import functools
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from pipeline.artifacts import Property
from pipeline.display import grid, titled
from pipeline.environment import Environment
from pipeline.errors import UsageError, did_you_mean
from pipeline.lineage.query import FieldKind, Id, Value, parse_condition, parse_sort, sorted_by
from pipeline.metadata import Columns, MetadataStore
from pipeline.records import MANUAL_RUN, Run
from pipeline.reports import node_state_of, run_seconds, short_name
from pipeline.storage import Storage
from pipeline.wording import sentences

_OWN_PROPERTIES = {"size": "size", "files": "file_count", "digest": "content_digest", "producer": "producer_component"}
_INNER = frozenset({"nodes", "graph", "not_run", "reason"})
_FEW = 200
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
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    total: int

    def _repr_html_(self) -> str:
        rows = [[row.id, *(row.values.get(name) for name in self.columns)] for row in self.rows]
        return titled(f"{len(self.rows):,} of {self.total:,}", grid(["id", *self.columns], rows))

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


Reader = Callable[[Sequence[Any] | None], Mapping[Any, Value]]
"""Reads a column: of some rows, or of all. It may return more than what was asked for."""


@dataclass
class Source:
    """The columns of one kind of record, each read when it is asked for.

    Attributes:
        ids: All records in the order in which they were recorded.
        common: What reads the columns that all such records have.
        further: Returns what reads all other columns; asked only where a name is none of the common ones.
        usual: The columns that are shown, and those that a question names besides.
    """

    ids: Sequence[Id]
    common: Mapping[str, Reader]
    further: Callable[[], Mapping[str, Reader]]
    usual: tuple[str, ...]
    _read: dict[str, Mapping[Id, Value]] = field(default_factory=dict)
    _added: dict[str, Reader] = field(default_factory=dict)

    @cached_property
    def readers(self) -> dict[str, Reader]:
        """What reads each column, by its full name."""
        return {**self.further(), **self.common}

    def add(self, name: str, values: Mapping[Id, Value]) -> None:
        """Adds a column, or replaces it."""
        self._added[name] = lambda ids: values
        self._read.pop(name, None)

    def resolve(self, name: str) -> tuple[str, FieldKind]:
        """Returns full name and kind of a field; `learning_rate` is enough where one node has it.

        Raises:
            UsageError: If there is none, or more than one.
        """
        full = self.full_name(name)
        if full in _TIMES:
            return full, FieldKind.TIME
        if full in _FLAGS:
            return full, FieldKind.BOOLEAN
        kinds = set(map(type, self.column(full).values()))
        if kinds and kinds <= {int, float}:
            return full, FieldKind.NUMBER
        return full, FieldKind.TEXT if kinds == {str} else FieldKind.ANY

    def full_name(self, name: str) -> str:
        """Returns the full name of a field; see `resolve`."""
        if name in self._added or name in self.common or name in self.readers:
            return name
        lower = name.lower()
        found = [known for known in self.readers if known.lower() == lower]
        found = found or [known for known in self.readers if known.lower().endswith(f".{lower}")]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f"'{name}' may be {', '.join(sorted(found))}.", hint="Name the node too.")
        names = {known.rpartition(".")[2] for known in self.readers} | set(self.readers)
        close = difflib.get_close_matches(name, names, n=1)
        raise UsageError(f"There is no field '{name}'.{f' Did you mean {close[0]!r}?' if close else ''}", hint="See all fields: --fields")

    def column(self, name: str) -> Mapping[Id, Value]:
        """Returns the values of a column by record; those that lack it are left out."""
        if name not in self._read:
            self._read[name] = self._reader(name)(None)
        return self._read[name]

    def _reader(self, name: str) -> Reader:
        return self._added.get(name) or self.common.get(name) or self.readers[name]

    def answer(self, question: Question) -> Table:
        """Returns the rows that a question asks for.

        Raises:
            UsageError: If it is not well formed, or names a field that does not exist.
        """
        condition = parse_condition(question.where, self) if question.where.strip() else None
        keys = parse_sort(question.sort, self)
        named = [self.full_name(name) for name in question.columns]
        asked = [*(condition.fields() if condition else ()), *(key.field for key in keys), *named]
        columns = tuple(dict.fromkeys([*self.usual, *asked]))
        met = condition.meeting(set(self.ids), self.column) if condition is not None else None
        found = [row for row in self.ids if met is None or row in met]
        total = len(found)
        if keys:
            found = sorted_by(found, keys, self.column)
        if question.limit is not None:
            found = found[: question.limit] if keys else found[max(len(found) - question.limit, 0) :]
        shown = {name: self._values(name, found) for name in columns}
        rows = tuple(Row(id, {name: values[id] for name, values in shown.items() if id in values}) for id in found)
        return Table(columns, rows, total)

    def _values(self, name: str, ids: Sequence[Id]) -> Mapping[Id, Value]:
        """Returns the values of a column for some rows; where they are few, no others are read."""
        return self.column(name) if name in self._read or len(ids) > _FEW else self._reader(name)(ids)


class Tables:
    """The tables of a store.

    Args:
        store: The metadata store.
    """

    def __init__(self, store: MetadataStore) -> None:
        self._store = store

    @cached_property
    def columns(self) -> Columns:
        """What reads single columns."""
        return self._store.columns()

    @property
    def code(self) -> dict[str, dict[int, Value]]:
        """The digest of each file of user code, by file and execution."""
        return self._known.code

    @cached_property
    def _known(self) -> _Executions:
        return _Executions(self.columns)

    @cached_property
    def artifacts(self) -> Source:
        """A row for each artifact; properties that its producer recorded are columns."""
        columns = self.columns
        created = columns.field("artifact", "created")
        common: dict[str, Reader] = {
            "id": lambda ids: dict(zip(created, created, strict=True)),
            **{name: partial(columns.field, "artifact", name) for name in ("type", "name", "uri", "state")},
            "created": lambda ids: created,
            "age": lambda ids: _ages(created),
            **{name: partial(columns.property, "artifact", own) for name, own in _OWN_PROPERTIES.items()},
            "run": lambda ids: _runs_in(columns.field("artifact", "name", ids)),
            "used": lambda ids: _flags(created, columns.used()),
        }

        def further() -> dict[str, Reader]:
            names = columns.property_names("artifact") - {*_OWN_PROPERTIES.values(), *common}
            return {name: partial(columns.property, "artifact", name) for name in sorted(names)}

        return Source(sorted(created), common, further, ("type", "state", "producer", "run", "created", "size"))

    @cached_property
    def executions(self) -> Source:
        """A row for each execution; parameters, code, libraries and measures are columns."""
        known, columns = self._known, self.columns
        common: dict[str, Reader] = {
            "id": lambda ids: dict(zip(known.created, known.created, strict=True)),
            "component": lambda ids: {id: short_name(str(name)) for id, name in columns.field("execution", "type", ids).items()},
            "state": lambda ids: known.states,
            "created": lambda ids: known.created,
            "age": lambda ids: _ages(known.created),
            **{
                name: partial(columns.property, "execution", name)
                for name in ("node", "run", "pipeline", "seconds", "verdict", "error", "log")
            },
            "memory": partial(columns.property, "execution", "peak_memory"),
            "reasons": lambda ids: _sentences(columns.property("execution", "reasons", ids)),
            "cached": lambda ids: _flags(known.created, {id for id, state in known.states.items() if state == "cached"}),
        }

        def further() -> dict[str, Reader]:
            found = {**known.parameters, **known.measures}
            found |= {f"code.{name}": values for name, values in known.code.items()}
            found |= {f"library.{name}": values for name, values in known.libraries.items()}
            return {name: _given(found[name]) for name in sorted(found)}

        return Source(list(known.created), common, further, ("node", "component", "pipeline", "run", "state", "created", "seconds"))

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

        @functools.cache
        def latest() -> dict[str, dict[str, int]]:
            return known.latest_of_runs(runs)

        common: dict[str, Reader] = {
            "id": lambda ids: dict(zip(runs, runs, strict=True)),
            "pipeline": lambda ids: {id: run.pipeline for id, run in runs.items()},
            "state": lambda ids: {id: run.state.value for id, run in runs.items()},
            "reason": lambda ids: {id: run.reason for id, run in runs.items() if run.reason},
            "started": lambda ids: {id: run.started for id, run in runs.items()},
            "ended": lambda ids: {id: run.ended for id, run in runs.items() if run.ended},
            "age": lambda ids: _ages({id: run.started for id, run in runs.items()}),
            "seconds": lambda ids: {id: seconds for id, run in runs.items() if (seconds := run_seconds(run)) is not None},
            "nodes": lambda ids: {id: len(nodes) for id, nodes in latest().items()},
            "cached": lambda ids: {id: sum(known.states[node] == "cached" for node in nodes.values()) for id, nodes in latest().items()},
            "blessed": lambda ids: _verdicts(known, latest(), {"blessed": True, "not blessed": False}),
            "pushed": lambda ids: _verdicts(known, latest(), {"pushed": True, "not pushed": False}),
        }

        def further() -> dict[str, Reader]:
            found = {name: _given(values) for name, values in sorted(_by_node(known, latest()).items())}
            recorded = {name for run in runs.values() for name in run.properties} - _INNER
            return {**found, **{name: _given(_run_property(runs, name)) for name in sorted(recorded)}}

        return Source(list(runs), common, further, ("pipeline", "state", "started", "seconds"))


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
    def code(self) -> dict[str, dict[int, Value]]:
        """The digest of each file of user code."""
        return self._parts["code"]

    @cached_property
    def libraries(self) -> dict[str, dict[int, Value]]:
        """The version of each library that shaped the result."""
        return self._parts["library"]

    @cached_property
    def _parts(self) -> dict[str, dict[str, dict[int, Value]]]:
        """Those parts of cache keys by kind and name; they are read as they are stored, for there are a dozen of each execution."""
        found: dict[str, dict[str, dict[int, Value]]] = {"code": defaultdict(dict), "library": defaultdict(dict)}
        for text, ids in _by_text(self.property("cache_parts")).items():
            for part, digest, shown in json.loads(text):
                kind, _, name = part.partition(" ")
                if kind in found:
                    found[kind][name].update(dict.fromkeys(ids, digest if kind == "code" else shown))
        return {kind: dict(names) for kind, names in found.items()}

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
    found: dict[str, dict[int, Value]] = defaultdict(dict)
    for text, ids in _by_text(texts).items():
        for name, value in json.loads(text or "{}").items():
            if value is not None:
                shown = value if isinstance(value, bool | int | float | str) else json.dumps(value)
                found[name].update(dict.fromkeys(ids, shown))
    return dict(found)


def _by_text(texts: Mapping[int, Property]) -> dict[str, list[int]]:
    """Returns the records of each text: those of a node mostly share what is recorded, and it is parsed once."""
    found: dict[str, list[int]] = defaultdict(list)
    for id, text in texts.items():
        found[str(text)].append(id)
    return found


def _sentences(texts: Mapping[int, Property]) -> dict[int, Value]:
    return {id: sentences(json.loads(str(text) or "[]")) for id, text in texts.items()}


def _runs_in(names: Mapping[int, Property]) -> dict[int, Value]:
    """Returns the runs that stand in the names of artifacts, `pipeline/run/node/output/execution`."""
    parts = {id: str(name).split("/") for id, name in names.items()}
    return {id: part[1] for id, part in parts.items() if len(part) == 5}


def _ages(created: Mapping[Any, Any]) -> dict[Any, Value]:
    """Returns the seconds since each time."""
    now = time.time() * 1000
    return {id: round((now - int(moment)) / 1000, 3) for id, moment in created.items()}


def _flags(ids: Mapping[int, Any], true: set[int]) -> dict[int, Value]:
    return {id: id in true for id in ids}


def _given(values: Mapping[Any, Value]) -> Reader:
    return lambda ids: values
