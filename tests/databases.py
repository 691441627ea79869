"""Real database servers for the tests, started on loopback where they are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "se/cr@t:1"
_POSTGRESQL = "/usr/lib/postgresql/*/bin"
QUOTED_PASSWORD = "se%2Fcr%40t%3A1"


@contextmanager
def postgresql() -> Iterator[str]:
    """Runs PostgreSQL as long as the block lasts; gives the URL of an empty database."""
    programs = _programs("initdb", "postgres", "createdb", folders=_POSTGRESQL)
    with _folder("postgres", "nobody") as (folder, user):
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        data, port = folder / "data", _free_port()
        options = ["--auth=scram-sha-256", f"--pwfile={secret}", "--username=cauce", "--no-sync", "--no-locale", "--encoding=UTF8"]
        _finish([programs["initdb"], f"--pgdata={data}", *options], user)
        settings = ["fsync=off", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", f"port={port}"]
        with _server([programs["postgres"], "-D", str(data), *(f"--{setting}" for setting in settings)], user, port, signal.SIGQUIT):
            environment = {**os.environ, "PGPASSWORD": PASSWORD, "PGCONNECT_TIMEOUT": "30"}
            _finish([programs["createdb"], "--host=127.0.0.1", f"--port={port}", "--username=cauce", "cauce"], user, environment)
            yield f"postgresql://cauce:{QUOTED_PASSWORD}@127.0.0.1:{port}/cauce"


def end_connections(url: str) -> None:
    """Ends all connections to a PostgreSQL database, as a restart or a firewall would."""
    program = _programs("psql", folders=_POSTGRESQL)["psql"]
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    _finish([program, url, "--command", f"SELECT pg_terminate_backend(pid) {others}"], None)


@contextmanager
def mariadb() -> Iterator[str]:
    """Runs MariaDB as long as the block lasts; gives the URL of an empty database."""
    programs = _programs("mariadb-install-db", "mariadbd", "mariadb", folders="/usr/sbin")
    with _folder("mysql", "nobody") as (folder, user):
        data, port, place = folder / "data", _free_port(), folder / "socket"
        _finish([programs["mariadb-install-db"], "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"], user)
        server = [
            programs["mariadbd"],
            "--no-defaults",
            f"--datadir={data}",
            f"--port={port}",
            f"--socket={place}",
            "--bind-address=127.0.0.1",
        ]
        with _server(server, user, port, signal.SIGKILL):
            statements = f"CREATE DATABASE cauce; GRANT ALL ON cauce.* TO 'cauce'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'"
            _finish([programs["mariadb"], "--no-defaults", f"--socket={place}", "--user=root", f"--execute={statements}"], user)
            yield f"mysql://cauce:{QUOTED_PASSWORD}@127.0.0.1:{port}/cauce"


def _programs(*names: str, folders: str) -> dict[str, str]:
    path = os.pathsep.join([os.environ.get("PATH", ""), *sorted(map(str, Path("/").glob(folders.lstrip("/"))))])
    found = {name: shutil.which(name, path=path) for name in names}
    missing = [name for name, program in found.items() if program is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    return {name: program for name, program in found.items() if program is not None}


@contextmanager
def _folder(*accounts: str) -> Iterator[tuple[Path, str | None]]:
    """Gives a folder, and the first account that exists of those that the server may run as: servers refuse to run as root."""
    known = {entry.pw_name for entry in pwd.getpwall()}
    user = next((account for account in accounts if account in known), "") if os.geteuid() == 0 else None
    if user == "":
        pytest.skip(f"the tests run as root, and there is no account for the server: {', '.join(accounts)}")
    folder = Path(tempfile.mkdtemp(prefix="cauce-"))
    if user is not None:
        shutil.chown(folder, user)
    try:
        yield folder, user
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _finish(command: Sequence[str], user: str | None, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, user=user, env=environment, cwd="/", capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.fail(f"{Path(command[0]).name} failed: {done.stdout}{done.stderr}")


@contextmanager
def _server(command: Sequence[str], user: str | None, port: int, stop: signal.Signals) -> Iterator[None]:
    process = subprocess.Popen(command, user=user, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{Path(command[0]).name} does not answer on port {port}; status: {process.poll()}")
            time.sleep(0.02)
        yield
    finally:
        process.send_signal(stop)
        process.wait(30)
