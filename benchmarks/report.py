"""The rows of the table, and their forms: terminal, JSON, Markdown."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

_LIBRARIES = (
    "cauce",
    "tensorflow",
    "keras",
    "apache-beam",
    "tensorflow-data-validation",
    "tensorflow-transform",
    "tensorflow-model-analysis",
    "ml-metadata",
)
_MARK = "<!-- results -->"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: What was measured.
        unit: Unit of `ours` and `peer`.
        ours: Measured values of cauce; their median counts.
        peer: The same of TFX; empty where there is nothing to compare with.
        most_value: The most that `ours` may be; None for no limit.
        most_ratio: The most that `ours` divided by `peer` may be; None for no limit.
    """

    name: str
    unit: str
    ours: Sequence[float]
    peer: Sequence[float] = ()
    most_value: float | None = None
    most_ratio: float | None = None

    @property
    def ratio(self) -> float | None:
        """Median of cauce over median of TFX."""
        return statistics.median(self.ours) / statistics.median(self.peer) if self.peer else None

    @property
    def passed(self) -> bool:
        """Whether it stays within its limits; true where it has none."""
        value = self.most_value is None or statistics.median(self.ours) <= self.most_value
        return value and (self.most_ratio is None or (self.ratio is not None and self.ratio <= self.most_ratio))

    def cells(self) -> tuple[str, ...]:
        """Returns the row as text: what, TFX, cauce, ratio, at most, verdict."""
        limits = [f"{self.most_value:g} {self.unit}"] if self.most_value is not None else []
        limits += [f"{self.most_ratio:.3f} of TFX"] if self.most_ratio is not None else []
        peer, ratio = self._median(self.peer), "" if self.ratio is None else f"{self.ratio:.3f}"
        return self.name, peer, self._median(self.ours), ratio, ", ".join(limits), ("pass" if self.passed else "FAIL") if limits else ""

    def _median(self, values: Sequence[float]) -> str:
        return f"{statistics.median(values):.2f} {self.unit}" if values else ""


HEADINGS = ("what", "TFX", "cauce", "ratio", "at most", "")


def machine(peer_constraints: Path) -> dict[str, Any]:
    """Returns what the figures were measured on."""
    model = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "?"
    )
    pins = dict(line.split("==") for line in peer_constraints.read_text(encoding="utf-8").split())
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "load_at_start": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cauce": {name: importlib.metadata.version(name) for name in _LIBRARIES},
        "tfx": {name: pins[name] for name in ("tfx", *_LIBRARIES[1:])},
    }


def print_table(rows: Sequence[Row], facts: dict[str, Any]) -> None:
    """Prints the table for a person."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*HEADINGS, caption=_caption(facts))
    for row in rows:
        table.add_row(*row.cells(), style=None if row.passed else "bold red")
    Console().print(table)


def to_json(rows: Sequence[Row], facts: dict[str, Any], runs: dict[str, Any]) -> str:
    """Returns everything that was measured."""
    lines = [{**asdict(row), "ratio": row.ratio, "passed": row.passed} for row in rows]
    return json.dumps({"machine": facts, "rows": lines, "runs": runs}, indent=1, default=sorted) + "\n"


def update_document(document: Path, rows: Sequence[Row], facts: dict[str, Any]) -> None:
    """Replaces the part of a Markdown file between its two marks by the table."""
    before, _, after = document.read_text(encoding="utf-8").split(_MARK)
    lines = ["| " + " | ".join(cells) + " |" for cells in (HEADINGS, ("---",) * len(HEADINGS), *(row.cells() for row in rows))]
    table = "\n".join(lines)
    document.write_text(f"{before}{_MARK}\n{table}\n\n{_caption(facts)}\n{_MARK}{after}", encoding="utf-8")


def _caption(facts: dict[str, Any]) -> str:
    hardware = f"{facts['cores']} cores, {facts['cpu']}, {facts['memory_gb']} GB"
    software = f"Python {facts['python']}, TensorFlow {facts['cauce']['tensorflow']}, TFX {facts['tfx']['tfx']}"
    return f"{hardware}, {software}. Medians; load {facts['load_at_start']} at the start."
