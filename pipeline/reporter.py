"""What the engine tells while it works. The engine never prints; it calls a reporter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.context import Progress
    from pipeline.driver import Decision, RunInfo
    from pipeline.outcome import Outcome, RunResult


class Reporter:
    """Hears what happens, and by default says nothing. Its methods are called from several threads."""

    def run_started(self, run: RunInfo, nodes: Sequence[str], log_folder: str) -> None:
        """A run begins, with these nodes in this order."""

    def node_decided(self, node: str, decision: Decision) -> None:
        """A driver has decided."""

    def node_progress(self, node: str, progress: Progress) -> None:
        """An executor says how far it is."""

    def node_memory(self, node: str, resident: int) -> None:
        """An executor's process holds so many bytes."""

    def node_retried(self, node: str, attempt: int, error: str, delay: float) -> None:
        """An executor failed and is started again after `delay` seconds."""

    def node_finished(self, node: str, outcome: Outcome) -> None:
        """A node has ended, in whatever way."""

    def run_finished(self, result: RunResult) -> None:
        """The run has ended."""

    def note(self, text: str, details: Mapping[str, str] | None = None) -> None:
        """Something worth a line, for example that an interrupted run was found."""
