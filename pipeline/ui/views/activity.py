"""What a run has told so far, read from its file of events a piece at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from pipeline.events import read_events
from pipeline.ui.site import Site

MOST_POINTS = 1_000
_STEPS = "step"
_TOTALS = ("steps",)
_KEPT = 64


@dataclass(frozen=True)
class Series:
    """The values of one name over the steps of a node."""

    name: str
    steps: tuple[float, ...]
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class NodeActivity:
    """How far a node is.

    Attributes:
        message: What it does, as it said last.
        rows: Records handled so far; None where it did not say.
        fields: Further values that it told last.
        share: How much of its work is done, from 0 to 1, where it told steps and how many there are; else None.
        memory: The bytes that its process held when it was looked at last.
        series: The numbers that it told over its steps, such as the loss.
        retries: Why it was started again, one for each time.
    """

    message: str = ""
    rows: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    share: float | None = None
    memory: int = 0
    series: tuple[Series, ...] = ()
    retries: tuple[str, ...] = ()


@dataclass
class _Heard:
    """What was heard of a node."""

    last: dict[str, Any] = field(default_factory=dict)
    memory: int = 0
    retries: list[str] = field(default_factory=list)
    points: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def hear(self, event: Mapping[str, Any]) -> None:
        match event["event"]:
            case "node_decided":
                self.__init__()  # type: ignore[misc]  # it begins anew in a run that is resumed
            case "node_progress":
                self.last = dict(event)
                self._keep(event.get("fields"))
            case "node_memory":
                self.memory = int(event.get("bytes") or 0)
            case "node_retried":
                self.retries.append(str(event.get("error", "")))

    def _keep(self, fields: object) -> None:
        step = fields.get(_STEPS) if isinstance(fields, dict) else None
        if not isinstance(fields, dict) or not _is_number(step):
            return
        for name, value in fields.items():
            if name != _STEPS and name not in _TOTALS and _is_number(value):
                points = self.points.setdefault(str(name), [])
                points.append((float(step), float(value)))
                if len(points) > 2 * MOST_POINTS:
                    del points[1:-1:2]

    def told(self) -> NodeActivity:
        fields = self.last.get("fields")
        fields = fields if isinstance(fields, dict) else {}
        rows = self.last.get("rows")
        return NodeActivity(
            str(self.last.get("message", "")),
            int(rows) if _is_number(rows) else None,
            fields,
            _share(fields),
            self.memory,
            tuple(Series(name, *map(tuple, zip(*points))) for name, points in self.points.items()),  # type: ignore[arg-type]
            tuple(self.retries),
        )


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _share(fields: Mapping[str, Any]) -> float | None:
    done, total = fields.get(_STEPS), fields.get(_TOTALS[0])
    if not (_is_number(done) and _is_number(total)) or total <= 0:
        return None
    return max(0.0, min(1.0, done / total))


class Activities:
    """What runs have told; each event is read once.

    Args:
        site: The site.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._files: OrderedDict[Path, tuple[int, dict[str, _Heard]]] = OrderedDict()

    def of(self, run: str) -> dict[str, NodeActivity]:
        """Returns how far each node of a run is that has said something."""
        file = self._site.storage.events(run)
        with self._lock:
            offset, heard = self._files.pop(file, (0, {}))
            while True:
                events, end = read_events(file, offset)
                for event in events:
                    if "node" in event:
                        heard.setdefault(str(event["node"]), _Heard()).hear(event)
                if end == offset:
                    break
                offset = end
            self._files[file] = (offset, heard)
            while len(self._files) > _KEPT:
                self._files.popitem(last=False)
            return {node: found.told() for node, found in heard.items()}
