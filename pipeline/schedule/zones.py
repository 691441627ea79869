"""Time zones by name, and the moments that their clocks show."""

from __future__ import annotations

import functools
import zoneinfo
from datetime import UTC, datetime, timedelta

from pipeline.errors import UsageError, did_you_mean


@functools.lru_cache(maxsize=64)
def zone_of(name: str) -> zoneinfo.ZoneInfo:
    """Returns the time zone of a name such as `Europe/Berlin`.

    Raises:
        UsageError: If there is none, with the closest name.
    """
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        hint = _nearest(name)
        raise UsageError(
            f"There is no time zone '{name}'.{hint}", hint="Zones are named by continent and city, as in --timezone Europe/Berlin"
        ) from error


def moment_at(wall: datetime, zone: str) -> int:
    """Returns the moment at which the clock on the wall shows a time, in milliseconds since 1970-01-01 UTC.

    Of two such moments (clocks are set back) it is the later one; where there is none (they are set forward), the first minute after.
    """
    found = wall.replace(tzinfo=zone_of(zone), fold=1)
    while found.astimezone(UTC).astimezone(found.tzinfo).replace(tzinfo=None) != found.replace(tzinfo=None):
        found += timedelta(minutes=1)
    return int(found.timestamp() * 1000)


def _nearest(name: str) -> str:
    known = zoneinfo.available_timezones()
    places = {zone.rpartition("/")[2].lower(): zone for zone in sorted(known)}
    word = name.rpartition("/")[2].replace(" ", "_").lower()
    if word in places:
        return f" Did you mean '{places[word]}'?"
    near = did_you_mean(name, known)
    return near if near.startswith(" Did") else ""
