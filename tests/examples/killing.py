"""Runs that are killed with `kill -9` while a certain node works."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil

from pipeline.metadata import MetadataStore
from pipeline.records import Execution, ExecutionState
from tests.examples.project import ExampleProject

_SECONDS = 100


def killed_during(project: ExampleProject, node: str, *words: str) -> bool:
    """Types `cauce WORDS` and kills its process, and no other, as soon as a node is RUNNING; returns whether the node was cut short.

    The project must have a store already. The processes of executors have to notice by themselves, and do before this returns.
    """
    store = MetadataStore(f"sqlite://{project.root}/metadata.db")
    known = {execution.id for execution in _executions(store, node)}
    process = psutil.Popen(
        [sys.executable, "-m", "pipeline", *words],
        cwd=project.folder,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + _SECONDS
    while process.poll() is None and not _new(store, node, known):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{node} has not begun within {_SECONDS} s")
    below = process.children(recursive=True) if process.poll() is None else []
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(below, timeout=10)
    if alive:
        raise TimeoutError(f"still alive 10 s after the process of their run: {alive}")
    return any(execution.state is ExecutionState.RUNNING for execution in _new(store, node, known))


def unknown_files(project: ExampleProject) -> set[Path]:
    """Returns folders of published artifacts that the store does not call live, and live ones that are not there."""
    published = set((project.root / "artifacts").glob("*/*/*/*"))
    live = {artifact.path for artifact in MetadataStore(f"sqlite://{project.root}/metadata.db").all_artifacts()}
    return published ^ live


def _executions(store: MetadataStore, node: str) -> list[Execution]:
    runs = store.runs()
    return [execution for execution in store.executions_of_run(runs[-1].id) if execution.node == node] if runs else []


def _new(store: MetadataStore, node: str, known: set[int]) -> list[Execution]:
    return [execution for execution in _executions(store, node) if execution.id not in known]
