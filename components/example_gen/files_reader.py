"""Reads files of which each is one record: pictures, texts, sounds; from folders and from archives.

Files are read, checked and digested beside one another; what a file holds is told by a `FileKind`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from components.example_gen.account import Account, BadRecord, OnBadRecord
from components.example_gen.archives import is_archive, read_members
from components.example_gen.file_names import NamePattern
from components.example_gen.reading import Block, FilesReader, Rows
from components.record_issues import named, printable
from pipeline.errors import DataError

if TYPE_CHECKING:
    from components.example_gen.inputs import InputFile

_BLOCK_FILES = 256
_BLOCK_BYTES = 16 << 20
_PORTION_FILES = 4096
_PORTION_BYTES = 256 << 20

Value = int | float | bytes


class BadContentError(Exception):
    """A file is not what it should be; the message says why."""


class FileKind(Protocol):
    """What the files hold; plain data.

    Attributes:
        noun: What one file is, in words: `image`.
        suffixes: How their names end, in small letters.
        content: The feature that holds the file: `image/encoded`.
        content_type: What that is, for a summary.
        fields: Types of the further features, `int64`, `float32` or `bytes`, by name.
        alike: Those that most files share, or that are of one size.
    """

    noun: str
    suffixes: tuple[str, ...]
    content: str
    content_type: str
    fields: Mapping[str, str]
    alike: tuple[str, ...]

    def inspect(self, data: bytes) -> tuple[bytes, dict[str, Value]]:
        """Returns what is to be stored of a file, and the values of the fields.

        Raises:
            BadContentError: If the file does not decode.
        """


@dataclass(frozen=True)
class Table:
    """Further features of files, from a table: a row for each file, by its path.

    Attributes:
        types: Type of each column.
        rows: The values by path.
        name: How the table's file is called.
        missing: The paths at which there is no file.
    """

    types: Mapping[str, str]
    rows: Mapping[str, tuple[Value | None, ...]]
    name: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """One file: where it is, or its content where it was in an archive.

    Attributes:
        name: Relative to the project, that of the archive in front.
        path: The same, without the archive: what may name a class.
        file: The file, where it lies in a folder.
        data: Its content, where it is in an archive.
    """

    name: str
    path: str
    file: InputFile | None = None
    data: bytes | None = None


@dataclass(frozen=True)
class FileReader(FilesReader):
    """The records of files.

    Attributes:
        kind: What the files hold.
        pattern: What the names of the files say, see `NamePattern`; None for nothing.
        on_bad_record: What becomes of a bad one.
        require: Values, or ranges of them, that features must have.
        table: Further features, and which files are records; None for all.
    """

    kind: FileKind
    pattern: str | None
    on_bad_record: OnBadRecord = "fail"
    require: Mapping[str, Any] = field(default_factory=dict)
    table: Table | None = None

    @cached_property
    def names(self) -> NamePattern | None:
        """The pattern of the names."""
        return NamePattern(self.pattern) if self.pattern is not None else None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(self._types)

    @property
    def contents(self) -> Mapping[str, str]:
        """What features hold, for the summary."""
        return {self.kind.content: self.kind.content_type, self._filename: "name"}

    @property
    def _filename(self) -> str:
        return f"{self.kind.noun}/filename"

    @cached_property
    def _types(self) -> dict[str, str]:
        named_fields = {name: "int64" if kind is int else "bytes" for name, kind in (self.names.fields if self.names else {}).items()}
        size = f"{self.kind.noun}/bytes"
        return (
            {self.kind.content: "bytes", **self.kind.fields, size: "int64", self._filename: "bytes"}
            | named_fields
            | dict(self.table.types if self.table is not None else {})
        )

    def portions(self, files: Sequence[InputFile]) -> list[tuple[InputFile, ...]]:
        """Returns some thousand files, or one archive, for each task."""
        portions: list[list[InputFile]] = [[]]
        size = 0
        for file in files:
            apart = is_archive(file.name)
            if portions[-1] and (apart or size > _PORTION_BYTES or len(portions[-1]) >= _PORTION_FILES):
                portions.append([])
                size = 0
            portions[-1].append(file)
            size += _PORTION_BYTES + 1 if apart else file.size
        return [tuple(portion) for portion in portions]

    def blocks_of(self, files: Sequence[InputFile]) -> Iterator[Block]:
        """Yields some files at a time; their content is read by `decode`, but that of members of an archive here."""
        others: list[str] = []
        items: list[Item] = []
        size = read = 0
        for item, length in self._items(files, others):
            items.append(item)
            size += length
            if len(items) >= _BLOCK_FILES or size >= _BLOCK_BYTES:
                yield Block(files[0], read, len(items), items)
                read += len(items)
                items, size = [], 0
        if items:
            yield Block(files[0], read, len(items), items)
            read += len(items)
        if others:
            yield Block(files[0], read, 0, others)

    def blocks(self, file: InputFile) -> Iterator[Block]:
        """Yields the records of one file."""
        return self.blocks_of((file,))

    def _items(self, files: Sequence[InputFile], others: list[str]) -> Iterator[tuple[Item, int]]:
        """Yields the records with their sizes; the names of other files go to `others`."""
        for file in files:
            if is_archive(file.name):
                yield from self._members(file, others)
            elif self._is_wanted(file.name) and self._is_in_table(printable(file.name)):
                yield Item(printable(file.name), printable(file.name), file), file.size
            else:
                others.append(printable(file.name))

    def _members(self, file: InputFile, others: list[str]) -> Iterator[tuple[Item, int]]:
        folders: set[str] = set()
        used: set[str] = set()
        for member, data in read_members(file.path, self._is_wanted, folders):
            name = printable(f"{file.name}/{member}")
            used.add(member.rpartition("/")[0])
            if data is None or not self._is_in_table(name):
                others.append(name)
            else:
                yield Item(name, printable(member), data=data), len(data)
        above = {folder.rpartition("/")[0] for folder in folders}
        others += [printable(f"{file.name}/{folder}/") for folder in sorted(folders - used - above)]

    def _is_wanted(self, name: str) -> bool:
        return name.lower().endswith(self.kind.suffixes)

    def _is_in_table(self, name: str) -> bool:
        return self.table is None or name in self.table.rows

    def refuse_nothing(self, files: Sequence[InputFile]) -> None:
        """Raises `DataError` if no file is of the kind, as far as their names tell."""
        if not any(is_archive(file.name) or self._is_wanted(file.name) for file in files):
            kinds = ", ".join(self.kind.suffixes)
            raise DataError(
                f"There is no {self.kind.noun} among the files: no name ends with one of {kinds}.",
                hint=f"They are {named([file.name for file in files], len(files), 3)}.",
            )

    def compares(self, file: InputFile) -> bool:
        """Returns whether it is no archive: those are compared when they have been read."""
        return not is_archive(file.name)

    def decode(self, block: Block) -> Rows:
        """Reads and checks the files of a block."""
        import pyarrow as pa

        account = Account()
        if not block.rows:
            table = f"/{self.table.name}" if self.table is not None else "/"
            account.left_out.add_all(name for name in block.content if not name.endswith(("/", table)))
            account.empty.add_all(name for name in block.content if name.endswith("/"))
        columns: dict[str, list[Any]] = {name: [] for name in self._types}
        digests, names = [], []
        for item in block.content if block.rows else ():
            digest, row, bad = self._record(item)
            if bad is not None:
                account.add_bad(bad, self.on_bad_record)
            if bad is not None and self.on_bad_record != "keep":
                continue
            digests.append(digest)
            names.append(item.name)
            for name, values in columns.items():
                values.append(row.get(name))
            for name in self.kind.alike:
                if name in row:
                    account.add_value(name, _rounded(row[name]), item.name)
        types = {"int64": pa.int64(), "float32": pa.float32(), "bytes": pa.large_binary()}
        arrays = [pa.array(values, types[self._types[name]]) for name, values in columns.items()]
        return Rows(pa.RecordBatch.from_arrays(arrays, list(columns)), digests=b"".join(digests), names=names, account=account)

    def _record(self, item: Item) -> tuple[bytes, dict[str, Any], BadRecord | None]:
        """Returns digest and features of one file, and what is wrong with it."""
        data = item.data if item.data is not None else _read(item)
        digest = hashlib.sha256(data)
        if item.file is not None and digest.hexdigest() != item.file.sha256:
            raise DataError(
                f"{item.file.path} changed while it was read, or shortly before.",
                hint="Write new data to a new folder and rename it when it is complete, then run again.",
            )
        row: dict[str, Any] = {self._filename: item.name.encode(), f"{self.kind.noun}/bytes": len(data), self.kind.content: data}
        bad = None
        if self.names is not None:
            said = self.names.match(item.path)
            row |= {name: value.encode() if isinstance(value, str) else value for name, value in (said or {}).items()}
            if said is None:
                bad = BadRecord(item.name, "name does not match", f"its name does not match '{self.pattern}'")
        try:
            row[self.kind.content], fields = self.kind.inspect(data)
        except BadContentError as error:
            return digest.digest(), row, BadRecord(item.name, "does not decode", str(error))
        row |= fields
        if self.table is not None:
            row |= dict(zip(self.table.types, self.table.rows[item.name], strict=True))
        return digest.digest(), row, bad or self._not_as_required(item.name, row)

    def _not_as_required(self, name: str, row: Mapping[str, Any]) -> BadRecord | None:
        for feature, wanted in self.require.items():
            value = row[feature].decode() if isinstance(row[feature], bytes) else row[feature]
            low, high = wanted if isinstance(wanted, tuple) else (wanted, wanted)
            if not low <= value <= high:
                shown = f"{low} to {high}" if isinstance(wanted, tuple) else f"{wanted}"
                return BadRecord(name, "not as required", f"{feature} is {value}, not {shown}")
        return None


def _read(item: Item) -> bytes:
    if item.file is None:
        raise TypeError(f"{item.name} is neither a file nor a member of an archive.")
    try:
        with item.file.path.open("rb", buffering=0) as stream:
            return stream.read()
    except OSError as error:
        raise DataError(f"{item.file.path} cannot be read: {error.strerror or error}.") from error


def _rounded(value: float) -> float:
    """Returns a value with three digits, in which equal lengths are equal; counts stay as they are."""
    return value if isinstance(value, int) else float(f"{value:.3g}")
