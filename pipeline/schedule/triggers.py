"""Triggers: what makes a schedule run. Those of the clock know their due times; `pipeline.schedule.watching` looks for the others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from cronsim import CronSim, CronSimError

from pipeline.errors import UsageError
from pipeline.hashing import digest
from pipeline.schedule.zones import zone_of

_FIELDS = (
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of month", "1-31"),
    ("month", "1-12 or JAN-DEC"),
    ("day of week", "0-7 or SUN-SAT"),
)
_SECOND = ("second", "0-59")
_KEY = 100
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SHORTCUTS = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *"}


@dataclass(frozen=True)
class Trigger:
    """Base of all triggers."""

    KIND: ClassVar[str] = ""

    @property
    def key(self) -> str:
        """What tells it from the other triggers of its schedule; at most 100 characters."""
        text = f"{self.KIND}:{self._of_key()}"
        return text if len(text) <= _KEY else f"{text[: _KEY - 17]}~{digest(text)[:16]}"

    def _of_key(self) -> str:
        raise NotImplementedError

    def describe(self) -> str:
        """Returns it as a person says it."""
        raise NotImplementedError

    def as_json(self) -> dict[str, Any]:
        """Returns it as JSON values."""
        return {"kind": self.KIND, **asdict(self)}


@dataclass(frozen=True)
class Clocked(Trigger):
    """Base of the triggers whose due times are known beforehand."""

    def due_times(self, after: int) -> Iterator[int]:
        """Yields the due times later than a moment, in order; milliseconds since 1970-01-01 UTC."""
        raise NotImplementedError


@dataclass(frozen=True)
class Cron(Clocked):
    """The times of a cron expression, in a time zone.

    When clocks change, times are those of Debian's cron: an expression with a fixed hour and minute is due once at each local time. A time
    that is skipped is due at the first minute after; one that comes twice is due the first time only. An expression whose hour or minute
    begins with `*` goes by elapsed time: `*/15 * * * *` is due each quarter of an hour, also in the hour that comes twice.

    Args:
        expression: Five fields, six with seconds in front, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
        zone: Name of the time zone.

    Raises:
        UsageError: Naming the field that is wrong, and what it may hold.
    """

    KIND: ClassVar[str] = "cron"
    expression: str
    zone: str = "UTC"

    def __post_init__(self) -> None:
        zone_of(self.zone)
        check_cron(self._written)

    @property
    def _written(self) -> str:
        return _SHORTCUTS.get(self.expression.strip().lower(), self.expression)

    def _of_key(self) -> str:
        return f"{' '.join(self.expression.split())} {self.zone}"

    def describe(self) -> str:
        return f"cron '{self.expression}' ({self.zone})"

    def due_times(self, after: int) -> Iterator[int]:
        zone = UTC if self.zone == "UTC" else zone_of(self.zone)
        # One second earlier than `after`, rounded down: the library begins with the second that follows.
        start = datetime.fromtimestamp(after // 1000 - 1, UTC).astimezone(zone)
        last = after
        try:
            for found in CronSim(self._written, start):
                due = int(found.timestamp()) * 1000
                # After clocks were set back the library may begin an hour early, and two skipped times may be due at the same minute.
                if due > last:
                    last = due
                    yield due
        except RuntimeError:
            return  # of the library, which ends with StopIteration where no time of fifty years fits


def check_cron(expression: str) -> None:
    """Checks a cron expression.

    Raises:
        UsageError: Naming the field that is wrong.
    """
    parts = expression.split()
    if len(parts) not in (5, 6):
        raise UsageError(
            f"A cron expression has five fields (minute, hour, day of month, month, day of week), or six with seconds in front. "
            f"Received {len(parts)}: {expression!r}",
            hint="Put it in quotation marks: --cron '0 6 * * 1-5'",
        )
    names = (_SECOND, *_FIELDS) if len(parts) == 6 else _FIELDS
    now = datetime(2000, 1, 1, tzinfo=UTC)
    for place, (part, (name, allowed)) in enumerate(zip(parts, names, strict=True)):
        alone = ["*"] * len(parts)
        alone[place] = part
        try:
            CronSim(" ".join(alone), now)
        except (CronSimError, AssertionError, ValueError) as error:
            raise UsageError(
                f"The cron expression {expression!r} has a wrong {name}: {part!r}. Expected {allowed}, *, lists, ranges or steps."
            ) from error
    try:
        next(iter(CronSim(expression, now)))
    except (CronSimError, StopIteration, RuntimeError) as error:
        raise UsageError(f"The cron expression {expression!r} names no day that ever comes.") from error


@dataclass(frozen=True)
class Every(Clocked):
    """A time each so many seconds, counted from an anchor.

    Attributes:
        seconds: How many; at least one.
        anchor: The moment that they are counted from, in milliseconds since 1970-01-01 UTC.
    """

    KIND: ClassVar[str] = "every"
    seconds: float
    anchor: int = 0

    def _of_key(self) -> str:
        return f"{self.seconds:g}"

    def describe(self) -> str:
        return f"every {span_text(self.seconds)}"

    def due_times(self, after: int) -> Iterator[int]:
        step = round(self.seconds * 1000)
        number = max(1, (after - self.anchor) // step + 1)
        while True:
            yield self.anchor + number * step
            number += 1


@dataclass(frozen=True)
class SpanArrived(Trigger):
    """A new span, or a new version of one, at a path pattern with `{SPAN}` or a date.

    Attributes:
        pattern: A pattern, several, or a dict of them by split, as ExampleGen's `input`.
        project: Folder that relative patterns are relative to.
        ready: When a span is complete: the name of a file that it holds (`_SUCCESS`), or for how many seconds its files must have
            been left alone. Default: half a second; a span that is written to after that is a new one again.
    """

    KIND: ClassVar[str] = "span"
    pattern: Any
    project: str
    ready: str | float = 0.5

    def _of_key(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        """The pattern as a person writes it."""
        return self.pattern if isinstance(self.pattern, str) else json.dumps(self.pattern)

    def describe(self) -> str:
        ready = f"with {self.ready}" if isinstance(self.ready, str) else f"quiet for {self.ready:g} s"
        return f"a new span at {self.text}, {ready}"


@dataclass(frozen=True)
class FileChanged(Trigger):
    """A file that appears or changes, and then stays the same for `settle` seconds."""

    KIND: ClassVar[str] = "file"
    path: str
    settle: float = 1.0

    def _of_key(self) -> str:
        return self.path

    def describe(self) -> str:
        return f"a new or changed {self.path}"


@dataclass(frozen=True)
class ArtifactMade(Trigger):
    """A new artifact of a type, made by another pipeline."""

    KIND: ClassVar[str] = "artifact"
    pipeline: str
    type: str = "PushedModel"

    def _of_key(self) -> str:
        return f"{self.pipeline}:{self.type}"

    def describe(self) -> str:
        return f"a new {self.type} of '{self.pipeline}'"


@dataclass(frozen=True)
class Drift(Trigger):
    """An ExampleAnomalies of a pipeline that holds drift or skew over the thresholds of its schema."""

    KIND: ClassVar[str] = "drift"
    pipeline: str

    def _of_key(self) -> str:
        return self.pipeline

    def describe(self) -> str:
        return f"drift found by '{self.pipeline}'"


@dataclass(frozen=True)
class ModelAge(Trigger):
    """The newest pushed model of a pipeline is older than so many seconds; again after each such time without a newer one."""

    KIND: ClassVar[str] = "age"
    pipeline: str
    seconds: float

    def _of_key(self) -> str:
        return f"{self.pipeline}:{self.seconds:g}"

    def describe(self) -> str:
        return f"the pushed model of '{self.pipeline}' is older than {span_text(self.seconds)}"


@dataclass(frozen=True)
class Webhook(Trigger):
    """A POST to the daemon, on loopback, with a token.

    Attributes:
        token: Where the token is: `env:NAME` or `file:PATH`.
    """

    KIND: ClassVar[str] = "webhook"
    token: str

    def _of_key(self) -> str:
        return ""

    def describe(self) -> str:
        return f"a webhook (token in {self.token})"


KINDS: dict[str, type[Trigger]] = {
    kind.KIND: kind for kind in (Cron, Every, SpanArrived, FileChanged, ArtifactMade, Drift, ModelAge, Webhook)
}


def trigger_from_json(values: Mapping[str, Any]) -> Trigger:
    """Returns the trigger that `as_json` has written."""
    return KINDS[values["kind"]](**{name: value for name, value in values.items() if name != "kind"})


def seconds_of(text: str) -> float:
    """Returns the seconds of a time such as `90s`, `15m`, `1h30m`, `7d`, `2w`.

    Raises:
        UsageError: For any other text, or one shorter than a second.
    """
    words = re.findall(r"(\d+(?:\.\d+)?)([smhdw])", text)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in words)
    if "".join(number + unit for number, unit in words) != text or seconds < 1:
        raise UsageError(f"A time is written 90s, 15m, 1h30m, 7d or 2w, and is at least a second. Received: {text!r}")
    return seconds


def span_text(seconds: float) -> str:
    """Returns seconds as `seconds_of` reads them: `1h30m`."""
    parts, rest = [], seconds
    for unit, size in sorted(_UNITS.items(), key=lambda item: -item[1]):
        if unit != "w" and rest >= size:
            count, rest = divmod(rest, size)
            parts.append(f"{count:g}{unit}")
    return "".join(parts) if not rest else f"{seconds:g}s"


def next_times(triggers: tuple[Trigger, ...], after: int, count: int) -> list[tuple[int, Clocked]]:
    """Returns the next due times of all triggers of the clock, each with its trigger."""
    found: list[tuple[int, Clocked]] = []
    for trigger in triggers:
        if isinstance(trigger, Clocked):
            found.extend((due, trigger) for due, _ in zip(trigger.due_times(after), range(count)))
    return sorted(found, key=lambda item: item[0])[:count]
