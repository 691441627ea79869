"""The worker server: a process that imports the heavy libraries once and forks a process for each executor.

It is started with a socket as its only argument. Between requests it imports the modules that later nodes will need, one at a
time, so that the first nodes work while TensorFlow is still being loaded. It never runs user code itself.

Requests: `("warm", modules)`; `("fork", number, modules)` followed by the descriptor of the child's socket.
Answers: `("forked", number, pid)`, `("exited", number, status)`, status as `subprocess` gives it.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import shutil
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections import deque
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import recv_handle
from pathlib import Path
from typing import Any, NoReturn

from pipeline.errors import CauceError, ExecutionError
from pipeline.executor import Job, Result, execute, log_process_to, peak_memory
from pipeline.usercode import load_module


class _Terminated(BaseException):
    """A child was asked to end; no error boundary may catch it."""


class WorkerServer:
    """The loop of the server.

    Args:
        connection: To the process of the run; the server ends when it is closed.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pending: deque[str] = deque()
        self._children: dict[int, int] = {}
        self._wake_up, wake = socket.socketpair()
        self._wake_up.setblocking(False)
        wake.setblocking(False)
        self._wake = wake
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno())

    def serve(self) -> None:
        """Serves until the connection is closed."""
        while True:
            ready = wait([self._connection, self._wake_up], 0 if self._pending else None)
            if self._wake_up in ready:
                self._wake_up.recv(4096)
                self._reap()
            if self._connection in ready:
                try:
                    self._handle(self._connection.recv())
                except EOFError:
                    return
            elif self._pending:
                _import(self._pending.popleft())

    def _handle(self, request: tuple[Any, ...]) -> None:
        if request[0] == "warm":
            self._pending.extend(name for name in request[1] if name not in sys.modules)
            return
        _, number, modules = request
        descriptor = recv_handle(self._connection)
        for name in modules:
            _import(name)
        gc.freeze()
        pid = os.fork()
        if pid == 0:
            self._become_child(descriptor)
        os.close(descriptor)
        self._children[pid] = number
        self._connection.send(("forked", number, pid))

    def _become_child(self, descriptor: int) -> None:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            self._connection.close()
            self._wake_up.close()
            self._wake.close()
            run_child(Connection(descriptor))
            status = 0
        except _Terminated:
            status = 128 + signal.SIGTERM
        except BaseException:  # noqa: BLE001 - the last frame of a child
            traceback.print_exc()
        finally:
            _leave(status)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            number = self._children.pop(pid, None)
            if number is not None:
                self._connection.send(("exited", number, os.waitstatus_to_exitcode(status)))


def _leave(status: int) -> NoReturn:
    """Ends a child, in whatever state it is; it must not go on as a second server."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def run_child(connection: Connection) -> None:
    """Receives a job, does it, and sends progress and result."""
    log, temporary, paths, modules = pickle.loads(connection.recv_bytes())
    os.environ["TMPDIR"] = tempfile.tempdir = temporary
    sys.path.extend(path for path in paths if path not in sys.path)
    lock = threading.Lock()

    def send(message: tuple[str, object]) -> None:
        with lock:
            connection.send(message)

    signal.signal(signal.SIGTERM, _terminate)
    threading.Thread(target=_die_with_parent, args=(connection.fileno(), temporary), daemon=True).start()
    try:
        log_process_to(Path(log))
        for name, file in modules:
            load_module(name, Path(file))
        job: Job = pickle.loads(connection.recv_bytes())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - goes to the run as the job's error
        traceback.print_exc()
        failure = error if isinstance(error, CauceError) else ExecutionError(f"The job cannot be loaded: {type(error).__name__}: {error}")
        send(("result", Result(error=failure)))
        return
    result = replace(execute(job, lambda progress: send(("progress", progress))), peak_memory=peak_memory())
    try:
        pickle.dumps(result)
    except Exception as error:  # noqa: BLE001 - whatever a component has put into it
        traceback.print_exc()
        result = Result(error=ExecutionError(f"Node '{job.context.node}': its verdict, row counts or error cannot be sent: {error}"))
    send(("result", result))


def _terminate(number: int, frame: object) -> None:
    raise _Terminated


def _die_with_parent(descriptor: int, temporary: str) -> None:
    """Ends this process group, so that nobody goes on writing, and its temporary files when the process of the run is gone."""
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLHUP)
    while not any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll()):
        pass
    shutil.rmtree(temporary, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def _import(name: str) -> None:
    """Imports a module; one that fails is left to the child that needs it, where the error belongs to a node."""
    try:
        importlib.import_module(name)
    except (Exception, SystemExit):  # noqa: BLE001
        traceback.print_exc()


def main() -> None:
    """Entry point: `python -m pipeline.worker_server DESCRIPTOR`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    WorkerServer(Connection(int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
