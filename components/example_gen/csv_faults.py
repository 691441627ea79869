"""Finds the line of a CSV file that cannot be read; used after a failure only, as it reads line by line."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from components.example_gen.csv_format import CsvFormat, open_binary, open_text
from pipeline.errors import DataError

_SHOWN = 120
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def describe_failure(path: Path, form: CsvFormat, columns: Sequence[str], problem: str) -> DataError:
    """Returns an error that names file, line and what is wrong there.

    Args:
        path: The file.
        form: How it is written.
        columns: The names of its columns.
        problem: What the reader said; shown if the line cannot be found.
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
        reader = csv.reader(_remembered(stream, lines), delimiter=form.delimiter)
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
        f"{path}, line {line}: a quote is opened in this row and never closed.", hint="Close it, or write a quote inside a field twice."
    )


def _is_unclosed(lines: Sequence[str], form: CsvFormat) -> bool:
    try:
        list(csv.reader(lines, delimiter=form.delimiter, strict=True))
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
