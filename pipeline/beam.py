"""Beam for executors: one way to open a Beam pipeline, and the one place that knows which runners work.

Apache Beam is imported only when a pipeline is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import DefinitionError

if TYPE_CHECKING:
    import apache_beam

LOCAL_RUNNERS = ("DirectRunner", "FnApiRunner", "direct", "BundleBasedDirectRunner")
_REFUSED = {"DaskRunner": "Beam's Dask runner drops outputs without an error"}


def runner_name(beam_args: Sequence[str]) -> str:
    """Returns the runner that the arguments name; `DirectRunner` if none.

    Raises:
        DefinitionError: If it is a runner that is known to lose data.
    """
    name = "DirectRunner"
    for index, argument in enumerate(beam_args):
        if argument.startswith("--runner="):
            name = argument.partition("=")[2]
        elif argument == "--runner" and index + 1 < len(beam_args):
            name = beam_args[index + 1]
    if name in _REFUSED:
        raise DefinitionError(
            f"--runner={name} is refused: {_REFUSED[name]}.", hint="Use DirectRunner, FlinkRunner, SparkRunner or DataflowRunner."
        )
    return name


@contextmanager
def beam_pipeline(beam_args: Sequence[str], *, temp: Path) -> Iterator[apache_beam.Pipeline]:
    """Opens a Beam pipeline; it has run to its end when the block ends.

    The local runner is Beam's `FnApiRunner` by its own name: the bare `DirectRunner` of newer versions first tries to download
    another runner and serializes the graph twice.
    """
    import apache_beam as beam
    from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

    name = runner_name(beam_args)
    options = PipelineOptions(list(beam_args), temp_location=str(temp), save_main_session=False)
    if name in LOCAL_RUNNERS:
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

        if not options.view_as(DirectOptions).direct_running_mode:
            options.view_as(DirectOptions).direct_running_mode = "in_memory"
        with beam.Pipeline(runner=FnApiRunner(), options=options) as pipeline:
            yield pipeline
        return
    with beam.Pipeline(options=options) as pipeline:
        yield pipeline
