"""The metadata store: what is written is read again, by any number of processes, from any of the databases."""

from __future__ import annotations

import multiprocessing
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.artifacts import Artifact, ArtifactState, Examples
from pipeline.errors import MetadataError
from pipeline.metadata import EMPTY, MetadataStore, redacted, sqlite_file
from pipeline.metadata.connection import connection_config
from pipeline.records import EventKind, ExecutionState, RunState
from tests.databases import PASSWORD, QUOTED_PASSWORD, end_connections, mariadb, postgresql
from tests.fakes import Doubler, Numbers, Source
from tests.project import Project


@pytest.fixture(scope="session")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a SQLite store."""
    return f"sqlite://{tmp_path_factory.mktemp('store')}/metadata.db"


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of a PostgreSQL store."""
    with postgresql() as made:
        yield made


@pytest.fixture(scope="session")
def mariadb_url() -> Iterator[str]:
    """The URL of a MariaDB store."""
    with mariadb() as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest) -> str:
    """A store on each database; each test uses pipelines and runs of its own in it."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture
def local(tmp_path: Path) -> MetadataStore:
    """An empty SQLite store."""
    return MetadataStore(f"sqlite://{tmp_path}/metadata.db")


def numbers(folder: Path, name: str, **properties: int | float | str) -> Numbers:
    return Numbers(folder / name, properties=dict(properties), name=name, digest="abc", size=3, state=ArtifactState.LIVE, producer="Source")


def produce(store: MetadataStore, pipeline: str, run: str, *artifacts: Artifact, key: str = "", node: str = "Source") -> int:
    """Records an execution that makes artifacts."""
    execution = store.register(pipeline, run, node, "tests.fakes.Source", {"reasons": '["new"]'}, {})
    store.publish(execution, ExecutionState.COMPLETE, {"seconds": 0.5}, {"numbers": artifacts}, cache_keys=[key] if key else [])
    return execution


def test_execution_with_artifacts_and_events_is_read_as_it_was_written(url: str, tmp_path: Path) -> None:
    store = MetadataStore(url)
    store.begin_run("whole", "whole-1", {"started": 5, "definition": "/p/definition.py"})
    examples = Examples(tmp_path / "examples", properties={"span": 3, "note": "fünf", "rate": 0.5, "big": 2**40}, name="whole/examples")
    execution = store.register("whole", "whole-1", "Source", "a.Source", {"reasons": '["new"]', "rate": 0.25}, {})
    assert store.executions([execution])[0].state is ExecutionState.RUNNING
    store.publish(execution, ExecutionState.COMPLETE, {"seconds": 2.5}, {"numbers": [numbers(tmp_path, "whole/1")], "examples": [examples]})
    consumer = store.register("whole", "whole-1", "Sink", "a.Sink", {}, {"two": store.outputs_of(execution)["numbers"] * 2})

    read = MetadataStore(url)
    (found,) = read.executions([execution])
    assert (found.component, found.state, found.pipeline, found.run, found.node) == (
        "a.Source",
        ExecutionState.COMPLETE,
        "whole",
        "whole-1",
        "Source",
    )
    assert (found.reasons, found.seconds, found.properties["rate"]) == (("new",), 2.5, 0.25)
    outputs = read.outputs_of(execution)
    assert list(outputs) == ["examples", "numbers"]
    (made,) = outputs["examples"]
    assert isinstance(made, Examples)
    assert made.properties == {"span": 3, "note": "fünf", "rate": 0.5, "big": 2**40}
    assert (made.id, made.path, made.name) == (examples.id, tmp_path / "examples", "whole/examples")
    (number,) = outputs["numbers"]
    assert (number.digest, number.size, number.state, number.producer) == ("abc", 3, ArtifactState.LIVE, "Source")
    assert [artifact.id for artifact in read.inputs_of(consumer)["two"]] == [number.id, number.id]
    assert [event.kind for event in read.events_of_artifacts([number.id or 0])] == [EventKind.OUTPUT, EventKind.INPUT, EventKind.INPUT]
    assert read.artifacts_at(str(tmp_path / "examples"))[0].id == made.id


def test_run_keeps_its_properties_when_it_changes_and_when_executions_are_added(url: str, tmp_path: Path) -> None:
    store = MetadataStore(url)
    store.begin_run("kept", "kept-1", {"started": 7, "definition": "/p/definition.py"})
    produce(store, "kept", "kept-1", numbers(tmp_path, "kept/1"))
    store.update_run("kept-1", {"state": "done", "ended": 9})
    store.begin_run("kept", "kept-2", {"started": 8})
    (first, second) = MetadataStore(url).runs("kept")
    assert (first.id, first.state, first.started, first.ended) == ("kept-1", RunState.DONE, 7, 9)
    assert first.properties == {"definition": "/p/definition.py"}
    assert (second.id, second.state) == ("kept-2", RunState.RUNNING)
    assert MetadataStore(url).run("kept-1") == first


def test_run_that_is_taken_up_again_is_the_same_run(url: str) -> None:
    store = MetadataStore(url)
    store.begin_run("again", "again-1", {"started": 7})
    store.update_run("again-1", {"state": "failed"})
    MetadataStore(url).begin_run("again", "again-1", {})
    assert [(run.state, run.started) for run in store.runs("again")] == [(RunState.RUNNING, 7)]


def test_cache_key_names_its_executions_and_a_failed_one_has_none(url: str, tmp_path: Path) -> None:
    store = MetadataStore(url)
    store.begin_run("keyed", "keyed-1", {})
    first = produce(store, "keyed", "keyed-1", numbers(tmp_path, "keyed/1"), key="0a" * 32)
    produce(store, "keyed", "keyed-1", numbers(tmp_path, "keyed/2"), key="0b" * 32)
    failed = store.register("keyed", "keyed-1", "Source", "a.Source", {}, {})
    store.publish(failed, ExecutionState.FAILED, {"error": "no"})
    assert [execution.id for execution in store.executions_by_key("0a" * 32)] == [first]
    assert store.executions_by_key("ff" * 32) == []
    assert len(store.executions_of_node("keyed", "Source")) == 3
    assert [execution.error for execution in store.executions_of_run("keyed-1")] == ["", "", "no"]


def test_same_property_may_be_changed_and_an_artifact_deleted(url: str, tmp_path: Path) -> None:
    store = MetadataStore(url)
    store.begin_run("changed", "changed-1", {})
    execution = produce(store, "changed", "changed-1", numbers(tmp_path, "changed/1", total=6))
    (artifact,) = store.outputs_of(execution)["numbers"]
    artifact.state = ArtifactState.DELETED
    artifact.properties["total"] = 7
    store.update_artifacts([artifact])
    (read,) = MetadataStore(url).artifacts_of_pipeline("changed")
    assert (read.state, read.properties["total"]) == (ArtifactState.DELETED, 7)


def write_many(url: str, folder: Path, writer: str, count: int) -> None:
    store = MetadataStore(url)
    store.begin_run("crowd", f"crowd-{writer}", {"started": 1})
    for number in range(count):
        produce(store, "crowd", f"crowd-{writer}", numbers(folder, f"crowd/{writer}/{number}", total=number), key="cc" * 32)
    store.update_run(f"crowd-{writer}", {"state": "done"})


def test_processes_and_threads_that_write_at_once_lose_nothing(url: str, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=write_many, args=(url, tmp_path, f"process{number}", 8)) for number in range(2)]
    for process in processes:
        process.start()
    threads = [threading.Thread(target=write_many, args=(url, tmp_path, f"thread{number}", 4)) for number in range(2)]
    for thread in threads:
        thread.start()
    for process in processes:
        process.join(60)
    for thread in threads:
        thread.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    store = MetadataStore(url)
    assert {run.id: run.state for run in store.runs("crowd")} == {
        f"crowd-{writer}": RunState.DONE for writer in ("process0", "process1", "thread0", "thread1")
    }
    assert sorted(int(artifact.properties["total"]) for artifact in store.artifacts_of_pipeline("crowd")) == sorted(
        [*range(8)] * 2 + [*range(4)] * 2
    )
    assert len(store.executions_by_key("cc" * 32)) == 24


def test_one_connection_serves_several_threads(local: MetadataStore, tmp_path: Path) -> None:
    local.begin_run("p", "r", {})

    def work(writer: int) -> None:
        for number in range(10):
            produce(local, "p", "r", numbers(tmp_path, f"{writer}/{number}"), node=f"node{writer}")

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(local.executions_of_node("p", f"node{writer}")) for writer in range(3)] == [10, 10, 10]


def test_connection_that_the_server_has_closed_is_made_anew(postgresql_url: str) -> None:
    store = MetadataStore(postgresql_url)
    store.begin_run("closed", "closed-1", {"started": 1})
    end_connections(postgresql_url)
    assert [run.id for run in store.runs("closed")] == ["closed-1"]
    end_connections(postgresql_url)
    store.update_run("closed-1", {"state": "done"})
    assert store.run("closed-1").state is RunState.DONE


def test_server_that_refuses_says_why_and_no_error_shows_the_password(postgresql_url: str, capfd: pytest.CaptureFixture[str]) -> None:
    for wrong, expected in (
        (postgresql_url.removesuffix("/cauce") + "/nothing", 'database "nothing" does not exist'),
        (postgresql_url.replace("cauce:", "nobody:"), 'password authentication failed for user "nobody"'),
        (postgresql_url.replace(QUOTED_PASSWORD, "guess"), 'password authentication failed for user "cauce"'),
        (re.sub(r":\d+/", ":1/", postgresql_url), "ECONNREFUSED"),
    ):
        with pytest.raises(MetadataError, match="cannot be opened: ") as raised:
            MetadataStore(wrong)
        assert expected in str(raised.value)
        assert not any(secret in str(raised.value) for secret in (PASSWORD, QUOTED_PASSWORD, "guess"))
    assert capfd.readouterr() == ("", "")


def test_lock_of_another_program_is_waited_for(tmp_path: Path) -> None:
    store = MetadataStore(f"sqlite://{tmp_path}/metadata.db")
    store.begin_run("p", "r", {})
    other = sqlite3.connect(tmp_path / "metadata.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
    timer.start()
    store.update_run("r", {"state": "done"})
    timer.join()
    other.close()
    assert store.run("r").state is RunState.DONE


def test_reading_writes_nothing_into_the_store(tmp_path: Path) -> None:
    file = tmp_path / "metadata.db"
    MetadataStore(f"sqlite://{file}").begin_run("p", "r", {})
    before = dump(file)
    store = MetadataStore(f"sqlite://{file}")
    assert store.executions_of_run("r") == store.executions_of_node("other", "n") == store.executions_by_key("k") == []
    assert store.artifacts_of_pipeline("other") == store.all_artifacts() == store.all_artifacts("Model") == store.artifacts([4]) == []
    assert store.outputs_of(9) == store.inputs_of(9) == {}
    assert [run.id for run in store.runs()] == ["r"]
    assert dump(file) == before


def dump(file: Path) -> list[str]:
    connection = sqlite3.connect(file)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_empty_store_can_be_read_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = MetadataStore(EMPTY)
    assert (store.runs(), store.all_artifacts(), store.executions_of_run("x")) == ([], [], [])
    assert list(tmp_path.iterdir()) == []


def test_store_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "metadata.db"
    MetadataStore(f"sqlite://{file}").begin_run("p", "r", {})
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE MLMDEnv SET schema_version = schema_version + 1")
    connection.close()
    before = dump(file)
    with pytest.raises(MetadataError) as raised:
        MetadataStore(f"sqlite://{file}")
    assert f"The metadata store sqlite://{file} was written by a newer version of ML Metadata" in str(raised.value)
    assert "Install a newer cauce, or name another store" in str(raised.value)
    assert dump(file) == before


def test_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "metadata.db"
    file.write_text("This is a text.\n" * 500)
    with pytest.raises(MetadataError, match=r"cannot be opened: .*not a database"):
        MetadataStore(f"sqlite://{file}")
    with pytest.raises(MetadataError, match=r"cannot be opened: .*unable to open"):
        MetadataStore(f"sqlite://{tmp_path}")
    with pytest.raises(MetadataError, match=r"cannot be opened: .*Not a directory"):
        MetadataStore(f"sqlite://{file}/below/metadata.db")


def test_path_of_a_sqlite_store_may_hold_any_character(tmp_path: Path) -> None:
    file = tmp_path / "c# 100%?" / "metadata.db"
    MetadataStore(f"sqlite://{file}").begin_run("p", "r", {})
    assert file.is_file()
    assert sqlite_file(f"sqlite://{file}") == file
    assert sqlite_file("postgresql://host/db") is None


def test_server_urls_are_read_in_all_their_parts() -> None:
    config = connection_config(f"postgresql://me:{QUOTED_PASSWORD}@db.example:5433/meta?sslmode=require").postgresql
    assert (config.host, config.port, config.dbname, config.user, config.password) == ("db.example", "5433", "meta", "me", PASSWORD)
    assert (config.ssloption.sslmode, config.skip_db_creation) == ("require", True)
    config = connection_config("mysql://me@db.example/meta?verify_server_cert=true&ca=/ca.pem").mysql
    assert (config.host, config.port, config.database, config.user, config.password) == ("db.example", 3306, "meta", "me", "")
    assert (config.ssl_options.verify_server_cert, config.ssl_options.ca) == (True, "/ca.pem")
    assert connection_config("postgresql://localhost/meta").postgresql.port == "5432"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "oracle://me:secret@host/db",
            "Expected a store URL sqlite:///PATH, postgresql://... or mysql://... Received: oracle://me:***@host/db",
        ),
        ("metadata.db", "Received: metadata.db"),
        ("postgresql://me:sec/ret@host/db", "The port of the store URL postgresql://me:***@host/db is not a number"),
        ("postgresql://me:secret@host/db?sslmod=require", "has the unknown option 'sslmod'. Known: sslmode, sslcert, sslkey"),
    ],
)
def test_wrong_url_is_refused_without_its_password(url: str, expected: str) -> None:
    with pytest.raises(MetadataError) as raised:
        MetadataStore(url)
    assert expected in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "sec/ret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host:1/db", "postgresql://me:***@host:1/db"),
        ("postgresql://me:p@ss:word@host/db", "postgresql://me:***@host/db"),
        ("postgresql://host/db?sslpassword=x&sslmode=y", "postgresql://host/db?sslpassword=***&sslmode=y"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("sqlite:///home/me/metadata.db", "sqlite:///home/me/metadata.db"),
    ],
)
def test_url_is_shown_without_passwords(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_ml_metadata_says_nothing_on_import() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", "import pipeline.metadata"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_whole_run_works_on_each_database_and_its_repetition_finds_nothing_to_do(url: str, project: Project) -> None:
    first = project.run(Doubler(Source()), name="everywhere", metadata=url)
    assert first.states == {"Source": "done", "Doubler": "done"}
    again = project.run(Doubler(Source()), name="everywhere", metadata=url)
    assert again.states == {"Source": "cached", "Doubler": "cached"}
    assert again.result["Doubler"].outputs["doubled"][0].size == first.result["Doubler"].outputs["doubled"][0].size
