"""Quiet hours: times of the day, in a time zone, in which nothing is started."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from pipeline.errors import UsageError
from pipeline.schedule.zones import moment_at, zone_of

_HOURS = re.compile(r"(\d\d?):(\d\d)-(\d\d?):(\d\d)")


@dataclass(frozen=True)
class QuietHours:
    """Hours such as `22:00-06:00`, by the clock on the wall of a time zone.

    Args:
        text: The first minute that is quiet, and the first that is not; over midnight, where the second is the earlier one.
        zone: Name of the time zone.

    Raises:
        UsageError: For any other text.

    Example:
        >>> QuietHours("22:00-06:00", "UTC").until(0)
        21600000
    """

    text: str
    zone: str = "UTC"

    def __post_init__(self) -> None:
        found = _HOURS.fullmatch(self.text)
        numbers = [int(number) for number in found.groups()] if found else []
        if not found or max(numbers[0], numbers[2]) > 23 or max(numbers[1], numbers[3]) > 59 or numbers[:2] == numbers[2:]:
            raise UsageError(f"Quiet hours are written 22:00-06:00. Received: {self.text!r}")

    @property
    def _bounds(self) -> tuple[time, time]:
        first, _, last = self.text.partition("-")
        return _time(first), _time(last)

    def until(self, now: int) -> int | None:
        """Returns when the quiet hours that hold at a moment end; None where none do. Both in milliseconds since 1970-01-01 UTC."""
        start, end = self._bounds
        local = datetime.fromtimestamp(now / 1000, UTC).astimezone(zone_of(self.zone))
        clock = local.time().replace(microsecond=0, fold=0)
        quiet = start <= clock < end if start < end else clock >= start or clock < end
        if not quiet:
            return None
        day = local.date() if clock < end else local.date() + timedelta(days=1)
        return moment_at(datetime.combine(day, end), self.zone)


def _time(text: str) -> time:
    hour, _, minute = text.partition(":")
    return time(int(hour), int(minute))
