"""What the database holds, as objects; and the changes that commands make. Those of the daemon are in `pipeline.schedule.journal`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from pipeline.errors import MetadataError, UsageError, did_you_mean
from pipeline.schedule import tables
from pipeline.schedule.model import Attempt, AttemptState, NewTick, Schedule, Tick, TickState

_OPEN = [state.value for state in TickState if state.is_open]
_OPEN_ATTEMPTS = [AttemptState.CLAIMED.value, AttemptState.RUNNING.value]
_BATCH = 400


class State:
    """The scheduler's database.

    Args:
        metadata_url: URL of the metadata store; see `pipeline.schedule.tables.database_url`.

    Raises:
        MetadataError: If it cannot be opened.
    """

    def __init__(self, metadata_url: str) -> None:
        self.metadata_url = metadata_url
        self._engine = tables.open_database(metadata_url)
        self._reader = self._engine.execution_options(reads=True)

    def close(self) -> None:
        """Closes the connections; the next call opens new ones."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Gives a connection whose changes are made all or not at all."""
        with self._described(), self.raw_transaction() as connection:
            yield connection

    @contextmanager
    def raw_transaction(self) -> Iterator[Connection]:
        """Gives such a connection; errors stay those of the library, for callers who expect one."""
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Gives a connection to read with."""
        with self._described(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def _described(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise MetadataError(f"The scheduler's database failed: {error.orig}") from error

    def changes(self) -> tuple[int, int]:
        """Returns two numbers: one grows when schedules change, the other when commands add ticks."""
        with self.reading() as connection:
            row = connection.execute(select(tables.changes.c.schedules, tables.changes.c.ticks)).one()
        return int(row.schedules), int(row.ticks)

    def schedules(self) -> list[Schedule]:
        """Returns all schedules, by name."""
        with self.reading() as connection:
            rows = connection.execute(select(tables.schedules).order_by(tables.schedules.c.name)).all()
        return [_schedule(row) for row in rows]

    def schedule(self, name: str) -> Schedule:
        """Returns the schedule of a name.

        Raises:
            UsageError: If there is none, with the closest name.
        """
        with self.reading() as connection:
            row = connection.execute(select(tables.schedules).where(tables.schedules.c.name == name)).one_or_none()
            known = [] if row else list(connection.execute(select(tables.schedules.c.name)).scalars())
        if row is None:
            raise UsageError(
                f"There is no schedule '{name}'.{did_you_mean(name, known)}",
                hint="See them: cauce schedule list" if known else "Make one: cauce schedule add NAME PATH --cron '0 6 * * *'",
            )
        return _schedule(row)

    def cursors(self) -> dict[tuple[int, str], tuple[str, str]]:
        """Returns cursor and problem of each trigger, by schedule and key."""
        with self.reading() as connection:
            rows = connection.execute(select(tables.cursors)).all()
        return {(row.schedule, row.trigger): (row.cursor, row.problem) for row in rows}

    def open_ticks(self) -> list[Tick]:
        """Returns the ticks that wait or run, in the order in which they were due."""
        return self._ticks(select(tables.ticks).where(tables.ticks.c.state.in_(_OPEN)).order_by(tables.ticks.c.due, tables.ticks.c.id))

    def ticks(self, schedule: int | None = None, *, limit: int | None = None, ids: Sequence[int] | None = None) -> list[Tick]:
        """Returns ticks, oldest first: all, those of a schedule, those of these numbers, or the latest `limit` of them."""
        query = select(tables.ticks)
        if schedule is not None:
            query = query.where(tables.ticks.c.schedule == schedule)
        if ids is not None:
            query = query.where(tables.ticks.c.id.in_(ids))
        return self._ticks(query.order_by(tables.ticks.c.due.desc(), tables.ticks.c.id.desc()).limit(limit))[::-1]

    def _ticks(self, query: Select[Any]) -> list[Tick]:
        with self.reading() as connection:
            return [tick_of(row) for row in connection.execute(query)]

    def open_attempts(self) -> list[Attempt]:
        """Returns the attempts that were claimed or go on."""
        with self.reading() as connection:
            query = select(tables.attempts).where(tables.attempts.c.state.in_(_OPEN_ATTEMPTS)).order_by(tables.attempts.c.id)
            return [_attempt(row) for row in connection.execute(query)]

    def attempts(self, ticks: Iterable[int]) -> dict[int, list[Attempt]]:
        """Returns the attempts of ticks, by tick, in order."""
        wanted = list(ticks)
        found: dict[int, list[Attempt]] = {tick: [] for tick in wanted}
        with self.reading() as connection:
            for start in range(0, len(wanted), _BATCH):
                own = tables.attempts.c.tick.in_(wanted[start : start + _BATCH])
                for row in connection.execute(select(tables.attempts).where(own).order_by(tables.attempts.c.id)):
                    found[row.tick].append(_attempt(row))
        return found

    def latest_ended(self, schedule: int) -> Attempt | None:
        """Returns the attempt of a schedule that ended last."""
        own = tables.attempts
        with self.reading() as connection:
            query = select(own).where(own.c.schedule == schedule, own.c.ended > 0).order_by(own.c.ended.desc(), own.c.id.desc()).limit(1)
            row = connection.execute(query).one_or_none()
        return _attempt(row) if row else None

    def moment_of(self, schedule: int, place: int) -> int:
        """Returns when the tick was decided after which a schedule has this many newer ones; 0 where it has fewer."""
        own = tables.ticks.c
        with self.reading() as connection:
            query = select(own.decided).where(own.schedule == schedule).order_by(own.decided.desc()).offset(place).limit(1)
            return int(connection.execute(query).scalar() or 0)

    def kept(self) -> dict[int, tuple[int, int]]:
        """Returns how many ticks of each schedule are kept, and when the first of them was decided; only schedules that have any."""
        own = tables.ticks.c
        with self.reading() as connection:
            rows = connection.execute(select(own.schedule, func.count(), func.min(own.decided)).group_by(own.schedule)).all()
        return {schedule: (count, int(first)) for schedule, count, first in rows}

    def counts(self) -> dict[int, dict[str, int]]:
        """Returns how many ticks each schedule has had, by state; also those that are kept no longer."""
        found: dict[int, dict[str, int]] = {}
        with self.reading() as connection:
            kept = connection.execute(
                select(tables.ticks.c.schedule, tables.ticks.c.state, func.count()).group_by("schedule", "state")
            ).all()
            pruned = connection.execute(select(tables.counts)).all()
        for schedule, state, count in [*kept, *pruned]:
            of = found.setdefault(schedule, {})
            of[state] = of.get(state, 0) + int(count)
        return found

    def add(self, schedule: Schedule, cursors: Mapping[str, str]) -> int:
        """Records a schedule, with what its triggers have seen so far; returns its number.

        Raises:
            UsageError: If there is one of that name.
        """
        values = {"name": schedule.name, "pipeline": schedule.pipeline, "definition": schedule.definition, "created": schedule.created}
        try:
            with self.raw_transaction() as connection:
                made = connection.execute(insert(tables.schedules).values(**values, config=json.dumps(schedule.config()), paused=None))
                id = int(made.inserted_primary_key[0])  # type: ignore[index]
                for trigger, cursor in cursors.items():
                    connection.execute(insert(tables.cursors).values(schedule=id, trigger=trigger, cursor=cursor, problem=""))
                _bump(connection, "schedules")
        except IntegrityError as error:
            raise UsageError(
                f"There is a schedule '{schedule.name}' already.",
                hint=f"Take another name, or remove it first: cauce schedule remove {schedule.name}",
            ) from error
        return id

    def pause(self, schedule: Schedule, reason: str) -> None:
        """Pauses a schedule, with why."""
        with self.transaction() as connection:
            connection.execute(update(tables.schedules).where(tables.schedules.c.id == schedule.id).values(paused=reason))
            _bump(connection, "schedules")

    def resume(self, schedule: Schedule, accounts: Iterable[tuple[str, str, Sequence[NewTick]]], now: int) -> None:
        """Lets a schedule go on.

        Args:
            schedule: The schedule.
            accounts: Key, new cursor and ticks of its triggers: what came while it was paused, and is made up for by nothing.
            now: The moment, in milliseconds since 1970-01-01 UTC.
        """
        with self.transaction() as connection:
            for trigger, cursor, ticks in accounts:
                own = (tables.cursors.c.schedule == schedule.id, tables.cursors.c.trigger == trigger)
                connection.execute(update(tables.cursors).where(*own).values(cursor=cursor))
                insert_ticks(connection, schedule.id, ticks, now)
            connection.execute(update(tables.schedules).where(tables.schedules.c.id == schedule.id).values(paused=None))
            _bump(connection, "schedules")

    def remove(self, schedule: Schedule) -> None:
        """Removes a schedule with its ticks.

        Raises:
            UsageError: If a run of it goes on.
        """
        own = tables.attempts.c.schedule == schedule.id
        with self.transaction() as connection:
            # The daemon claims under this row's lock or after its removal, never between the look and the deletion.
            connection.execute(update(tables.schedules).where(tables.schedules.c.id == schedule.id).values(paused="it is being removed"))
            going = (
                connection.execute(select(tables.attempts.c.run).where(own, tables.attempts.c.state.in_(_OPEN_ATTEMPTS))).scalars().first()
            )
            if going:
                raise UsageError(
                    f"Run {going} of schedule '{schedule.name}' goes on.",
                    hint=f"Wait for its end, or stop it: cauce schedule stop {schedule.name}",
                )
            for table in (tables.notices, tables.attempts, tables.ticks, tables.cursors, tables.counts):
                connection.execute(delete(table).where(table.c.schedule == schedule.id))
            connection.execute(delete(tables.schedules).where(tables.schedules.c.id == schedule.id))
            _bump(connection, "schedules")

    def add_ticks(self, schedule: int, new: Sequence[NewTick], now: int) -> list[int]:
        """Records ticks that a person or a webhook asked for; returns the numbers of those that were not there yet."""
        try:
            return self._add_ticks(schedule, new, now)
        except IntegrityError:  # another process recorded one of them in the same moment: now it is there
            return self._add_ticks(schedule, new, now)

    def _add_ticks(self, schedule: int, new: Sequence[NewTick], now: int) -> list[int]:
        with self.raw_transaction() as connection:
            added = insert_ticks(connection, schedule, new, now)
            _bump(connection, "ticks")
        return added

    def stop(self, attempt: Attempt, reason: str) -> None:
        """Asks the daemon to stop a run; the daemon finds this when it looks next."""
        with self.transaction() as connection:
            own = (tables.attempts.c.id == attempt.id, tables.attempts.c.state.in_(_OPEN_ATTEMPTS), tables.attempts.c.stop == "")
            connection.execute(update(tables.attempts).where(*own).values(stop="stopped", reason=reason))
            _bump(connection, "ticks")


def insert_ticks(connection: Connection, schedule: int, new: Sequence[NewTick], now: int) -> list[int]:
    """Inserts those ticks whose keys the schedule does not have yet; returns their numbers."""
    there: set[str] = set()
    keys = [tick.key for tick in new]
    for start in range(0, len(keys), _BATCH):
        own = (tables.ticks.c.schedule == schedule, tables.ticks.c.key.in_(keys[start : start + _BATCH]))
        there.update(connection.execute(select(tables.ticks.c.key).where(*own)).scalars())
    wanted = {tick.key: tick for tick in new if tick.key not in there}
    if wanted:
        rows = [{**_values(tick), "schedule": schedule, "noticed": now, "decided": now} for tick in wanted.values()]
        connection.execute(insert(tables.ticks), rows)
    added: list[int] = []
    for start in range(0, len(wanted), _BATCH):
        own = (tables.ticks.c.schedule == schedule, tables.ticks.c.key.in_(list(wanted)[start : start + _BATCH]))
        added += connection.execute(select(tables.ticks.c.id).where(*own).order_by(tables.ticks.c.id)).scalars()
    return added


def _values(tick: NewTick) -> dict[str, Any]:
    return {
        "key": tick.key,
        "trigger": tick.trigger,
        "due": tick.due,
        "cause": tick.cause,
        "state": tick.state.value,
        "reason": tick.reason,
        "ordered": tick.ordered,
        "settings": json.dumps(dict(tick.settings)),
        "not_before": 0,
        "attempts": 0,
        "failures": 0,
    }


def _bump(connection: Connection, what: str) -> None:
    column = tables.changes.c[what]
    connection.execute(update(tables.changes).values({what: column + 1}))


def _schedule(row: Row[Any]) -> Schedule:
    parts = Schedule.parts(json.loads(row.config))
    return Schedule(row.id, row.name, row.pipeline, row.definition, **parts, paused=row.paused, created=int(row.created))


def tick_of(row: Row[Any]) -> Tick:
    """Returns the tick of a row."""
    values = {name: value for name, value in row._mapping.items() if name not in ("state", "settings")}
    return Tick(**values, state=TickState(row.state), settings=json.loads(row.settings))


def _attempt(row: Row[Any]) -> Attempt:
    values = {name: value for name, value in row._mapping.items() if name not in ("state", "details")}
    return Attempt(**values, state=AttemptState(row.state), details=json.loads(row.details))
