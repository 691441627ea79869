"""Makes a metadata store of 10,000 executions and 50,000 artifacts, through the engine's own metadata module.

    python benchmarks/store.py ROOT

Each run is a chain in which every node takes an artifact of the one before and a schema that all runs share, as in a pipeline that ran
every hour for weeks; each execution records what a real one does: parameters, cache key, code, libraries, measures, verdicts.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pipeline.artifacts import Artifact, ArtifactState, Examples, Model, Property, Schema
from pipeline.cache import CacheKey, KeyPart
from pipeline.metadata import MetadataStore
from pipeline.records import ExecutionState, RunState

RUNS, NODES, OUTPUTS = 1_000, 10, 5
TRAINER, EVALUATOR = "Node8", "Node9"
_FIRST = 1_700_000_000_000
_HOUR = 3_600_000
_MEMORY = Path("/dev/shm")
_LIBRARIES = ("2.16.1", "2.16.2")


def make_store(root: Path) -> None:
    """Writes `RUNS` runs of `NODES` executions with `OUTPUTS` artifacts each into `metadata.db` below `root`.

    It is made in memory where that can be: SQLite waits for the disk at the end of each of its 20,000 transactions.
    """
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        _fill(MetadataStore(f"sqlite://{folder}/metadata.db"), root.resolve())
        shutil.move(f"{folder}/metadata.db", root / "metadata.db")


def _fill(store: MetadataStore, root: Path) -> None:
    dice = random.Random(0)
    schema = _made(Schema, root, "hourly/run-000000/Schema/schema/1", 0)
    store.publish(
        store.register("hourly", "run-000000", "Schema", "benchmarks.Schema", {}, {}), ExecutionState.COMPLETE, {}, {"s": [schema]}
    )
    nodes = json.dumps([f"Node{position}" for position in range(NODES)])
    for number in range(RUNS):
        started = _FIRST + number * _HOUR
        run = f"run-{number:06d}"
        store.begin_run("hourly", run, {"started": started, "nodes": nodes})
        previous: Artifact | None = None
        for position in range(NODES):
            previous = _execute(
                store, root, run, f"Node{position}", {"schema": [schema], **({"model": [previous]} if previous else {})}, dice
            )
        store.update_run(run, {"state": RunState.DONE.value, "ended": started + 60_000, "reason": ""})


def _execute(store: MetadataStore, root: Path, run: str, node: str, inputs: Mapping[str, list[Artifact]], dice: random.Random) -> Artifact:
    execution = store.register("hourly", run, node, f"benchmarks.{node}", _begun(node, dice), inputs)
    kind = Model if node == TRAINER else Examples
    outputs = {f"out{k}": [_made(kind, root, f"hourly/{run}/{node}/out{k}/{execution}", execution * OUTPUTS + k)] for k in range(OUTPUTS)}
    ended: dict[str, Property] = {"seconds": round(dice.expovariate(1 / 30), 3), "peak_memory": dice.randrange(10**9)}
    if node == EVALUATOR:
        auc = round(dice.uniform(0.7, 0.99), 5)
        verdict = "blessed" if auc > 0.8 else "not blessed"
        ended |= {"measures": json.dumps({"auc": auc}), "verdict": verdict, "verdict_reasons": json.dumps([f"auc is {auc}"])}
    store.publish(execution, ExecutionState.COMPLETE, ended, outputs, cache_keys=[f"{execution:064x}"])
    return outputs["out0"][0]


def _begun(node: str, dice: random.Random) -> dict[str, Property]:
    parameters = {"learning_rate": 10 ** dice.uniform(-4, -1), "steps": dice.choice([100, 1000]), **{f"p{k}": k for k in range(10)}}
    code = f"{dice.randrange(20):064x}"
    version = dice.choice(_LIBRARIES)
    parts = [KeyPart("component", "a" * 64, f"benchmarks.{node}"), KeyPart("code features.py", code, code)]
    parts += [KeyPart("library tensorflow", version, version)]
    parts += [KeyPart(f"parameter {name}", f"{dice.getrandbits(256):064x}", repr(value)) for name, value in parameters.items()]
    return {
        "reasons": json.dumps(["features.py changed (line 31)"]),
        "action": "run",
        "parameters": json.dumps(parameters),
        "given": json.dumps(["learning_rate", "steps"]),
        "cache_parts": CacheKey(tuple(parts)).to_json(),
    }


def _made(kind: type[Artifact], root: Path, name: str, number: int) -> Artifact:
    path = root / "artifacts" / name.rpartition("/")[0]
    made = kind(path, {"span": number % 24, "split_names": '["train", "eval"]', "record_counts": '{"train": 9911, "eval": 5091}'})
    made.name, made.producer, made.digest = name, name.split("/")[2], f"{number:064x}"
    made.size, made.files, made.state = 1_000 * (number % 200_000), 3, ArtifactState.LIVE
    return made


if __name__ == "__main__":
    make_store(Path(sys.argv[1]))
