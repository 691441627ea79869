"""Runs the graph as a Beam pipeline on Beam's in-memory runner, in waves.

Nodes that do not depend on one another stand in one wave: a DoFn over their ids, spread over the runner's threads, with the wave
before it as a side input (the barrier). Beam's local runner works on one stage after another, so a DoFn for each node would run
them one at a time. The DoFns hold plain data; the launcher of this process is found by a number.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Iterator, Sequence

from pipeline.component import Component
from pipeline.definition import Pipeline
from pipeline.launcher import Launcher
from pipeline.outcome import NodeState, Outcome
from pipeline.scheduling import Progression


class _Session:
    """What the DoFns of one run share."""

    def __init__(self, pipeline: Pipeline, progression: Progression, launcher: Launcher) -> None:
        self.pipeline = pipeline
        self.progression = progression
        self.launcher = launcher
        self.running = 0
        self.lock = threading.Lock()

    def launch(self, id: str) -> None:
        """Launches a node, or notes why it must not start."""
        node = self.pipeline[id]
        with self.lock:
            refusal = self.progression.refusal(node)
            if refusal:
                self.progression.record(Outcome(id, NodeState.NOT_RUN, (refusal,)))
                return
            self.running += 1
        outcome = self.launcher.launch(node)
        with self.lock:
            self.running -= 1
            self.progression.record(outcome)


_numbers = itertools.count(1)
_sessions: dict[int, _Session] = {}


def launch_in_session(id: str, before: Sequence[str], *, session: int) -> Iterator[str]:
    """The body of the DoFn: launches a node once the wave before it has ended."""
    _sessions[session].launch(id)
    yield id


def waves(nodes: Sequence[Component], selected: frozenset[str]) -> list[list[str]]:
    """Returns the ids of the selected nodes in waves; a node comes one wave after the last that it needs."""
    depth: dict[str, int] = {}
    for node in nodes:
        if node.id in selected:
            depth[node.id] = 1 + max((depth[needed.id] for needed in node.upstream if needed.id in selected), default=-1)
    return [[id for id in depth if depth[id] == level] for level in range(max(depth.values()) + 1)]


def run_on_beam(pipeline: Pipeline, progression: Progression, launcher: Launcher, *, parallel: int) -> None:
    """Runs all nodes of a run as one Beam pipeline.

    Args:
        pipeline: The pipeline.
        progression: Takes the outcome of each node.
        launcher: Launches a node.
        parallel: How many nodes may run at once.
    """
    import apache_beam as beam
    from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    options = PipelineOptions([])
    direct = options.view_as(DirectOptions)
    direct.direct_running_mode, direct.direct_num_workers = "multi_threading", parallel
    number = next(_numbers)
    session = _sessions[number] = _Session(pipeline, progression, launcher)
    try:
        with beam.Pipeline(runner=FnApiRunner(), options=options) as graph:
            before = graph | "start" >> beam.Create([""])
            for index, ids in enumerate(waves(pipeline.nodes, launcher.run.selected)):
                before = (
                    graph
                    | f"wave {index}" >> beam.Create(ids)
                    | f"spread {index}" >> beam.Reshuffle()
                    | f"launch {', '.join(ids)}" >> beam.FlatMap(launch_in_session, beam.pvalue.AsList(before), session=number)
                )
    except KeyboardInterrupt:
        progression.interrupted = True
        launcher.cancel()
        while session.running:
            time.sleep(0.05)
    finally:
        del _sessions[number]
