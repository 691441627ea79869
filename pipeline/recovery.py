"""Finds runs whose process is gone, and says so in the store: nothing stays RUNNING after a crash."""

from __future__ import annotations

import socket
import time

from pipeline.metadata import MetadataStore
from pipeline.records import ExecutionState, Run, RunState
from pipeline.storage import Storage

INTERRUPTED = "interrupted: the process of its run is gone (killed, or the machine was switched off)"


def recover(store: MetadataStore, storage: Storage) -> list[Run]:
    """Marks what a vanished process left RUNNING as FAILED, removes its half-written files; returns those runs.

    Only runs of this root folder on this machine are judged: the lock of another machine's run cannot be asked.
    """
    found = []
    for run in store.runs():
        if run.state is RunState.RUNNING and _is_ours(run, storage) and not storage.is_alive(run.id):
            for execution in store.executions_of_run(run.id):
                if execution.state is ExecutionState.RUNNING:
                    storage.discard_unpublished(execution.pipeline, execution.node, execution.id)
                    store.publish(execution.id, ExecutionState.FAILED, {"error": INTERRUPTED, "error_type": "Interrupted"})
            store.update_run(run.id, {"state": RunState.INTERRUPTED.value, "reason": INTERRUPTED, "ended": int(time.time() * 1000)})
            found.append(run)
    return found


def _is_ours(run: Run, storage: Storage) -> bool:
    return run.properties.get("root") == str(storage.root) and run.properties.get("host") == socket.gethostname()
