"""The transformed splits as an artifact: which shards there are, and what is recorded of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from components.records import shard_files
from components.transform.apply import ShardJob, apply_transform
from pipeline.artifacts import Examples
from pipeline.context import Context
from pipeline.errors import DataError


def common_splits(examples: Sequence[Examples]) -> tuple[str, ...]:
    """Returns the splits that all artifacts have.

    Raises:
        DataError: If they have different ones.
    """
    names = examples[0].splits
    for other in examples[1:]:
        if set(other.splits) != set(names):
            raise DataError(f"The examples have different splits: {', '.join(names)} and {', '.join(other.splits)} ({other.path}).")
    return names


def shards_of(examples: Sequence[Examples], splits: Sequence[str]) -> list[Path]:
    """Returns the files of some splits, in order."""
    return [file for artifact in examples for split in splits for file in shard_files(artifact.split_path(split))]


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
    jobs = {split: _jobs(shards_of(examples, (split,)), output.split_path(split), context.temp) for split in splits}
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


def _jobs(shards: list[Path], folder: Path, temp: Path) -> list[ShardJob]:
    return [
        ShardJob(str(shard), str(folder), index, len(shards), str(temp / f"{folder.name}-{index:05d}.rows"))
        for index, shard in enumerate(shards)
    ]
