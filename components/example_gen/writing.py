"""Writes the rows of any input as splits of `tf.train.Example`, and says what was written."""

from __future__ import annotations

import functools
import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.example_encoder import as_bytes, encode_batch
from components.example_gen.inputs import InputGroup, ResolvedInput
from components.example_gen.reading import Block, Reader, in_order
from components.example_gen.splitting import GivenSplit, Splitter, check_feature, make_splitter
from components.records import SplitWriter, shard_files, shard_name
from components.spreading import map_items, row_counter, uses_beam
from pipeline.artifacts import Examples
from pipeline.context import Context
from pipeline.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class OutputOptions:
    """How rows are written.

    Attributes:
        weights: Weights of the splits; not used where the input gives the splits.
        split_by: The feature whose hash chooses the split, instead of that of the record.
        stratify_by: The label whose classes are divided in the exact proportions.
        shards: Files per split; None for one per 64 MiB.
    """

    weights: Mapping[str, int]
    split_by: str | None = None
    stratify_by: str | None = None
    shards: int | None = None


@dataclass(frozen=True)
class Part:
    """Some files, and the folder that gets their splits."""

    group: InputGroup
    folder: Path


@dataclass
class Column:
    """What is known of one column, over all rows so far."""

    type: str = "empty"
    present: int = 0
    empty_lists: int = 0

    def add(self, name: str, other: Column) -> None:
        """Takes the same column of further rows into account."""
        if "empty" not in (self.type, other.type) and self.type != other.type:
            raise DataError(f"Feature '{name}' is {self.type} in some records and {other.type} in others.", hint="Write it with one type.")
        self.type = other.type if self.type == "empty" else self.type
        self.present += other.present
        self.empty_lists += other.empty_lists


@dataclass
class Written:
    """What was read and written so far.

    Attributes:
        read: Rows that the reader gave.
        rows: Rows by split.
        size: Bytes by split, before compression.
        columns: The columns; one that some rows lack is missing in them.
    """

    read: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    size: dict[str, int] = field(default_factory=dict)
    columns: dict[str, Column] = field(default_factory=dict)

    def add(self, other: Written) -> None:
        """Takes what another part wrote into account."""
        self.read += other.read
        for split, rows in other.rows.items():
            self.rows[split] = self.rows.get(split, 0) + rows
            self.size[split] = self.size.get(split, 0) + other.size[split]
        for name, column in other.columns.items():
            self.columns.setdefault(name, Column()).add(name, column)


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
    work = functools.partial(write_part, reader=reader, options=options, on_rows=row_counter(context, "writing"))
    results = map_items(context, "write", work, parts)
    written = Written(rows=dict.fromkeys(names, 0), size=dict.fromkeys(names, 0))
    for result in results:
        written.add(result)
    check_feature(options.split_by or options.stratify_by, tuple(written.columns))
    _refuse_lost_rows(written, options)
    _refuse_empty_splits(written, given=bool(given))
    for name in names:
        _gather(examples, name, [part for part, result in zip(parts, results, strict=True) if result.rows.get(name)])
    for part in parts:
        shutil.rmtree(part.folder)
    found.verify()
    _describe(context, examples, found, written)


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
    if found.name:
        examples.properties["span_name"] = found.name
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


def write_part(part: Part, *, reader: Reader, options: OutputOptions, on_rows: Callable[[int], None] | None) -> Written:
    """Reads the files of a part and writes their rows.

    Raises:
        DataError: If a file cannot be read, or a feature that rows are split by does not exist or has a wrong type.
    """
    given = part.group.split
    check_feature(options.split_by or options.stratify_by, reader.columns)
    splitter = make_splitter(options.weights, split_by=options.split_by, stratify_by=options.stratify_by) if given is None else GivenSplit()
    written = Written()
    with ExitStack() as stack:
        names = tuple(options.weights) if given is None else (given,)
        writers = [stack.enter_context(SplitWriter(part.folder / f"Split-{name}", shards=options.shards)) for name in names]
        for block, batch, records, prepared in in_order(_prepared_by(reader, splitter), _blocks(reader, part)):
            written.add(Written(read=block.rows, columns=_columns(batch)))
            assigned = splitter.assign(prepared)
            for number, writer in enumerate(writers):
                writer.write(list(itertools.compress(records, (assigned == number).tolist())))
            if on_rows is not None:
                on_rows(block.rows)
    written.rows = {name: writer.rows for name, writer in zip(names, writers, strict=True)}
    written.size = {name: writer.bytes for name, writer in zip(names, writers, strict=True)}
    return written


def _blocks(reader: Reader, part: Part) -> Iterator[Block]:
    for file in part.group.files:
        yield from reader.blocks(file)


def _prepared_by(reader: Reader, splitter: Splitter) -> Callable[[Block], tuple[Block, pa.RecordBatch, list[bytes], Any]]:
    """Returns the work that needs no order: decode, encode, hash."""

    def prepare(block: Block) -> tuple[Block, pa.RecordBatch, list[bytes], Any]:
        rows = reader.decode(block)
        canonical = as_bytes(encode_batch(rows.batch))
        return block, rows.batch, rows.records or canonical, splitter.prepare(rows.batch, canonical)

    return prepare


def _columns(batch: pa.RecordBatch) -> dict[str, Column]:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = {}
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        is_list = pa.types.is_list(values.type) or pa.types.is_large_list(values.type)
        empty_lists = pc.sum(pc.equal(values.value_lengths(), 0)).as_py() or 0 if is_list else 0
        found[name] = Column(_type_name(values.type.value_type if is_list else values.type), len(values) - values.null_count, empty_lists)
    return found


def _type_name(kind: pa.DataType) -> str:
    import pyarrow as pa

    if pa.types.is_null(kind):
        return "empty"
    if pa.types.is_integer(kind):
        return "int64"
    return "float32" if pa.types.is_floating(kind) else "bytes"
