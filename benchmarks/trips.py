"""Makes the data: the trips of TFX's taxi example as they are, and repeated."""

from __future__ import annotations

import shutil
from pathlib import Path


def taxi_data(source: Path, folder: Path, *, times: int = 1) -> Path:
    """Returns a folder with one CSV file, `source` with its rows `times` times below one header; made if it is not there."""
    target = folder / f"taxi-{times}" / "trips.csv"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        header, _, rows = source.read_bytes().partition(b"\n")
        unfinished = target.with_suffix(".part")
        with unfinished.open("wb") as file:
            file.write(header + b"\n")
            for _ in range(times):
                file.write(rows if rows.endswith(b"\n") else rows + b"\n")
        unfinished.replace(target)
    return target.parent


def span_data(source: Path, folder: Path, *, spans: int, times: int) -> Path:
    """Returns a folder with `span-1` to `span-<spans>`, each the rows of `source` `times` times, begun at another row."""
    target = folder / f"spans-{spans}-{times}"
    if not target.is_dir():
        unfinished = empty_folder(target.with_suffix(".part"))
        header, *rows = source.read_bytes().splitlines(keepends=True)
        for number in range(1, spans + 1):
            first = number * len(rows) // spans % len(rows)
            (unfinished / f"span-{number}").mkdir()
            (unfinished / f"span-{number}" / "trips.csv").write_bytes(header + b"".join(rows[first:] + rows[:first]) * times)
        unfinished.rename(target)
    return target


def empty_folder(folder: Path) -> Path:
    """Returns the folder, emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
