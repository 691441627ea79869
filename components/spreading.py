"""Does work on files here, or on the runner that the node's `beam_args` name."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pipeline.beam import LOCAL_RUNNERS, runner_name
from pipeline.context import Context
from pipeline.errors import CauceError

Item = TypeVar("Item")
Result = TypeVar("Result")


def uses_beam(context: Context) -> bool:
    """Tells whether the node's work goes to another runner than the local one, which would only cost time here."""
    return runner_name(context.beam_args) not in LOCAL_RUNNERS


def row_counter(context: Context, message: str) -> Callable[[int], None] | None:
    """Returns what shows how many rows are done as it is told of further ones; None where the work is done elsewhere."""
    if uses_beam(context):
        return None
    done = 0

    def count(rows: int) -> None:
        nonlocal done
        done += rows
        context.progress(message, rows=done)

    return count


def map_items(context: Context, label: str, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Returns `function` of each item; with Beam, function, items and results are sent to other processes and back.

    Raises:
        CauceError: What `function` raised, also in another process.
    """
    if not uses_beam(context):
        return [function(item) for item in items]
    import apache_beam as beam

    folder = context.temp / label
    folder.mkdir()
    with context.beam() as pipeline:
        numbered = (
            pipeline
            | f"{context.node} {label}" >> beam.Create(list(enumerate(items)))
            | f"{context.node} {label} apart" >> beam.Reshuffle()
        )
        _ = numbered | f"{context.node} {label} each" >> beam.Map(functools.partial(_store_result, function=function, folder=str(folder)))
    return [_result(folder / str(number)) for number in range(len(items))]


def _store_result(numbered: tuple[int, Item], *, function: Callable[[Item], Result], folder: str) -> None:
    number, item = numbered
    try:
        outcome: Result | CauceError = function(item)
    except CauceError as error:
        outcome = error
    part = Path(folder) / f".{number}.part"
    part.write_bytes(pickle.dumps(outcome))
    part.rename(Path(folder) / str(number))


def _result(file: Path) -> Any:
    outcome = pickle.loads(file.read_bytes())
    if isinstance(outcome, CauceError):
        raise outcome
    return outcome
