"""How CSV files are written, and their headers."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from pipeline.errors import DataError

if TYPE_CHECKING:
    from components.example_gen.inputs import InputFile


_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class CsvFormat:
    """How all files of an input are written.

    Attributes:
        delimiter: One character.
        encoding: Name of a Python codec.
        column_names: Names of the columns of files without a header; None if the files have one.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    column_names: tuple[str, ...] | None = None

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
    from components.example_gen.csv_faults import describe_failure

    try:
        with open_text(path, form) as stream:
            row = next((row for row in csv.reader(stream, delimiter=form.delimiter) if row), None)
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
