"""Cuts a CSV file into spans by a column that holds times, as if they had arrived one after the other.

    python examples/cut_spans.py data/bikes/hour.csv --column dteday --format %m/%d/%y --to 'spans/bikes/{YYYY}-{MM}/hour.csv'
    python examples/cut_spans.py data/taxi/span-1/trips.csv --column trip_start_timestamp --to 'spans/taxi/{YYYY}-{MM}/trips.csv'

A span is as long as the pattern is fine: {YYYY} and {MM}, then {DD}, then {HH}. With --last 2011-06 the spans up to June are there; run
again with 2011-07, and one more has arrived: a span is never written again while its rows are the same. Each gets a `_SUCCESS` file
when it is complete. Times are UTC.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import io
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from components.example_gen.patterns import Pattern
from pipeline.errors import CauceError, DataError, DefinitionError, did_you_mean

EPOCH = "epoch"
MARKER = "_SUCCESS"


def cut(file: Path, column: str, form: str, target: str, *, first: str = "", last: str = "") -> dict[str, str]:
    """Writes the spans of a file; returns what became of each, by name: `written`, or `kept` where it was there with these rows.

    Args:
        file: The CSV file, with a header.
        column: Name of the column with the times.
        form: How they are written, for `datetime.strptime`; `epoch` for seconds since 1970.
        target: Pattern of the files to write, such as `spans/{YYYY}-{MM}/rows.csv`.
        first: Name of the first span to write; empty for all from the beginning.
        last: Name of the last one; empty for all to the end.

    Raises:
        DefinitionError: If the pattern names no time, or `first` or `last` is no span of it.
        DataError: If the file has no such column, or a row has no time in it.
    """
    pattern = Pattern(target)
    if pattern.date_form is None:
        raise DefinitionError(f"'{target}' names no time.", hint="Expected {YYYY} and {MM}, then {DD}, then {HH}.")
    try:
        low, high = (pattern.span_number(name) if name else None for name in (first, last))
    except ValueError:
        raise DefinitionError(f"'{first or last}' is no span of '{target}'. Expected one such as {pattern.span_name(600)}.") from None
    texts: dict[str, io.StringIO] = defaultdict(io.StringIO)
    for time, header, row in _rows(file, column, form):
        path = time.strftime(target.replace("{YYYY}", "%Y").replace("{MM}", "%m").replace("{DD}", "%d").replace("{HH}", "%H"))
        number = pattern.span_number(time.strftime(pattern.date_form))
        if (low is None or number >= low) and (high is None or number <= high):
            writer = csv.writer(texts[path], lineterminator="\n")
            if not texts[path].tell():
                writer.writerow(header)
            writer.writerow(row)
    return {path: _write(Path(path), text.getvalue()) for path, text in sorted(texts.items())}


def _rows(file: Path, column: str, form: str) -> Iterator[tuple[datetime.datetime, list[str], list[str]]]:
    """Yields time, header and fields of each row."""
    with file.open(newline="", encoding="utf-8") as lines:
        reader = csv.reader(lines)
        header = next(reader, [])
        if column not in header:
            raise DataError(f"{file} has no column '{column}'.{did_you_mean(column, header)}", hint=f"It has: {', '.join(header)}.")
        place = header.index(column)
        for row in reader:
            try:
                text = row[place]
                utc = datetime.UTC
                yield (
                    datetime.datetime.fromtimestamp(int(text), utc) if form == EPOCH else datetime.datetime.strptime(text, form),
                    header,
                    row,
                )
            except (ValueError, IndexError) as error:
                raise DataError(f"{file}, line {reader.line_num}: no time in '{column}': {error}.") from error


def _write(path: Path, text: str) -> str:
    if path.is_file() and path.read_text(encoding="utf-8") == text and (path.parent / MARKER).is_file():
        return "kept"
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
    (path.parent / MARKER).touch()
    return "written"


def main() -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="the CSV file")
    parser.add_argument("--column", required=True, help="the column with the times")
    parser.add_argument("--format", default=EPOCH, help="how they are written, as for strptime (default: epoch, seconds since 1970)")
    parser.add_argument("--to", required=True, metavar="PATTERN", help="files to write")
    parser.add_argument("--first", default="", metavar="SPAN", help="the first span to write")
    parser.add_argument("--last", default="", metavar="SPAN", help="the last span to write")
    arguments = parser.parse_args()
    try:
        done = cut(arguments.file, arguments.column, arguments.format, arguments.to, first=arguments.first, last=arguments.last)
    except (CauceError, OSError) as error:
        print(f"{error}", file=sys.stderr)
        return 2
    kinds = {kind: [path for path, what in done.items() if what == kind] for kind in ("written", "kept")}
    for kind, paths in kinds.items():
        print(f"{kind}: {len(paths)}" + (f", {paths[0]} to {paths[-1]}" if paths else ""))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
