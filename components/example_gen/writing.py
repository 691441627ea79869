"""Writes the rows of any input as splits of `tf.train.Example`, and says what was written."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Sequence

from components.example_gen.inputs import InputGroup, ResolvedInput
from components.example_gen.parts import OutputOptions, Part, Written, write_part
from components.example_gen.reading import Reader
from components.example_gen.spreading import map_items, uses_beam
from components.records import shard_files, shard_name
from pipeline.artifacts import Examples
from pipeline.context import Context
from pipeline.errors import DataError


def write_examples(context: Context, examples: Examples, found: ResolvedInput, reader: Reader, options: OutputOptions) -> None:
    """Reads all files, writes the splits, and fills properties, row counts and summary of `examples`.

    On another runner than the local one each file is a task; exact proportions and a given number of shards need all rows in one.

    Raises:
        DataError: If a file cannot be read or changed meanwhile, a row can be in no split, or a split gets no row.
    """
    given = [group.split for group in found.groups if group.split is not None]
    names = given or list(options.weights)
    apart = uses_beam(context) and options.stratify_by is None and options.shards is None
    groups = [InputGroup(group.split, (file,)) for group in found.groups for file in group.files] if apart else found.groups
    parts = [Part(group, examples.path / f".part-{number:05d}") for number, group in enumerate(groups)]
    work = functools.partial(write_part, reader=reader, options=options, on_rows=None if uses_beam(context) else _progress(context))
    results = map_items(context, "write", work, parts)
    written = Written(rows=dict.fromkeys(names, 0), size=dict.fromkeys(names, 0))
    for result in results:
        written.add(result)
    _refuse_lost_rows(written, options)
    _refuse_empty_splits(written, given=bool(given))
    for name in names:
        _gather(examples, name, [part for part, result in zip(parts, results, strict=True) if result.rows.get(name)])
    for part in parts:
        shutil.rmtree(part.folder)
    found.verify()
    _describe(context, examples, found, written)


def _progress(context: Context) -> Callable[[int], None]:
    done = 0

    def on_rows(rows: int) -> None:
        nonlocal done
        done += rows
        context.progress("writing", rows=done)

    return on_rows


def _refuse_lost_rows(written: Written, options: OutputOptions) -> None:
    lost = written.read - sum(written.rows.values())
    if lost and options.split_by is not None:
        raise DataError(
            f"split_by: {lost:,} of {written.read:,} rows have no value in '{options.split_by}', which chooses their split.",
            hint="Fill or remove these rows, or split by a feature that each row has.",
        )


def _refuse_empty_splits(written: Written, *, given: bool) -> None:
    empty = [name for name, rows in written.rows.items() if not rows]
    if empty:
        hint = "Give more rows, another weight for it in splits=, or the files of each split: input={'train': ..., 'eval': ...}."
        raise DataError(
            f"Split '{empty[0]}' would be empty: none of the {written.read:,} rows belongs to it.",
            hint="Check the files of that split." if given else hint,
        )


def _gather(examples: Examples, name: str, parts: Sequence[Part]) -> None:
    """Moves the shards of all parts to the split's folder, numbered through."""
    folder = examples.path / f"Split-{name}"
    folder.mkdir()
    shards = [shard for part in parts for shard in shard_files(part.folder / folder.name)]
    for number, shard in enumerate(shards):
        shard.rename(folder / shard_name(number, len(shards)))


def _describe(context: Context, examples: Examples, found: ResolvedInput, written: Written) -> None:
    context.count_rows(written.read, written.rows)
    examples.set_splits(list(written.rows))
    examples.set_record_counts(written.rows)
    examples.properties["span"] = found.span
    if found.version is not None:
        examples.properties["version"] = found.version
    examples.properties["input_fingerprint"] = found.fingerprint
    examples.properties["file_format"] = "tfrecords_gzip"
    examples.properties["payload_format"] = "FORMAT_TF_EXAMPLE"
    examples.write_summary(
        {
            "splits": {name: {"rows": rows, "bytes": written.size[name]} for name, rows in written.rows.items()},
            "columns": [
                {"name": name, "type": column.type, "missing": written.read - column.present, "empty_lists": column.empty_lists}
                for name, column in written.columns.items()
            ],
            "files": [file.name for file in found.files],
            "span": found.span,
            "version": found.version,
        }
    )
