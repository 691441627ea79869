"""Measures one command: wall time, processor time, and the peak memory of all its processes together."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import psutil

Command = Sequence[str | Path]
_INTERVAL = 0.2


@dataclass(frozen=True)
class Measurement:
    """What one command took.

    Attributes:
        seconds: Wall time from the start of the process to its end.
        cpu_seconds: Processor time of the process and all its children.
        peak_bytes: The most memory that all processes held together, pages that they share counted once; 0 if not sampled.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int


class MemorySampler:
    """Samples the memory of a process and its descendants five times a second, until it is left.

    The proportional set size (PSS) counts a page that `n` processes share as `1/n` in each, so the sum over forked processes is
    right. Reading it is slow for large processes, so it is read only when the cheap resident size, which is never less, allows
    a new peak.
    """

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._process = psutil.Process(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> MemorySampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(_INTERVAL):
            try:
                processes = [self._process, *self._process.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            if sum(_memory(process, exact=False) for process in processes) > self.peak:
                self.peak = max(self.peak, sum(_memory(process, exact=True) for process in processes))


def _memory(process: psutil.Process, *, exact: bool) -> int:
    try:
        return int(process.memory_full_info().pss if exact else process.memory_info().rss)
    except psutil.Error:
        return 0  # it has ended since it was listed


def measure(command: Command, *, log: Path, memory: bool = False, environment: Mapping[str, str] | None = None) -> Measurement:
    """Runs a command to its end.

    Args:
        command: Program and arguments.
        log: File for its output.
        memory: Whether to sample its memory, which costs about a percent of time.
        environment: Variables to set, besides the common ones (see `clean_environment`).

    Raises:
        SystemExit: If it fails, with the end of its output.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    variables = {**clean_environment(os.environ), **(environment or {})}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=variables)
        sampler = MemorySampler(process.pid)
        with sampler if memory else nullcontext():
            status = process.wait()
            seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if status != 0:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
        raise SystemExit(f"{' '.join(map(str, command))}\nended with {status}. The end of {log}:\n{tail}")
    return Measurement(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, sampler.peak)


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment without what could change either side: settings of cauce, import paths, GPUs, log noise."""
    kept = {name: value for name, value in environment.items() if not name.startswith("CAUCE_") and name != "PYTHONPATH"}
    return {**kept, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
