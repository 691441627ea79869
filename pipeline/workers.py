"""The run's side of the worker server: one process per executor, with progress, time-out, and a clear word when it dies."""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
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


@dataclass
class _Child:
    """A forked process, as far as the server has told of it."""

    pid: int | None = None
    status: int | None = None
    forked: threading.Event = field(default_factory=threading.Event)
    exited: threading.Event = field(default_factory=threading.Event)


class Workers:
    """Starts the worker server when it is first needed, and runs jobs in its children.

    Args:
        log: File for what the server itself prints.
        definitions: Name and file of the modules that hold the definition; a child loads them before its job.
    """

    def __init__(self, log: Path, definitions: Iterable[tuple[str, Path]] = ()) -> None:
        self._log = log
        self._definitions = [(name, str(file)) for name, file in definitions]
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._children: dict[int, _Child] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._connection: Connection | None = None
        self._cancelled = threading.Event()

    def warm(self, modules: Iterable[str]) -> None:
        """Asks the server to import modules when it has nothing else to do; starts it where it is not running."""
        self._request(("warm", list(modules)))

    def cancel(self) -> None:
        """Makes all running jobs stop, and each later one fail at once."""
        self._cancelled.set()

    def close(self) -> None:
        """Ends the server; its children end with their connections."""
        if self._socket is not None and self._process is not None:
            # A plain close would not wake the thread that listens, and the server would never see the end.
            self._socket.shutdown(socket.SHUT_RDWR)
            self._process.wait()
            self._socket.close()

    def run(
        self,
        job: Job,
        *,
        needs: Iterable[str],
        log: Path,
        timeout: float | None,
        progress: Callable[[Progress], None],
        memory: Callable[[int], None],
    ) -> Result:
        """Runs a job in a process of its own.

        Args:
            job: The job.
            needs: Modules that the process must have imported.
            log: File for all that it prints.
            timeout: Seconds after which it is stopped.
            progress: Called with each progress.
            memory: Called about twice a second with the bytes that the process holds.

        Raises:
            ProcessDiedError: If it ends without a result.
            NodeTimeoutError: If it takes too long.
            InterruptedRunError: If `cancel` was called.
        """
        header = pickle.dumps((str(log), sys.path, self._definitions))
        child, connection = self._fork(list(needs))
        with connection:
            try:
                connection.send_bytes(header)
                connection.send_bytes(_pickled(job))
                return self._attend(job, child, connection, timeout, progress, memory)
            except (EOFError, BrokenPipeError, ConnectionResetError) as error:
                child.exited.wait(_GRACE)
                raise self._death(job, child, log) from error
            finally:
                _stop(child)

    def _attend(
        self,
        job: Job,
        child: _Child,
        connection: Connection,
        timeout: float | None,
        progress: Callable[[Progress], None],
        memory: Callable[[int], None],
    ) -> Result:
        deadline = None if timeout is None else time.monotonic() + timeout
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
            if deadline is not None and time.monotonic() > deadline:
                raise NodeTimeoutError(f"Node '{job.context.node}' took longer than its timeout of {timeout:g} s, and was stopped.")
            if child.pid is not None and time.monotonic() - looked > 0.5:
                looked = time.monotonic()
                memory(_resident(child.pid))

    def _fork(self, needs: list[str]) -> tuple[_Child, Connection]:
        here, there = socket.socketpair()
        child, number = _Child(), next(self._numbers)
        self._children[number] = child
        with there:
            self._request(("fork", number, needs), there.fileno())
        return child, Connection(here.detach())

    def _request(self, request: tuple[Any, ...], descriptor: int | None = None) -> None:
        with self._lock:
            connection = self._connection or self._start()
            try:
                connection.send(request)
                if descriptor is not None:
                    send_handle(connection, descriptor, None)
            except OSError as error:
                raise ExecutionError(f"The worker server is gone. What it printed: {self._log}") from error

    def _start(self) -> Connection:
        here, there = socket.socketpair()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        package_root = str(Path(__file__).resolve().parents[1])
        # The libraries' own chatter at import says nothing about the user's pipeline.
        environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
        with there, self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pipeline.worker_server", str(there.fileno())],
                pass_fds=[there.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=environment,
            )
        self._socket = here
        self._connection = Connection(os.dup(here.fileno()))
        threading.Thread(target=self._listen, args=(self._connection,), daemon=True).start()
        return self._connection

    def _listen(self, connection: Connection) -> None:
        try:
            while True:
                kind, number, value = connection.recv()
                child = self._children[number]
                if kind == "forked":
                    child.pid = value
                    child.forked.set()
                else:
                    child.status = value
                    child.exited.set()
        except (EOFError, OSError):
            connection.close()
            for child in list(self._children.values()):
                child.forked.set()
                child.exited.set()

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


def _pickled(job: Job) -> bytes:
    """Returns a job by reference to its class; what has no name that can be imported travels by value."""
    try:
        return pickle.dumps(job)
    except (pickle.PicklingError, AttributeError, TypeError):
        import cloudpickle

        return bytes(cloudpickle.dumps(job))


def _stop(child: _Child) -> None:
    """Ends the process group of a child: asks, waits, kills."""
    child.forked.wait(_GRACE)
    if child.pid is None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.exited.wait(0.05 if number is signal.SIGTERM else _GRACE):
            break
        _signal_group(child.pid, number)
    child.exited.wait(_GRACE)


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def _resident(pid: int) -> int:
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
