"""Writes the rows of any input as splits of `tf.train.Example`, and says what was written."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from components.example_encoder import as_bytes, encode_batch
from components.example_gen.account import Account, OnBadRecord
from components.example_gen.duplicates import DigestWriter, Duplicates, find_duplicates
from components.example_gen.inputs import InputGroup, ResolvedInput
from components.example_gen.reading import Block, FilesReader, Reader, Rows, in_order
from components.example_gen.splitting import GivenSplit, Splitter, check_feature, digests_of, make_splitter
from components.record_issues import printable
from components.records import SplitWriter, shard_files, shard_name
from components.spreading import map_items, row_counter, uses_beam
from pipeline.artifacts import Examples
from pipeline.context import Context
from pipeline.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

BAD_RECORDS_FILE = "bad_records.jsonl"
"""Beside the splits: the bad records, one JSON object a line. It is there only if there are some."""

_MOST_FILES = 1000


@dataclass(frozen=True)
class OutputOptions:
    """How rows are written.

    Attributes:
        weights: Weights of the splits; not used where the input gives the splits.
        split_by: The feature whose hash chooses the split, instead of that of the record.
        stratify_by: The label whose classes are divided in the exact proportions.
        shards: Files per split; None for one per 64 MiB.
        on_bad_record: What becomes of bad records.
        payload_format: What the records are, as TFX names it.
    """

    weights: Mapping[str, int]
    split_by: str | None = None
    stratify_by: str | None = None
    shards: int | None = None
    on_bad_record: OnBadRecord = "fail"
    payload_format: str = "FORMAT_TF_EXAMPLE"


@dataclass(frozen=True)
class Part:
    """Some files, the folder that gets their splits, and the one that gets the digests of their records."""

    group: InputGroup
    folder: Path
    digests: Path


@dataclass
class Column:
    """What is known of one column, over all rows so far."""

    type: str = "empty"
    present: int = 0
    empty_lists: int = 0
    is_sequence: bool = False

    def add(self, name: str, other: Column) -> None:
        """Takes the same column of further rows into account."""
        if "empty" not in (self.type, other.type) and self.type != other.type:
            raise DataError(f"Feature '{name}' is {self.type} in some records and {other.type} in others.", hint="Write it with one type.")
        self.type = other.type if self.type == "empty" else self.type
        self.present += other.present
        self.empty_lists += other.empty_lists
        self.is_sequence |= other.is_sequence


@dataclass
class Written:
    """What was read and written so far.

    Attributes:
        read: Rows that the reader gave.
        rows: Rows by split.
        size: Bytes by split, before compression.
        columns: The columns; one that some rows lack is missing in them.
        account: What is worth telling of single records.
    """

    read: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    size: dict[str, int] = field(default_factory=dict)
    columns: dict[str, Column] = field(default_factory=dict)
    account: Account = field(default_factory=Account)

    def add(self, other: Written) -> None:
        """Takes what another part wrote into account."""
        self.read += other.read
        for split, rows in other.rows.items():
            self.rows[split] = self.rows.get(split, 0) + rows
            self.size[split] = self.size.get(split, 0) + other.size[split]
        for name, column in other.columns.items():
            self.columns.setdefault(name, Column()).add(name, column)
        self.account.add(other.account)


def write_examples(
    context: Context, examples: Examples, found: ResolvedInput, reader: Reader, options: OutputOptions, *, known: Account | None = None
) -> None:
    """Reads all files, writes the splits, and fills properties, row counts and summary of `examples`.

    `known` is what is worth telling of records before a file is read; those that it drops count as read.

    On another runner than the local one each file is a task; exact proportions and a given number of shards need all rows in one.

    Raises:
        DataError: If a file cannot be read or changed meanwhile, a row can be in no split, or a split gets no row.
    """
    given = [group.split for group in found.groups if group.split is not None]
    names = given or list(options.weights)
    apart = uses_beam(context) and options.stratify_by is None and options.shards is None
    groups = _apart(found.groups, reader) if apart else found.groups
    parts = [Part(group, examples.path / f".part-{number:05d}", context.temp / f"part-{number:05d}") for number, group in enumerate(groups)]
    work = functools.partial(write_part, reader=reader, options=options, on_rows=row_counter(context, "writing"))
    results = map_items(context, "write", work, parts)
    known = known or Account()
    written = Written(known.dropped.total(), dict.fromkeys(names, 0), dict.fromkeys(names, 0), account=known)
    for result in results:
        written.add(result)
    written.account.refuse_bad(options.on_bad_record)
    _refuse_nothing(written)
    check_feature(options.split_by or options.stratify_by, tuple(written.columns))
    _refuse_lost_rows(written, options)
    _refuse_empty_splits(written, given=bool(given))
    for name in names:
        _gather(examples, name, [part for part, result in zip(parts, results, strict=True) if result.rows.get(name)])
    for part in parts:
        shutil.rmtree(part.folder)
    duplicates = find_duplicates([part.digests for part in parts], [list(result.rows) for result in results], names)
    _verify(found, reader)
    _describe(context, examples, found, Description(written, duplicates, reader, options))


def _verify(found: ResolvedInput, reader: Reader) -> None:
    """Checks that the files did not change, but for those that the reader compared as it read them."""
    if not _reads_together(reader):
        found.verify()
        return
    others = tuple(file for file in found.files if not reader.compares(file))
    dataclasses.replace(found, groups=(InputGroup(None, others),)).verify()


def _apart(groups: Sequence[InputGroup], reader: Reader) -> list[InputGroup]:
    """Returns the files of each task of another runner."""
    return [
        InputGroup(group.split, files)
        for group in groups
        for files in (reader.portions(group.files) if _reads_together(reader) else [(file,) for file in group.files])
    ]


def _reads_together(reader: Reader) -> TypeGuard[FilesReader]:
    return hasattr(reader, "blocks_of")


def _refuse_nothing(written: Written) -> None:
    if written.read == written.account.dropped.total():
        told = " ".join(issue.text for issue in written.account.found()) or "The input holds none."
        raise DataError(f"There is no record to write. {told}", hint="Check what the input pattern names, and the issues.")


def _refuse_lost_rows(written: Written, options: OutputOptions) -> None:
    lost = written.read - sum(written.rows.values()) - written.account.dropped.total()
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


@dataclass(frozen=True)
class Description:
    """What `_describe` tells of."""

    written: Written
    duplicates: Duplicates
    reader: Reader
    options: OutputOptions


def _describe(context: Context, examples: Examples, found: ResolvedInput, described: Description) -> None:
    written, account, duplicates = described.written, described.written.account, described.duplicates
    context.count_rows(written.read, written.rows, account.dropped)
    examples.set_splits(list(written.rows))
    examples.set_record_counts(written.rows)
    examples.properties["span"] = found.span
    if found.name:
        examples.properties["span_name"] = found.name
    if found.version is not None:
        examples.properties["version"] = found.version
    examples.properties["input_fingerprint"] = found.fingerprint
    examples.properties["file_format"] = "tfrecords_gzip"
    examples.properties["payload_format"] = described.options.payload_format
    issues = [*account.found(), *duplicates.issues]
    examples.write_summary(
        {
            "splits": {name: {"rows": rows, "bytes": written.size[name]} for name, rows in written.rows.items()},
            "columns": _described_columns(described),
            "files": [file.name for file in found.files[:_MOST_FILES]],
            "file_count": len(found.files),
            "span": found.span,
            "version": found.version,
            "dropped": dict(account.dropped),
            "duplicates": {"within": duplicates.within, "across": duplicates.across},
            "issues": [issue.to_json() for issue in issues],
        }
        | ({"extremes": account.extremes()} if account.values else {})
        | ({"time_series": account.time_series} if account.time_series else {})
    )
    if account.bad:
        lines = [json.dumps(dataclasses.asdict(record), sort_keys=True) + "\n" for record in account.bad]
        (examples.path / BAD_RECORDS_FILE).write_text("".join(lines), encoding="utf-8")


def _described_columns(described: Description) -> list[dict[str, Any]]:
    written, rows = described.written, sum(described.written.rows.values())
    contents = described.reader.contents if _reads_together(described.reader) else {}
    return [
        {"name": name, "type": column.type, "missing": rows - column.present, "empty_lists": column.empty_lists}
        | ({"content": contents[name]} if name in contents else {})
        | ({"sequence": True} if column.is_sequence else {})
        for name, column in written.columns.items()
    ]


def write_part(part: Part, *, reader: Reader, options: OutputOptions, on_rows: Callable[[int], None] | None) -> Written:
    """Reads the files of a part and writes their rows.

    Raises:
        DataError: If a file cannot be read, or a feature that rows are split by does not exist or has a wrong type.
    """
    given = part.group.split
    check_feature(options.split_by or options.stratify_by, reader.columns)
    splitter = make_splitter(options.weights, split_by=options.split_by, stratify_by=options.stratify_by) if given is None else GivenSplit()
    written = Written()
    names = tuple(options.weights) if given is None else (given,)
    with ExitStack() as stack:
        writers = [stack.enter_context(SplitWriter(part.folder / f"Split-{name}", shards=options.shards)) for name in names]
        digests = stack.enter_context(closing(DigestWriter(part.digests)))
        for block, rows, records, prepared in in_order(_prepared_by(reader, splitter), _blocks(reader, part)):
            written.add(Written(read=block.rows, columns=_columns(rows.batch), account=rows.account or Account()))
            assigned = splitter.assign(prepared) if rows.splits is None else rows.splits
            digests.add(rows.digests or b"", assigned, printable(block.file.name) if rows.names is None else rows.names, block.first)
            for number, writer in enumerate(writers):
                writer.write(list(itertools.compress(records, (assigned == number).tolist())))
            if on_rows is not None:
                on_rows(block.rows)
    written.rows = {name: writer.rows for name, writer in zip(names, writers, strict=True)}
    written.size = {name: writer.bytes for name, writer in zip(names, writers, strict=True)}
    return written


def _blocks(reader: Reader, part: Part) -> Iterator[Block]:
    if _reads_together(reader):
        yield from reader.blocks_of(part.group.files)
        return
    for file in part.group.files:
        yield from reader.blocks(file)


def _prepared_by(reader: Reader, splitter: Splitter) -> Callable[[Block], tuple[Block, Rows, list[bytes], Any]]:
    """Returns the work that needs no order: decode, encode, hash."""

    def prepare(block: Block) -> tuple[Block, Rows, list[bytes], Any]:
        rows = reader.decode(block)
        is_given = rows.records is not None and rows.digests is not None
        canonical = [] if is_given else as_bytes(encode_batch(rows.batch))
        digests = rows.digests if rows.digests is not None else digests_of(canonical)
        prepared = splitter.prepare(rows.batch, digests) if rows.splits is None else None
        return block, dataclasses.replace(rows, digests=digests), rows.records or canonical, prepared

    return prepare


def _columns(batch: pa.RecordBatch) -> dict[str, Column]:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = {}
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        is_list = pa.types.is_list(values.type) or pa.types.is_large_list(values.type)
        empty_lists = pc.sum(pc.equal(values.value_lengths(), 0)).as_py() or 0 if is_list else 0
        kind, depth = values.type, 0
        while pa.types.is_list(kind) or pa.types.is_large_list(kind):
            kind, depth = kind.value_type, depth + 1
        found[name] = Column(_type_name(kind), len(values) - values.null_count, empty_lists, depth > 1)
    return found


def _type_name(kind: pa.DataType) -> str:
    import pyarrow as pa

    if pa.types.is_null(kind):
        return "empty"
    if pa.types.is_integer(kind):
        return "int64"
    return "float32" if pa.types.is_floating(kind) else "bytes"
