"""The transform of all rows: each shard of an input split becomes one shard of the transformed split."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.example_encoder import encode_batch
from components.portioned import portion_names
from components.records import SplitWriter, shard_files, shard_name
from components.spreading import map_items, row_counter
from components.transform.analysis import TRANSFORM_FN
from components.transform.analyzer_cache import Dataset, dataset_key, read_cache
from components.transform.tensors import Tensors, arrow_converter, batches, feature_spec
from pipeline.artifacts import Examples, TransformCache
from pipeline.context import Context
from pipeline.errors import DataError, UserCodeError

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_transform as tft


@dataclass(frozen=True)
class ShardJob:
    """One shard to transform: the file to read, and the one to write."""

    source: Path
    target: Path


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

    def only(self, names: Sequence[str]) -> Callable[[tf.Tensor], Tensors]:
        """Returns a function like `transform_examples` that computes some features, and nothing that only others need."""
        import tensorflow as tf
        from tensorflow.python.eager import wrap_function

        function = self.saved_model.transform_fn
        signature = function.structured_input_signature[0][0]
        feeds = function.graph.inputs[: len(tf.nest.flatten(signature, expand_composites=True))]
        outputs = tf.nest.pack_sequence_as(function.structured_outputs, function.graph.outputs, expand_composites=True)
        wanted = {name: outputs[name] for name in names}
        holder = wrap_function.VariableHolder(share_variables=True)
        pruned = wrap_function.WrappedFunction(function.graph, variable_holder=holder).prune(
            feeds, tf.nest.flatten(wanted, expand_composites=True)
        )

        def transform(examples: tf.Tensor) -> Tensors:
            raw = tf.io.parse_example(examples, self.spec)
            flat = pruned(*tf.nest.flatten({name: raw[name] for name in signature}, expand_composites=True))
            return dict(tf.nest.pack_sequence_as(wanted, flat, expand_composites=True))

        return transform

    def __call__(self, examples: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """Returns the number of examples and the transformed features."""
        import tensorflow as tf

        return tf.size(examples), self._function(examples)


@functools.lru_cache(maxsize=1)
def load_transform(path: Path) -> TransformGraphReader:
    """Returns the transform graph below `path`; the same one is loaded once."""
    return TransformGraphReader(path)


def transform_shard(job: ShardJob, *, graph: str, batch_rows: int, on_rows: Callable[[int], None] | None) -> Written:
    """Transforms one shard.

    The shard is written under a temporary name and then renamed, so that a repeated or an interrupted call does no harm.

    Raises:
        DataError: If the file is damaged, or a record does not fit the schema.
        UserCodeError: If the transform returns another number of rows than it gets.
    """
    transform = load_transform(Path(graph))
    converter = arrow_converter(transform.transformed_schema)
    schema = transform.transformed_schema.SerializeToString(deterministic=True)
    part = job.target.with_name(f".{job.target.name}.part")
    with SplitWriter(part, shards=1) as writer:
        for rows, tensors in batches([job.source], batch_rows, transform):
            batch = converter.convert(tensors)
            if batch.num_rows != int(rows):
                raise UserCodeError(
                    f"preprocessing_fn makes {batch.num_rows} rows of {int(rows)} ({job.source}). Expected one row for each row.",
                    hint="Leave rows out in ExampleGen, or with a weight of zero; analyzers may look at fewer rows.",
                )
            writer.write(encode_batch(batch, schema))
            if on_rows is not None:
                on_rows(int(rows))
    (part / shard_name(0, 1)).rename(job.target)
    part.rmdir()
    return Written(writer.rows, writer.bytes)


def apply_transform(context: Context, graph: Path, jobs: Mapping[str, Sequence[ShardJob]], *, batch_rows: int) -> dict[str, Written]:
    """Transforms the shards of each split, here or by Beam, and returns how much each split has."""
    every = [job for split_jobs in jobs.values() for job in split_jobs]
    work = functools.partial(transform_shard, graph=str(graph), batch_rows=batch_rows, on_rows=row_counter(context, "transforming"))
    written = dict(zip(every, map_items(context, "transform", work, every), strict=True))
    return {split: sum((written[job] for job in split_jobs), Written(0, 0)) for split, split_jobs in jobs.items()}


def shards_of(examples: Sequence[Examples], splits: Sequence[str]) -> list[Path]:
    """Returns the files of some splits, in order."""
    return [file for artifact in examples for split in splits for file in shard_files(artifact.split_path(split))]


def datasets_of(examples: Sequence[Examples], caches: Sequence[TransformCache], splits: Sequence[str]) -> tuple[Dataset, ...]:
    """Returns the rows to analyze by artifact, each with its analyzer cache; none where none is kept."""
    named = zip(portion_names(examples), examples, caches, strict=False)
    return tuple(
        Dataset(dataset_key(number, name), tuple(shards_of([one], splits)), cache.path, cache.id is not None)
        for number, (name, one, cache) in enumerate(named)
    )


def describe_caches(datasets: Sequence[Dataset], caches: Sequence[TransformCache]) -> None:
    """Writes the summary of each new analyzer cache."""
    for dataset, cache in zip(datasets, caches, strict=True):
        if not dataset.is_done:
            entries = read_cache(dataset.folder)
            cache.write_summary({"analyzers": len(entries), "bytes": sum(len(item) for items in entries.values() for item in items)})


def check_rows(examples: Sequence[Examples], splits: Sequence[str]) -> None:
    """Checks that some splits have a row.

    Raises:
        DataError: If they have none.
    """
    counts = [artifact.record_counts.get(split) for artifact in examples for split in splits]
    if not any(count is None or count > 0 for count in counts):
        raise DataError(f"There are no rows to analyze: {', '.join(splits)} of {examples[0].name or examples[0].path} is empty.")


def materialize_splits(
    context: Context, examples: Sequence[Examples], graph: Path, output: Examples, splits: tuple[str, ...], *, batch_rows: int
) -> None:
    """Transforms some splits of some examples into `output`, with all that is recorded of it."""
    output.set_splits(splits)
    jobs = {split: _jobs(shards_of(examples, (split,)), output.split_path(split)) for split in splits}
    written = apply_transform(context, graph, jobs, batch_rows=batch_rows)
    rows = {split: counts.rows for split, counts in written.items()}
    for name in ("span", "version"):
        values = [int(artifact.properties[name]) for artifact in examples if name in artifact.properties]
        if values:
            output.properties[name] = max(values)
    output.properties |= {"transformed": 1, "file_format": "tfrecords_gzip", "payload_format": "FORMAT_TF_EXAMPLE"}
    output.set_record_counts(rows)
    output.write_summary({"splits": {split: {"rows": counts.rows, "bytes": counts.bytes} for split, counts in written.items()}})
    context.count_rows(_rows_in(examples, splits, rows), rows)


def _rows_in(examples: Sequence[Examples], splits: tuple[str, ...], written: Mapping[str, int]) -> int:
    """Returns the rows that the producers of the examples counted, or those that were read where they counted none."""
    total = 0
    for split in splits:
        counts = [artifact.record_counts.get(split) for artifact in examples]
        total += written[split] if None in counts else sum(count for count in counts if count is not None)
    return total


def _jobs(shards: Sequence[Path], folder: Path) -> list[ShardJob]:
    return [ShardJob(shard, folder / shard_name(index, len(shards))) for index, shard in enumerate(shards)]
