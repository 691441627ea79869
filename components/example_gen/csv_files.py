"""CSV files as text: how they are written, their headers, and the line that is wrong where one cannot be read."""

from __future__ import annotations

import codecs
import csv
import io
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from pipeline.errors import DataError

if TYPE_CHECKING:
    from components.example_gen.inputs import InputFile

_DELIMITERS = ",;\t|"
_SHOWN = 120
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class CsvFormat:
    """How all files of an input are written.

    Attributes:
        delimiter: One character.
        encoding: Name of a Python codec.
        column_names: Names of the columns of files without a header; None if the files have one.
        quoting: Whether quotes around a field are no part of it, and keep delimiters and line breaks in it.
        missing_values: Texts that stand for a missing value.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    column_names: tuple[str, ...] | None = None
    quoting: bool = True
    missing_values: tuple[str, ...] = ("",)

    def rows(self, lines: Iterable[str], *, strict: bool = False) -> Iterator[list[str]]:
        """Yields the fields of each row of a text."""
        return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_MINIMAL if self.quoting else csv.QUOTE_NONE, strict=strict)

    @property
    def is_utf8(self) -> bool:
        """Whether the files can be read without recoding them."""
        return codecs.lookup(self.encoding).name in ("utf-8", "utf-8-sig", "ascii")


def open_binary(path: Path) -> IO[bytes]:
    """Opens a file, decompressed if its name ends as that of a compressed one."""
    import pyarrow as pa

    return cast(IO[bytes], io.BufferedReader(cast(Any, pa.input_stream(str(path), compression="detect"))))


def open_text(path: Path, form: CsvFormat) -> IO[str]:
    """Opens a file as text, without its byte order mark and with its line breaks as they are."""
    return io.TextIOWrapper(open_binary(path), encoding="utf-8-sig" if form.is_utf8 else form.encoding, newline="")


def read_columns(files: tuple[InputFile, ...], form: CsvFormat) -> tuple[str, ...]:
    """Returns the names of the columns of all files.

    Raises:
        DataError: If a header is missing, has empty or repeated names, or differs between files.
    """
    columns = form.column_names
    for file in files:
        first = _first_row(file.path, form)
        if form.column_names is not None:
            if first == form.column_names:
                raise DataError(
                    f"{file.path}, line 1: the file has a header, and column_names says that it has none.", hint="Leave out column_names."
                )
            continue
        _check_header(file.path, first)
        if columns is not None and first != columns:
            raise _different_headers(files[0].path, columns, file.path, first)
        columns = first
    return columns or ()


def _first_row(path: Path, form: CsvFormat) -> tuple[str, ...]:
    try:
        with open_text(path, form) as stream:
            row = next((row for row in form.rows(stream) if row), None)
    except (OSError, UnicodeError, csv.Error) as error:
        raise describe_failure(path, form, (), str(error)) from error
    if row is None:
        raise DataError(f"{path} has no rows: it holds blank lines only.")
    return tuple(row)


def _check_header(path: Path, names: tuple[str, ...]) -> None:
    other = next((delimiter for delimiter in _DELIMITERS if len(names) == 1 and delimiter in names[0]), None)
    if other:
        raise DataError(f"{path}, line 1: the header is one column, {names[0]!r}.", hint=f"Give delimiter={other!r}.")
    wrong = [f"column {index} has no name" for index, name in enumerate(names, 1) if not name.strip()]
    wrong += [f"{count} columns are named '{name}'" for name, count in Counter(names).items() if count > 1 and name.strip()]
    if wrong:
        raise DataError(
            f"{path}, line 1: {'; '.join(wrong)}. Received: {', '.join(names)}",
            hint="Give each column a name of its own; for a file without a header give column_names=(...).",
        )


def _different_headers(path: Path, columns: tuple[str, ...], other_path: Path, other: tuple[str, ...]) -> DataError:
    missing = [name for name in columns if name not in other]
    extra = [name for name in other if name not in columns]
    parts = [f"only {path.name} has {', '.join(missing)}"] if missing else []
    parts += [f"only {other_path.name} has {', '.join(extra)}"] if extra else []
    return DataError(
        f"{path} and {other_path} have different columns: {'; '.join(parts) or 'the same names in another order'}.",
        hint="Make the headers equal, or read the files with one CsvExampleGen each.",
    )


def describe_failure(path: Path, form: CsvFormat, columns: Sequence[str], problem: str) -> DataError:
    """Returns an error that names file, line and what is wrong there; `problem` is shown if the line cannot be found.

    It is called after a failure only, as it reads line by line.
    """
    try:
        found = _undecodable_line(path, form) or find_broken_row(path, form, columns)
    except (OSError, UnicodeError, csv.Error) as error:
        problem = str(error)
        found = None
    return found or DataError(
        f"{path} cannot be read as CSV: {problem}", hint="Check that the file is whole, and delimiter= and encoding=."
    )


def find_broken_row(path: Path, form: CsvFormat, columns: Sequence[str]) -> DataError | None:
    """Returns an error for the first row with a wrong number of fields or with a quote that is never closed; None if there is none."""
    with _long_fields(), open_text(path, form) as stream:
        lines: list[str] = []
        first = 1
        reader = form.rows(_remembered(stream, lines))
        for row in reader:
            last = first + len(lines) - 1
            if row and has_line_break(row[-1]) and _is_unclosed(lines, form):
                return _unclosed(path, first)
            if row and len(row) != len(columns):
                return _ragged(path, first, last, row, columns, "".join(lines))
            first, lines[:] = last + 1, []
    return None


def _ragged(path: Path, first: int, last: int, row: Sequence[str], columns: Sequence[str], text: str) -> DataError:
    where = f"line {first}" if first == last else f"lines {first} to {last} (one row, as quotes hold its lines together)"
    shown = text.rstrip("\r\n")
    shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
    return DataError(
        f"{path}, {where}: {len(row)} fields where {len(columns)} were expected ({_few(columns)}). Received: {shown!r}",
        hint="Put quotes around a field that holds the delimiter or a line break, or correct the row.",
    )


def has_line_break(text: str) -> bool:
    """Tells whether a field goes over more than one line, as one with a quote that is never closed does."""
    return "\n" in text or "\r" in text


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:3])}, ..., {names[-1]}"


def _unclosed(path: Path, line: int) -> DataError:
    return DataError(
        f"{path}, line {line}: a quote is opened in this row and never closed.",
        hint="Close it, or write a quote inside a field twice; where quotes are text as any other, give quoting=False.",
    )


def _is_unclosed(lines: Sequence[str], form: CsvFormat) -> bool:
    try:
        list(form.rows(lines, strict=True))
    except csv.Error as error:
        return "unexpected end of data" in str(error)
    return False


def _undecodable_line(path: Path, form: CsvFormat) -> DataError | None:
    with open_binary(path) as stream:
        for number, line in enumerate(stream, 1):
            if number == 1 and line.startswith(_UTF16_MARKS) and form.is_utf8:
                return DataError(f"{path}, line 1: the file is UTF-16, not UTF-8.", hint="Give encoding='utf-16'.")
            if not form.is_utf8:
                return None
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return DataError(
                    f"{path}, line {number}: byte 0x{line[error.start]:02x} at position {error.start + 1} is not UTF-8.",
                    hint="Give the file's encoding, for example encoding='latin-1' or encoding='cp1252', or convert the file.",
                )
    return None


def _remembered(stream: IO[str], lines: list[str]) -> Iterator[str]:
    for line in stream:
        lines.append(line)
        yield line


@contextmanager
def _long_fields() -> Iterator[None]:
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)
