"""The run's side of the worker server: one process per executor, with progress, time-out, and a clear word when it dies."""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from pathlib import Path
from typing import Any

from pipeline.context import Progress
from pipeline.errors import ExecutionError, InterruptedRunError, NodeTimeoutError, ProcessDiedError
from pipeline.executor import Job, Result

_TICK = 0.2
_GRACE = 5.0
_IMPORT = 60.0  # the longest that the server may be busy with one import before it tells how a child has ended


@dataclass
class _Child:
    """A forked process, as far as the server has told of it."""

    pid: int | None = None
    status: int | None = None
    forked: threading.Event = field(default_factory=threading.Event)
    exited: threading.Event = field(default_factory=threading.Event)


class _Server:
    """One process of the worker server, and what it has told of its children.

    Args:
        log: File for what it prints.
        variables: Variables of the environment that it begins with.
    """

    def __init__(self, log: Path, variables: Mapping[str, str]) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._children: dict[int, _Child] = {}
        here, there = socket.socketpair()
        log.parent.mkdir(parents=True, exist_ok=True)
        package_root = str(Path(__file__).resolve().parents[1])
        # The libraries' own chatter at import says nothing about the user's pipeline.
        environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ, **variables}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
        with there, log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pipeline.worker_server", str(there.fileno())],
                pass_fds=[there.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=environment,
            )
        self._connection = Connection(here.detach())
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self._listener.is_alive()

    def request(self, request: tuple[Any, ...], descriptor: int | None = None) -> None:
        """Sends a request, and the descriptor that belongs to it."""
        with self._lock:
            try:
                self._connection.send(request)
                if descriptor is not None:
                    send_handle(self._connection, descriptor, None)
            except OSError as error:
                raise ProcessDiedError("The worker server is gone.", hint=f"What it printed: {self._log}") from error

    def fork(self, needs: list[str]) -> tuple[_Child, Connection]:
        """Asks for a child that has imported `needs`; returns it with the connection to it."""
        here, there = socket.socketpair()
        connection = Connection(here.detach())
        child, number = _Child(), next(self._numbers)
        self._children[number] = child
        try:
            with there:
                self.request(("fork", number, needs), there.fileno())
        except ProcessDiedError:
            connection.close()
            raise
        return child, connection

    def close(self) -> None:
        """Ends it at once: it holds nothing, and an import of a heavy library would be waited for in vain."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        self._connection.close()

    def _listen(self) -> None:
        try:
            while True:
                kind, number, value = self._connection.recv()
                if kind == "forked":
                    self._children[number].pid = value
                    self._children[number].forked.set()
                else:
                    child = self._children.pop(number)
                    child.status = value
                    child.exited.set()
        except (EOFError, OSError):
            for child in self._children.values():
                child.forked.set()
                child.exited.set()


class Workers:
    """Starts the worker server when it is first needed, and again where it has died; runs jobs in its children.

    A job that needs variables of the environment has a server of its own, for libraries read them while they are imported.

    Args:
        log: File for what the server itself prints.
        definitions: Name and file of the modules that hold the definition; a child loads them before its job.
    """

    def __init__(self, log: Path, definitions: Iterable[tuple[str, Path]] = ()) -> None:
        self._log = log
        self._definitions = [(name, str(file)) for name, file in definitions]
        self._lock = threading.Lock()
        self._servers: dict[tuple[tuple[str, str], ...], _Server] = {}
        self._cancelled = threading.Event()

    def warm(self, modules: Iterable[str]) -> None:
        """Asks the server to import modules when it has nothing else to do; starts it where it is not running."""
        self._server({}).request(("warm", list(modules)))

    def cancel(self) -> None:
        """Makes all running jobs stop, and each later one fail at once."""
        self._cancelled.set()

    def close(self) -> None:
        """Ends the servers; their children end with their connections."""
        with self._lock:
            for server in self._servers.values():
                server.close()
            self._servers.clear()

    def _server(self, variables: Mapping[str, str]) -> _Server:
        key = tuple(sorted(variables.items()))
        with self._lock:
            server = self._servers.get(key)
            if server is None or not server.alive:
                if server is not None:
                    server.close()
                server = self._servers[key] = _Server(self._log, variables)
            return server

    def run(
        self,
        job: Job,
        *,
        needs: Iterable[str],
        log: Path,
        timeout: float | None,
        progress: Callable[[Progress], None],
        memory: Callable[[int], None],
        environment: Mapping[str, str] | None = None,
    ) -> Result:
        """Runs a job in a process of its own.

        Args:
            job: The job.
            needs: Modules that the process must have imported.
            log: File for all that it prints.
            timeout: Seconds after which it is stopped, counted from when its process is there.
            progress: Called with each progress.
            memory: Called about twice a second with the bytes that the process holds.
            environment: Variables that the process must begin with.

        Raises:
            ProcessDiedError: If it ends without a result.
            NodeTimeoutError: If it takes too long.
            InterruptedRunError: If `cancel` was called.
        """
        body = _pickled(job)
        with _temporary_folder(job) as folder:
            child, connection = self._server(environment or {}).fork(list(needs))
            with connection:
                try:
                    connection.send_bytes(pickle.dumps((str(log), folder, sys.path, self._definitions)))
                    connection.send_bytes(body)
                    return self._attend(job, child, connection, timeout, progress, memory)
                except (EOFError, BrokenPipeError, ConnectionResetError) as error:
                    child.exited.wait(_IMPORT)
                    raise self._death(job, child, log) from error
                finally:
                    _stop(child, connection)

    def _attend(
        self,
        job: Job,
        child: _Child,
        connection: Connection,
        timeout: float | None,
        progress: Callable[[Progress], None],
        memory: Callable[[int], None],
    ) -> Result:
        began: float | None = None
        looked = 0.0
        while True:
            if connection.poll(_TICK):
                kind, content = connection.recv()
                if kind == "result":
                    result: Result = content
                    return result
                progress(content)
            if self._cancelled.is_set():
                raise InterruptedRunError(f"Node '{job.context.node}' was stopped with the run.", hint="Go on: cauce resume")
            if began is None and child.forked.is_set():
                began = time.monotonic()
            if timeout is not None and began is not None and time.monotonic() - began > timeout:
                raise NodeTimeoutError(f"Node '{job.context.node}' took longer than its timeout of {timeout:g} s, and was stopped.")
            if child.pid is not None and time.monotonic() - looked > 0.5:
                looked = time.monotonic()
                memory(_resident(child.pid))

    def _death(self, job: Job, child: _Child, log: Path) -> ProcessDiedError:
        node = f"Node '{job.context.node}'"
        if child.status is None:
            return ProcessDiedError(
                f"{node}: its process, or the worker server, is gone without a word.", hint=f"What was printed: {log} and {self._log}"
            )
        if child.status < 0:
            name = signal.Signals(-child.status).name
            reason = (
                " (often: the machine is out of memory)" if name == "SIGKILL" else " (a crash in native code)" if name == "SIGSEGV" else ""
            )
            return ProcessDiedError(f"{node}: its process was killed by {name}{reason}.", hint=f"What it printed: {log}")
        return ProcessDiedError(
            f"{node}: its process left with status {child.status} before it was done (os._exit?).", hint=f"What it printed: {log}"
        )


def _temporary_folder(job: Job) -> tempfile.TemporaryDirectory[str]:
    """Makes the folder that is the job's TMPDIR: libraries leave files there, and a schedule that runs for months would fill the disk."""
    try:
        return tempfile.TemporaryDirectory(prefix="cauce-", ignore_cleanup_errors=True)
    except OSError as error:
        raise ExecutionError(
            f"Node '{job.context.node}': there is no place for temporary files: {error}",
            hint="Make room there, or set TMPDIR to another folder.",
        ) from error


def _pickled(job: Job) -> bytes:
    """Returns a job by reference to its class; what has no name that can be imported travels by value."""
    try:
        if job.component.__module__ != "__main__":
            return pickle.dumps(job)
    except (pickle.PicklingError, AttributeError, TypeError):
        pass
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(job))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ExecutionError(
            f"Node '{job.context.node}' cannot be sent to a process of its own: {error}",
            hint="Parameters must be plain data; what the component needs besides, it makes or opens in `execute`.",
        ) from error


def _stop(child: _Child, connection: Connection) -> None:
    """Ends the process group of a child: waits a moment, asks, waits, kills; one that is not forked yet ends with its connection.

    Its end is seen on the connection: the server, which would tell of it too, may be in the middle of a long import.
    """
    if child.pid is None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        if _ended(connection, 0.05 if number is signal.SIGTERM else _GRACE):
            break
        _signal_group(child.pid, number)
    _ended(connection, _GRACE)
    _signal_group(child.pid, signal.SIGKILL)  # what it has started and left behind


def _ended(connection: Connection, seconds: float) -> bool:
    """Waits until the other side is closed; returns whether it is."""
    deadline = time.monotonic() + seconds
    try:
        while connection.poll(max(0.0, deadline - time.monotonic())):
            connection.recv_bytes()
    except (EOFError, OSError):
        return True
    return False


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # the group is gone


def _resident(pid: int) -> int:
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
