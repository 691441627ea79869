"""Time, as the scheduler sees it; tests bring a clock that they move."""

from __future__ import annotations

import threading
import time


class Clock:
    """The clock of the machine."""

    def now(self) -> int:
        """Returns the moment, in milliseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Returns seconds that no change of the clock on the wall touches."""
        return time.monotonic()

    def wait(self, woken: threading.Event, seconds: float) -> None:
        """Waits until the event is set, or so many seconds have passed."""
        woken.wait(seconds)
