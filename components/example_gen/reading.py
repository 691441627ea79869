"""What the readers of all formats have in common: they give blocks in order, which are decoded beside one another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from components.example_gen.account import Account
    from components.example_gen.inputs import InputFile

    Numbers = npt.NDArray[np.int64]

_WORKERS = 2
"""Threads that decode and encode. Each holds a few blocks; more of them would wait for the one that compresses."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Block:
    """Some rows of a file, as they were read.

    Attributes:
        file: The file.
        first: Number of the rows before them.
        rows: Number of the rows.
        content: What the reader's `decode` takes.
    """

    file: InputFile
    first: int
    rows: int
    content: Any


@dataclass(frozen=True)
class Rows:
    """Decoded rows.

    Attributes:
        batch: Their columns, of the types that `encode_batch` takes.
        records: The serialized records, where the input holds such already.
        digests: SHA-256 of what makes each record equal to another, behind one another; None for all features.
        names: The name of each record; None where a record is a row of the block's file.
        splits: The number of each row's split, where the reader decides.
        account: What the reader knows of single records; it counts the dropped ones.
    """

    batch: pa.RecordBatch
    records: list[bytes] | None = None
    digests: bytes | None = None
    names: list[str] | None = None
    splits: Numbers | None = None
    account: Account | None = None


class Reader(Protocol):
    """Reads the files of one format; plain data, so that it can be sent to other processes."""

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Names of the columns; None if they are known only when all rows were read."""

    def blocks(self, file: InputFile) -> Iterator[Block]:
        """Yields the rows of a file in pieces of bounded size."""

    def decode(self, block: Block) -> Rows:
        """Returns the rows of one block; called in several threads."""


class FilesReader(Reader, Protocol):
    """Reads files together, such as pictures of which each is one record, and checks that they are those that the driver saw."""

    @property
    def contents(self) -> Mapping[str, str]:
        """What features hold, by name: `image`, `audio`, `text` (a file or a text), `name` (of a file)."""

    def portions(self, files: Sequence[InputFile]) -> list[tuple[InputFile, ...]]:
        """Returns the files that each task of another runner reads."""

    def compares(self, file: InputFile) -> bool:
        """Returns whether it compares the content of the file with its digest as it reads it."""

    def blocks_of(self, files: Sequence[InputFile]) -> Iterator[Block]:
        """Yields the records of files in pieces of bounded size."""


def in_order(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yields `function` of each item in the items' order, computed by threads; few items are in work or waiting at a time.

    Arrow and zlib work in them without Python's lock.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="example-gen") as workers:
        try:
            for item in items:
                waiting.append(workers.submit(function, item))
                if len(waiting) > _WORKERS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
