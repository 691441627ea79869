"""The transform of all rows: each shard of an input split becomes one shard of the transformed split.

A local run transforms the shards in this process; any other runner gets them as the elements of a Beam pipeline.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.example_encoder import encode_batch
from components.records import SplitWriter, shard_name
from components.transform.analysis import TRANSFORM_FN
from components.transform.tensors import Tensors, arrow_converter, batches, feature_spec
from pipeline.beam import LOCAL_RUNNERS, runner_name
from pipeline.context import Context
from pipeline.errors import UserCodeError

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_transform as tft


def _ignore(rows: int) -> None:
    """The sink of progress where nobody looks."""


@dataclass(frozen=True)
class ShardJob:
    """One shard to transform.

    Attributes:
        source: The file to read.
        folder: The folder of the transformed split.
        index: Number of the shard in its split.
        count: Number of shards of the split.
        result: The file that gets the counts, for who is not in the process that transforms.
    """

    source: str
    folder: str
    index: int
    count: int
    result: str


@dataclass(frozen=True)
class Written:
    """How much was written.

    Attributes:
        rows: Records.
        bytes: Bytes of the TFRecord data before compression.
    """

    rows: int
    bytes: int

    def __add__(self, other: Written) -> Written:
        return Written(self.rows + other.rows, self.bytes + other.bytes)


class TransformGraphReader:
    """The saved transform as a function of serialized examples, loaded once per process."""

    def __init__(self, path: Path) -> None:
        import tensorflow as tf
        import tensorflow_transform as tft

        self.path = path
        self.output: tft.TFTransformOutput = tft.TFTransformOutput(str(path))
        self.spec = feature_spec(self.output.raw_metadata.schema)
        self.saved_model = tf.saved_model.load(str(path / TRANSFORM_FN))
        self.transformed_schema = self.output.transformed_metadata.schema
        signature = [tf.TensorSpec([None], tf.string, name="examples")]
        self._function = tf.function(self.transform_examples, input_signature=signature, autograph=False)

    def transform_examples(self, examples: tf.Tensor) -> Tensors:
        """Returns the transformed features of serialized raw examples; builds a graph where it is called in one."""
        import tensorflow as tf

        return dict(self.saved_model.transform_fn(tf.io.parse_example(examples, self.spec)))

    def __call__(self, examples: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """Returns the number of examples and the transformed features."""
        import tensorflow as tf

        return tf.size(examples), self._function(examples)


@functools.lru_cache(maxsize=1)
def load_transform(path: Path) -> TransformGraphReader:
    """Returns the transform graph below `path`; the same one is loaded once."""
    return TransformGraphReader(path)


def transform_shard(job: ShardJob, *, graph: str, batch_rows: int, on_rows: Callable[[int], None] = _ignore) -> Written:
    """Transforms one shard.

    The shard is written under a temporary name and then renamed, so that a repeated or an interrupted call does no harm.

    Raises:
        DataError: If the file is damaged, or a record does not fit the schema.
        UserCodeError: If the transform returns another number of rows than it gets.
    """
    transform = load_transform(Path(graph))
    converter = arrow_converter(transform.transformed_schema)
    schema = transform.transformed_schema.SerializeToString(deterministic=True)
    folder = Path(job.folder)
    with SplitWriter(folder / f".shard-{job.index:05d}", shards=1) as writer:
        for rows, tensors in batches([job.source], batch_rows, transform):
            batch = converter.convert(tensors)
            if batch.num_rows != int(rows):
                raise UserCodeError(
                    f"preprocessing_fn makes {batch.num_rows} rows of {int(rows)} ({job.source}). Expected one row for each row.",
                    hint="Leave rows out in ExampleGen, or with a weight of zero; analyzers may look at fewer rows.",
                )
            writer.write(encode_batch(batch, schema))
            on_rows(int(rows))
    part = folder / f".shard-{job.index:05d}"
    (part / shard_name(0, 1)).rename(folder / shard_name(job.index, job.count))
    part.rmdir()
    return Written(writer.rows, writer.bytes)


def apply_transform(context: Context, graph: Path, jobs: dict[str, list[ShardJob]], *, batch_rows: int) -> dict[str, Written]:
    """Transforms the shards of each split and returns how much each split has."""
    for split_jobs in jobs.values():
        Path(split_jobs[0].folder).mkdir(parents=True, exist_ok=True)
    run = functools.partial(transform_shard, graph=str(graph), batch_rows=batch_rows)
    every = [job for split_jobs in jobs.values() for job in split_jobs]
    local = runner_name(context.beam_args) in LOCAL_RUNNERS
    written = _transform_here(context, every, run) if local else _transform_by_beam(context, every, run)
    return {split: sum((written[job] for job in split_jobs), Written(0, 0)) for split, split_jobs in jobs.items()}


def _transform_here(context: Context, jobs: Sequence[ShardJob], run: Callable[..., Written]) -> dict[ShardJob, Written]:
    done = 0

    def on_rows(rows: int) -> None:
        nonlocal done
        done += rows
        context.progress("transforming", rows=done)

    return {job: run(job, on_rows=on_rows) for job in jobs}


def _transform_by_beam(context: Context, jobs: Sequence[ShardJob], run: Callable[..., Written]) -> dict[ShardJob, Written]:
    import apache_beam as beam

    with context.beam() as pipeline:
        shards = pipeline | "Shards to transform" >> beam.Create(list(jobs)) | beam.Reshuffle()
        _ = shards | "Transform" >> beam.Map(functools.partial(_transform_and_report, run=run))
    return {job: Written(**json.loads(Path(job.result).read_text(encoding="utf-8"))) for job in jobs}


def _transform_and_report(job: ShardJob, *, run: Callable[[ShardJob], Written]) -> None:
    written = run(job)
    part = Path(job.result).with_suffix(".part")
    part.write_text(json.dumps({"rows": written.rows, "bytes": written.bytes}), encoding="utf-8")
    part.rename(job.result)
