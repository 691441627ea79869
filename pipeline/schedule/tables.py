"""The tables of the scheduler, and the connection to their database: SQLite beside the metadata, or the server that has the metadata."""

from __future__ import annotations

import sqlite3
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    insert,
    inspect,
    select,
)
from sqlalchemy.dialects.mysql import MEDIUMTEXT
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, InternalError, OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from pipeline.errors import MetadataError
from pipeline.metadata import redacted

VERSION = 1
FILE = "schedule.db"
_SQLITE = "sqlite://"
_PATIENCE = 30.0
_CREATIONS, _PAUSE = 20, 0.05

metadata = MetaData()
_long = Text().with_variant(MEDIUMTEXT, "mysql")
_number = BigInteger().with_variant(Integer, "sqlite")


def _table(name: str, *columns: Any) -> Table:
    # InnoDB, for transactions; a collation that tells names apart by case, as the other databases do.
    return Table(f"cauce_{name}", metadata, *columns, mysql_engine="InnoDB", mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin")


versions = _table("schedule_version", Column("version", Integer, primary_key=True))

changes = _table(
    "schedule_changes",
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("schedules", BigInteger, nullable=False),
    Column("ticks", BigInteger, nullable=False),
)

schedules = _table(
    "schedules",
    Column("id", _number, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("pipeline", String(200), nullable=False),
    Column("definition", Text, nullable=False),
    Column("config", _long, nullable=False),
    Column("paused", Text),
    Column("created", BigInteger, nullable=False),
)

cursors = _table(
    "schedule_cursors",
    Column("schedule", _number, ForeignKey("cauce_schedules.id"), primary_key=True),
    Column("trigger", String(255), primary_key=True, quote=True),
    Column("cursor", _long, nullable=False, quote=True),
    Column("problem", Text, nullable=False),
)

ticks = _table(
    "schedule_ticks",
    Column("id", _number, primary_key=True),
    Column("schedule", _number, ForeignKey("cauce_schedules.id"), nullable=False),
    Column("key", String(255), nullable=False, quote=True),
    Column("trigger", String(255), nullable=False, quote=True),
    Column("due", BigInteger, nullable=False),
    Column("noticed", BigInteger, nullable=False),
    Column("cause", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("decided", BigInteger, nullable=False),
    Column("ordered", Boolean, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("settings", Text, nullable=False),
    UniqueConstraint("schedule", "key"),
    Index("cauce_schedule_ticks_state", "state"),
    Index("cauce_schedule_ticks_decided", "schedule", "decided"),
)

attempts = _table(
    "schedule_attempts",
    Column("id", _number, primary_key=True),
    Column("tick", _number, ForeignKey("cauce_schedule_ticks.id"), nullable=False),
    Column("schedule", _number, ForeignKey("cauce_schedules.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("run", String(100), nullable=False),
    Column("resumes", Boolean, nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("stop", String(20), nullable=False),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("claimed", BigInteger, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("ended", BigInteger, nullable=False),
    Column("details", _long, nullable=False),
    UniqueConstraint("tick", "number"),
    Index("cauce_schedule_attempts_state", "state"),
)

lease = _table(
    "schedule_lease",
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("holder", String(64), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_started", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("once", Boolean, nullable=False),
    Column("port", Integer, nullable=False),
    Column("places", Integer, nullable=False),
)

notices = _table(
    "schedule_notices",
    Column("id", _number, primary_key=True),
    Column("schedule", _number, ForeignKey("cauce_schedules.id"), nullable=False),
    Column("tick", _number, nullable=False),
    Column("key", String(255), nullable=False, unique=True, quote=True),
    Column("event", String(20), nullable=False),
    Column("target", Integer, nullable=False),
    Column("body", _long, nullable=False),
    Column("state", String(20), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("problem", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("ended", BigInteger, nullable=False),
    Index("cauce_schedule_notices_state", "state"),
)

counts = _table(
    "schedule_counts",
    Column("schedule", _number, ForeignKey("cauce_schedules.id"), primary_key=True),
    Column("state", String(20), primary_key=True),
    Column("count", BigInteger, nullable=False, quote=True),
)


def database_url(metadata_url: str) -> URL:
    """Returns the URL of the scheduler's database for a metadata store's."""
    if metadata_url.startswith(_SQLITE):
        return URL.create("sqlite+pysqlite", database=str(Path(metadata_url.removeprefix(_SQLITE)).parent / FILE))
    url = make_url(metadata_url)
    driver = "mysql+pymysql" if url.get_backend_name() == "mysql" else "postgresql+pg8000"
    host = "127.0.0.1" if driver.startswith("mysql") else "localhost"
    return url.set(drivername=driver, query={}, host=url.host or host)


def database_file(metadata_url: str) -> Path | None:
    """Returns the file of the scheduler's database; None where a server has it."""
    return Path(metadata_url.removeprefix(_SQLITE)).parent / FILE if metadata_url.startswith(_SQLITE) else None


def _connection_arguments(metadata_url: str) -> dict[str, Any]:
    """Returns the driver's arguments; the options of TLS are those that the URL of the metadata store gives ML Metadata."""
    if metadata_url.startswith(_SQLITE):
        return {"timeout": _PATIENCE, "check_same_thread": False}
    parts = urlsplit(metadata_url)
    options = dict(parse_qsl(parts.query))
    if parts.scheme == "mysql":
        names = {"ca": "ssl_ca", "cert": "ssl_cert", "key": "ssl_key"}
        return {"charset": "utf8mb4", **{argument: options[name] for name, argument in names.items() if name in options}}
    return {"ssl_context": _tls(options)} if options.get("sslmode", "disable") not in ("disable", "allow", "prefer") else {}


def _tls(options: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.get("sslrootcert") or None)
    context.check_hostname = options["sslmode"] == "verify-full"
    if options["sslmode"] == "require":
        context.verify_mode = ssl.CERT_NONE
    if options.get("sslcert"):
        context.load_cert_chain(options["sslcert"], options.get("sslkey"), options.get("sslpassword"))
    return context


def open_database(metadata_url: str) -> Engine:
    """Opens the scheduler's database, and makes its tables where they are missing.

    Raises:
        MetadataError: If it cannot be opened, or a newer version of cauce has made it.
    """
    url = database_url(metadata_url)
    shown = redacted(metadata_url) if not metadata_url.startswith(_SQLITE) else str(database_file(metadata_url))
    local = url.get_backend_name() == "sqlite"
    try:
        if local:
            Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {} if local else {"isolation_level": "READ COMMITTED", "pool_pre_ping": True}
        engine = create_engine(url, connect_args=_connection_arguments(metadata_url), poolclass=QueuePool, pool_size=4, **options)
        if local:
            event.listen(engine, "connect", _configure)
            event.listen(engine, "begin", _begin)
        _create(engine)
    except (SQLAlchemyError, OSError) as error:
        said = error.orig if isinstance(error, DBAPIError) else error
        raise MetadataError(
            f"The scheduler's database {shown} cannot be opened: {said}", hint="Check CAUCE_ROOT and CAUCE_METADATA, and who may use them."
        ) from error
    _check_version(engine, shown)
    return engine


def _configure(connection: sqlite3.Connection, record: Any) -> None:
    connection.isolation_level = None  # transactions begin where `_begin` says, not at the first write
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -4000")


def _begin(connection: Any) -> None:
    # A transaction that will write takes the lock at once: one that reads first and then writes may be refused, however long it waits.
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("reads") else "BEGIN IMMEDIATE")


def _create(engine: Engine) -> None:
    """Makes the tables; the row of the version comes last, and says that all are there."""
    if inspect(engine).has_table(versions.name):
        with engine.connect() as connection:
            if connection.execute(select(versions.c.version)).first():
                return
    _make_tables(engine)
    for table, row in ((changes, {"id": 1, "schedules": 0, "ticks": 0}), (versions, {"version": VERSION})):
        try:
            with engine.begin() as connection:
                connection.execute(insert(table).values(**row))
        except IntegrityError:
            continue  # another process was faster


def _make_tables(engine: Engine) -> None:
    """Makes those that are missing; again, where another process made one of them between the look and the attempt."""
    for _ in range(_CREATIONS):
        try:
            metadata.create_all(engine)
            return
        except (OperationalError, ProgrammingError, InternalError, IntegrityError):
            time.sleep(_PAUSE)
    metadata.create_all(engine)


def _check_version(engine: Engine, shown: str) -> None:
    with engine.connect() as connection:
        found = max(connection.execute(select(versions.c.version)).scalars())
    if found > VERSION:
        raise MetadataError(
            f"The scheduler's database {shown} has version {found}; this version of cauce knows version {VERSION}.",
            hint="Install a newer cauce, or name another --root.",
        )
