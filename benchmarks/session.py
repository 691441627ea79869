"""The measured runs, each made once and only if a row of the table needs it."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import Command, Measurement, clean_environment, measure
from peer.install import install
from trips import empty_folder, span_data, taxi_data

HERE = Path(__file__).resolve().parent
WORK = HERE.parent / ".bench"
TIMES = 100
SPANS = 30
SPAN_TIMES = 10
"""How often the 15,002 trips are repeated in each span."""
_CACHED_AT_MOST = 0.5
"""Seconds; a component of TFX that took longer was not cached, or did very little."""
_WARM_UP = "import tensorflow_transform, tensorflow_data_validation, tensorflow_model_analysis"


@dataclass(frozen=True)
class PipelineRun:
    """One run of a pipeline: what its process took, the seconds of its nodes, and which of them did their work."""

    whole: Measurement
    nodes: dict[str, float]
    worked: frozenset[str]


@dataclass(frozen=True)
class Repetition:
    """The runs of one side on one data set: nothing cached, run again, and everything cached.

    TFX evaluates once more in its second run, because by then there is a blessed model to compare with; only its third finds
    everything in the cache. `cached` is that third run for TFX, and the second run for cauce.
    """

    cold: PipelineRun
    cached: PipelineRun | None = None


class Session:
    """One sitting at one machine.

    Args:
        repetitions: How often short runs are repeated.
        say: Called with a line before each run.
    """

    def __init__(self, repetitions: int, say: Callable[[str], None]) -> None:
        self.repetitions = repetitions
        self._say = say
        self.cauce = _command()

    @functools.cached_property
    def small(self) -> tuple[list[Repetition], list[Repetition]]:
        """TFX's and cauce's repetitions on the data as they are, one after the other in turn."""
        pairs = [(self._peer(1, number), self._ours(1, number)) for number in range(1, self.repetitions + 1)]
        return [peer for peer, _ in pairs], [ours for _, ours in pairs]

    @functools.cached_property
    def large(self) -> tuple[Repetition, Repetition]:
        """TFX's and cauce's run on the repeated data, once each."""
        return self._peer(TIMES, 1), self._ours(TIMES, 1)

    @functools.cached_property
    def ingestion(self) -> list[PipelineRun]:
        """Runs of cauce that only ingest the repeated data."""
        roots = [empty_folder(WORK / "ours" / f"ingest-{number}") for number in range(1, self.repetitions + 1)]
        return [self._run_taxi(TIMES, root, "--to", "CsvExampleGen") for root in roots]

    @functools.cached_property
    def spans(self) -> tuple[list[float], list[float]]:
        """The seconds of runs that move a full window by one span, and of runs that do all of the moved window at once."""
        data = span_data(HERE.parent / "data" / "taxi" / "span-1" / "trips.csv", WORK / "data", spans=SPANS + 1, times=SPAN_TIMES)
        moved, whole = empty_folder(WORK / "ours" / "spans-moved"), empty_folder(WORK / "ours" / "spans-whole")
        everything = {"ImportSchema", "CsvExampleGen", "StatisticsGen", "Transform"}
        self._run_spans(data, moved, f"--span={SPANS}", worked=everything)
        runs = [self._run_spans(data, moved, worked=everything - {"ImportSchema"})]
        return runs, [self._run_spans(data, whole, worked=everything)]

    def _run_spans(self, data: Path, root: Path, *options: str, worked: set[str]) -> float:
        self._say(f"cauce: a window of {SPANS} spans {' '.join(options)}".rstrip())
        setting = f"CsvExampleGen.input={data}/span-{{SPAN}}/*.csv"
        command: Command = [self.cauce, "run", HERE / "spans", "--root", root, "--set", setting, *options]
        seconds = measure(command, log=root.with_suffix(".log")).seconds
        if _worked(self._nodes(root)) != worked:
            raise SystemExit(f"Other nodes did their work than {', '.join(sorted(worked))}. See {root.with_suffix('.log')}.")
        return seconds

    def chain(self, nodes: int) -> list[float]:
        """Returns the seconds of whole runs of a chain of nodes that do nothing."""
        self._say(f"cauce: a chain of {nodes}")
        runs = []
        for number in range(self.repetitions + 2):
            root = empty_folder(WORK / "ours" / f"chain-{number}")
            command: Command = [self.cauce, "run", HERE / "chain", "--root", root]
            runs.append(measure(command, log=WORK / "chain.log", environment={"BENCH_NODES": str(nodes)}).seconds)
            self._check_worked(root, nodes)
        return runs

    def command(self, *arguments: str, root: Path | None = None) -> list[float]:
        """Returns the seconds of a short command; the first, which fills the disk cache, is left out."""
        self._say(f"cauce {' '.join(arguments)}")
        environment = {"CAUCE_ROOT": str(root)} if root else {}
        command: Command = [self.cauce, *arguments]
        return [measure(command, log=WORK / "command.log", environment=environment).seconds for _ in range(4 * self.repetitions)][1:]

    @functools.cached_property
    def store(self) -> Path:
        """A root folder whose store holds 10,000 executions, written anew."""
        self._say("a store of 10,000 executions")
        root = empty_folder(WORK / "store")
        measure([sys.executable, HERE / "store.py", root], log=WORK / "store.log", environment={"PYTHONPATH": str(HERE.parent)})
        return root

    @functools.cached_property
    def _peer_python(self) -> Path:
        """The interpreter of TFX. Both sides import their libraries once, so that neither first run pays for a cold disk."""
        python = install()
        self._say("imports of both sides, not counted")
        for interpreter in (python, Path(sys.executable)):
            measure([interpreter, "-c", _WARM_UP], log=WORK / "warm-up.log")
        return python

    @functools.cached_property
    def _trips(self) -> Path:
        """The data that TFX's example ships with."""
        return next(self._peer_python.parents[1].glob("lib/*/site-packages/tfx/examples/chicago_taxi_pipeline/data/simple/data.csv"))

    def _peer(self, times: int, number: int) -> Repetition:
        root = empty_folder(WORK / "peer" / f"taxi-{times}-{number}")
        runs = [self._run_peer(times, root, attempt) for attempt in range(1, 4 if times == 1 else 2)]
        _check_pushed(root)
        if len(runs) > 1 and runs[-1].worked:
            raise SystemExit(
                f"TFX ran again what should have been cached: {', '.join(sorted(runs[-1].worked))}. See {root.with_suffix('.log')}."
            )
        shutil.rmtree(root)
        return Repetition(runs[0], runs[-1] if len(runs) > 1 else None)

    def _run_peer(self, times: int, root: Path, attempt: int) -> PipelineRun:
        self._say(f"TFX: taxi x {times}, run {attempt}")
        report = root / "report.json"
        data = taxi_data(self._trips, WORK / "data", times=times)
        script = HERE / "peer" / "run_taxi.py"
        command: Command = [self._peer_python, script, "--data", data, "--root", root, "--report", report]
        whole = measure(command, log=root.with_suffix(".log"), memory=attempt == 1, environment={"TF_USE_LEGACY_KERAS": "1"})
        seconds = json.loads(report.read_text(encoding="utf-8"))["components"]
        return PipelineRun(whole, seconds, frozenset(name for name, taken in seconds.items() if taken > _CACHED_AT_MOST))

    def _ours(self, times: int, number: int) -> Repetition:
        root = empty_folder(WORK / "ours" / f"taxi-{times}-{number}")
        cold = self._run_taxi(times, root)
        self._check_worked(root, len(cold.nodes) - 1)  # all but the resolver
        _check_pushed(root)
        return Repetition(cold, self._run_taxi(times, root, memory=False) if times == 1 else None)

    def _run_taxi(self, times: int, root: Path, *options: str, memory: bool = True) -> PipelineRun:
        self._say(f"cauce: taxi x {times} {' '.join(options)}".rstrip())
        data = taxi_data(self._trips, WORK / "data", times=times)
        settings = ("--set", f"CsvExampleGen.input={data}/*.csv", "--set", f"Pusher.destination={root / 'serving'}")
        command: Command = [self.cauce, "run", HERE / "taxi", "--root", root, *settings, *options]
        whole = measure(command, log=root.with_suffix(".log"), memory=memory)
        nodes = self._nodes(root)
        return PipelineRun(whole, {node["id"]: float(node["seconds"]) for node in nodes}, _worked(nodes))

    def _nodes(self, root: Path) -> list[dict[str, Any]]:
        """Returns what cauce says of the nodes of its latest run."""
        command: Command = [self.cauce, "runs", "show", "latest", "--json"]
        environment = {**clean_environment(os.environ), "CAUCE_ROOT": str(root)}
        shown = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return list(json.loads(shown.stdout)["nodes"])

    def _check_worked(self, root: Path, expected: int) -> None:
        """Makes sure that as many nodes of a first run did their work: a cached one would flatter the time."""
        worked = _worked(self._nodes(root))
        if len(worked) != expected:
            raise SystemExit(
                f"{len(worked)} nodes did their work instead of {expected}, so the time means nothing: {', '.join(sorted(worked))}"
            )


def _worked(nodes: list[dict[str, Any]]) -> frozenset[str]:
    return frozenset(node["id"] for node in nodes if node["state"] == "done")


def _check_pushed(root: Path) -> None:
    """Makes sure that a pipeline did all of its work: only a blessed model is pushed."""
    if next((root / "serving").rglob("saved_model.pb"), None) is None:
        raise SystemExit(f"No model was pushed to {root / 'serving'}, so its times mean nothing. See {root.with_suffix('.log')}.")


def _command() -> Path:
    found = shutil.which("cauce", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if found is None:
        raise SystemExit(f"There is no command 'cauce' beside {sys.executable}. Install it first: pip install -e . (or use: make bench)")
    return Path(found)
