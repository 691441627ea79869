"""What the verbs of `cauce schedule` share: the scheduler's database, opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Settings, load_settings
from pipeline.extensions import spans
from pipeline.metadata import MetadataStore
from pipeline.schedule.clock import Clock
from pipeline.schedule.reports import Reports
from pipeline.schedule.state import State
from pipeline.schedule.watching import Watcher


@dataclass(frozen=True)
class Opened:
    """Settings, and the scheduler's database that they name."""

    settings: Settings
    state: State
    clock: Clock

    @property
    def reports(self) -> Reports:
        """What is shown."""
        return Reports(self.settings.metadata_url, clock=self.clock)

    @property
    def watcher(self) -> Watcher:
        """What looks at triggers that are not of the clock."""
        return Watcher(spans().available, lambda: MetadataStore(self.settings.metadata_url))


def opened(root: str | None, metadata: str | None, *, start: Path | None = None) -> Opened:
    """Opens the scheduler's database, and makes it where there is none yet."""
    settings = load_settings(start or Path.cwd(), {"root": root, "metadata": metadata})
    return Opened(settings, State(settings.metadata_url), Clock())
