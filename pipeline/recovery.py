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
        if run.state is RunState.RUNNING and _is_ours(run, storage):
            try:
                with storage.vacant(run.id) as vacant:
                    # Asked again under the lock: the run may have ended since it was listed.
                    if vacant and store.run(run.id).state is RunState.RUNNING:
                        end_run(store, storage, run.id, RunState.INTERRUPTED, INTERRUPTED)
                        found.append(run)
            except PermissionError:
                continue  # another user's run
    return found


def end_run(store: MetadataStore, storage: Storage, run: str, state: RunState, reason: str) -> None:
    """Records how a run ended that cannot do it itself any more, and removes what its executions left unfinished."""
    for execution in store.executions_of_run(run):
        if execution.state is ExecutionState.RUNNING:
            storage.discard_unpublished(execution.pipeline, execution.node, run, execution.id)
            store.publish(execution.id, ExecutionState.FAILED, {"error": reason, "error_type": "Interrupted"})
        else:
            storage.discard(run, execution.id)
            if execution.state.succeeded:
                storage.remove(storage.state(run, execution.node, execution.key))
    storage.empty_trash()
    store.update_run(run, {"state": state.value, "reason": reason, "ended": int(time.time() * 1000)})


def _is_ours(run: Run, storage: Storage) -> bool:
    return run.properties.get("root") == str(storage.root) and run.properties.get("host") == socket.gethostname()
