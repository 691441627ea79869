"""Makes a metadata store of many executions, through the engine's own metadata module.

    python benchmarks/store.py ROOT

Each run is a chain in which every node takes the artifact of the one before, as in a pipeline that ran every hour for weeks.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.artifacts import Artifact, ArtifactState, Examples
from pipeline.metadata import MetadataStore
from pipeline.records import ExecutionState, RunState

RUNS, NODES = 1_000, 10
_FIRST = 1_700_000_000_000
_HOUR = 3_600_000


def make_store(root: Path) -> None:
    """Writes `RUNS` runs of `NODES` executions into `metadata.db` below `root`."""
    store = MetadataStore(f"sqlite://{root.resolve() / 'metadata.db'}")
    for number in range(RUNS):
        started = _FIRST + number * _HOUR
        run = f"run-{number:06d}"
        store.begin_run("hourly", run, {"started": started})
        artifact: Artifact | None = None
        for position in range(NODES):
            artifact = _execute(store, root, run, f"Node{position}", artifact)
        store.update_run(run, {"state": RunState.DONE.value, "ended": started + 60_000, "reason": "all nodes are done"})


def _execute(store: MetadataStore, root: Path, run: str, node: str, previous: Artifact | None) -> Artifact:
    inputs = {"examples": [previous]} if previous else {}
    execution = store.register("hourly", run, node, f"benchmarks.{node}", {"reasons": '["never run before"]'}, inputs)
    output = Examples(root / node / str(execution), {"span": 0, "split_names": '["train", "eval"]'})
    output.name, output.producer = f"hourly/{run}/{node}/examples/{execution}", node
    output.digest, output.size, output.state = f"{execution:064x}", 1_000_000, ArtifactState.LIVE
    timing = {"seconds": 1.5, "peak_memory": 300_000_000}
    store.publish(execution, ExecutionState.COMPLETE, timing, {"examples": [output]}, cache_key=f"{execution:064x}")
    return output


if __name__ == "__main__":
    make_store(Path(sys.argv[1]))
