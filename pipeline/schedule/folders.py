"""Which of many folders have changed: the system tells at once where it can; a look at their times tells a little later everywhere.

Network file systems tell nothing of what another machine writes, and a system lets a user watch so many folders and no more: hence both.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import watchfiles

from pipeline.schedule.clock import Clock
from pipeline.schedule.logs import say

LOOK = 0.5
"""Seconds between two looks at the times of folders, where there are few of them."""

_SHARE = 500  # a look at the times is paid off by so many times its cost without one: 0.2 % of a core
_STEP, _TIMEOUT = 50, 5_000


class Folders:
    """Watches folders and files.

    Args:
        clock: The time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wanted: frozenset[str] = frozenset()
        self._anchors: Mapping[str, frozenset[str]] = {}
        self._told: set[str] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._next_look = float("-inf")

    def watch(self, paths: Iterable[str], woken: threading.Event) -> None:
        """Watches these paths, and no others any more; sets the event when one changes. All of them are looked at once more."""
        wanted = frozenset(paths)
        if wanted == self._wanted:
            return
        self.end()
        self._wanted, self._next_look = wanted, float("-inf")
        anchors: dict[str, set[str]] = defaultdict(set)
        for path in wanted:
            anchors[_nearest_folder(path)].add(path)
        self._anchors = {anchor: frozenset(below) for anchor, below in anchors.items()}
        if wanted:
            self._ended = threading.Event()
            threading.Thread(target=self._listen, args=(self._anchors, self._ended, woken), name="folders", daemon=True).start()

    def _listen(self, anchors: Mapping[str, frozenset[str]], ended: threading.Event, woken: threading.Event) -> None:
        try:
            for changes in watchfiles.watch(
                *anchors,
                watch_filter=None,
                debounce=2 * _STEP,
                step=_STEP,
                stop_event=ended,
                rust_timeout=_TIMEOUT,
                raise_interrupt=False,
                recursive=False,
                ignore_permission_denied=True,
            ):
                with self._lock:
                    for _, path in changes:
                        self._told |= anchors.get(path, frozenset()) | anchors.get(os.path.dirname(path), frozenset())  # noqa: PTH120 - text
                woken.set()
        except (OSError, RuntimeError) as error:
            if not ended.is_set():
                say("folders", f"the system does not tell of changes in folders ({error}); their times are looked at instead")

    def end(self) -> None:
        """Watches nothing any more."""
        self._ended.set()
        self._wanted = frozenset()

    def told(self) -> set[str]:
        """Returns the paths that the system has told of since the last call."""
        with self._lock:
            told, self._told = self._told, set()
        return told

    def look(self, times: Iterable[tuple[str, int]]) -> set[str]:
        """Returns the paths whose times are others than these; looks, and goes through them, no more often than is paid off."""
        if self._clock.monotonic() < self._next_look:
            return set()
        before = self._clock.monotonic()
        changed = {path for path, time in times if time_of(path) != time}
        cost = self._clock.monotonic() - before
        self._next_look = before + max(LOOK * 0.9, _SHARE * cost)
        return changed


def time_of(path: str) -> int:
    """Returns when a path was changed, in nanoseconds since 1970-01-01 UTC; 0 if it is not there."""
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - called thousands of times in a look; a Path costs three times as much
    except OSError:
        return 0


def _nearest_folder(path: str) -> str:
    """Returns a path if it is a folder, else the nearest folder above it that is there."""
    return next((str(folder) for folder in (Path(path), *Path(path).parents) if folder.is_dir()), "/")
