"""Tiny real components for the tests of the engine: a source, a doubler, one that fails, one that kills its process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pipeline.artifacts import Artifact
from pipeline.cache import KeyPart
from pipeline.component import Component, Input, Output, component
from pipeline.driver import Driver, Prepared
from pipeline.errors import DataError
from pipeline.hashing import digest_file


class Numbers(Artifact):
    """`numbers.json`: a list of integers."""

    TYPE_NAME = "FakeNumbers"


def read(numbers: Artifact) -> list[int]:
    """Returns the integers of an artifact."""
    return [int(number) for number in json.loads((numbers.path / "numbers.json").read_text())]


def write(numbers: Artifact, values: list[int]) -> None:
    """Writes the integers of an artifact."""
    (numbers.path / "numbers.json").write_text(json.dumps(values))


class Source(Component):
    """Makes the numbers that it is given."""

    isolated = False

    def execute(self, context, numbers: Output[Numbers], *, values: tuple[int, ...] = (1, 2, 3)) -> None:  # type: ignore[no-untyped-def]
        write(numbers, list(values))
        numbers.properties["total"] = sum(values)


class Doubler(Component):
    """Multiplies each number."""

    def execute(self, context, numbers: Input[Numbers], doubled: Output[Numbers], *, factor: int = 2) -> None:  # type: ignore[no-untyped-def]
        values = read(numbers)
        context.progress("doubling", rows=len(values))
        write(doubled, [factor * value for value in values])
        context.count_rows(len(values), {"all": len(values)})


@component
def Adder(first: Input[Numbers], second: Input[Numbers] | None, added: Output[Numbers]) -> None:
    """Adds two lists of numbers; the second may be missing."""
    others = read(second) if second else [0] * len(read(first))
    write(added, [a + b for a, b in zip(read(first), others, strict=True)])


class NearDoubler(Doubler):
    """Multiplies each number, in the process of the run."""

    isolated = False


class UnknownError(DataError):
    """An error of a class that only this module knows, and that cannot be sent anywhere."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = sys.stdout


class Failing(Component):
    """Fails in the way it is told, as long as its marker file is missing."""

    def execute(self, context, numbers: Input[Numbers], result: Output[Numbers], *, how: str = "raise", marker: str = "") -> None:  # type: ignore[no-untyped-def]
        write(result, read(numbers))
        if marker and Path(marker).exists():
            return
        if marker:
            Path(marker).touch()
        _FAILURES[how](context, result)


def _raise(context: Any, result: Artifact) -> None:
    raise ValueError("as it was told")


def _fill(folder: Path) -> None:
    with (folder / "large").open("wb", buffering=0) as file:
        for _ in range(1 << 14):
            file.write(bytes(1 << 12))


def _lose(context: Any, result: Artifact) -> None:
    context.count_rows(3, {"all": 2})


def _empty(context: Any, result: Artifact) -> None:
    (result.path / "numbers.json").unlink()


def _property(context: Any, result: Artifact) -> None:
    result.properties["model"] = object()  # type: ignore[assignment]


def _unknown_error(context: Any, result: Artifact) -> None:
    raise UnknownError("only I know this")


_FAILURES = {
    "raise": _raise,
    "exit": lambda context, result: os._exit(7),
    "leave": lambda context, result: sys.exit(3),
    "kill": lambda context, result: os.kill(os.getpid(), signal.SIGKILL),
    "sleep": lambda context, result: time.sleep(60),
    "fill": lambda context, result: _fill(result.path),
    "fill state": lambda context, result: _fill(context.state),
    "lose": _lose,
    "empty": _empty,
    "property": _property,
    "unknown error": _unknown_error,
}


class NearFailing(Failing):
    """Fails in the process of the run."""

    isolated = False


class Sleeping(Component):
    """Writes the ids of its process and of one that it has started into a file, and sleeps."""

    def execute(self, context, numbers: Input[Numbers], slept: Output[Numbers], *, pids: str, seconds: float = 60) -> None:  # type: ignore[no-untyped-def]
        started = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"])
        write(slept, read(numbers))
        temporary = Path(f"{pids}.tmp")
        temporary.write_text(f"{os.getpid()} {started.pid}")
        temporary.replace(pids)
        context.progress("sleeping")
        time.sleep(seconds)


class Meeting(Component):
    """Waits until the other node of the same folder works too; fails if it does not come."""

    def execute(self, context, numbers: Input[Numbers], met: Output[Numbers], *, folder: str, other: str) -> None:  # type: ignore[no-untyped-def]
        (Path(folder) / context.node).touch()
        deadline = time.monotonic() + 20
        while not (Path(folder) / other).exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{other} did not come")
            time.sleep(0.005)
        write(met, read(numbers))


class Applying(Component):
    """Applies a function of the user to the list."""

    user_code = ("function",)
    isolated = False

    def execute(self, context, numbers: Input[Numbers], applied: Output[Numbers], *, function: str) -> None:  # type: ignore[no-untyped-def]
        write(applied, context.load(function, default="apply")(read(numbers)))


class FileDriver(Driver):
    """Knows the file by its content."""

    def prepare(self, node: Component, inputs: Any, project: Path) -> Prepared:
        file = project / node.parameters["file"]
        if not file.is_file():
            raise DataError(f"{file} is missing")
        return Prepared(
            {"file": str(file)},
            parts=(KeyPart("input files", digest_file(file), f"1 file, {file.stat().st_size} bytes"),),
            left_out=frozenset({"file"}),
            notes={"span": 4},
        )


class FileSource(Component):
    """Reads the numbers of a file."""

    driver = FileDriver
    isolated = False

    def execute(self, context, numbers: Output[Numbers], *, file: str) -> None:  # type: ignore[no-untyped-def]
        write(numbers, [int(word) for word in Path(file).read_text().split()])


class LatestDriver(Driver):
    """Selects the newest numbers that the pipeline has."""

    def resolve(self, node: Component, history: Any) -> Any:
        found = next(history.artifacts("FakeNumbers"), None)
        return {"numbers": (found,) if found else ()}, f"the newest is {found.name if found else 'none'}"


class Latest(Component):
    """Selects the newest numbers of the history, or nothing."""

    driver = LatestDriver
    isolated = False

    def execute(self, context, numbers: Output[Numbers]) -> None:  # type: ignore[no-untyped-def]
        raise NotImplementedError


class Maybe(Component):
    """Leaves its output empty if it is told so."""

    isolated = False

    def execute(self, context, numbers: Input[Numbers], kept: Output[Numbers] | None, *, keep: bool = True) -> None:  # type: ignore[no-untyped-def]
        context.decide("kept" if keep else "dropped", ["as it was told"])
        if keep:
            write(kept, read(numbers))  # type: ignore[arg-type]


class Blocking(Component):
    """Blocks the run if a number is over the limit."""

    isolated = False

    def execute(self, context, numbers: Input[Numbers], checked: Output[Numbers], *, limit: int = 100) -> None:  # type: ignore[no-untyped-def]
        write(checked, read(numbers))
        worst = max(read(numbers))
        reason = f"the largest number is {worst}, the limit is {limit}"
        context.decide("blocked" if worst > limit else "valid", [reason], blocks=worst > limit)


class Marked(Component):
    """Leaves a file that is empty beside one that is not, as a blessing does."""

    isolated = False

    def execute(self, context, marked: Output[Numbers]) -> None:  # type: ignore[no-untyped-def]
        write(marked, [1])
        (marked.path / "MARK").touch()
