"""The daemon's metrics, as Prometheus reads them: counted in the database, so that they go on where the last daemon stopped."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from pipeline.schedule.model import TickState
from pipeline.schedule.reports import DaemonReport, ScheduleReport

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metrics_text(daemon: DaemonReport, schedules: list[ScheduleReport]) -> bytes:
    """Returns all metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Metrics(daemon, schedules))  # type: ignore[arg-type]
    return generate_latest(registry)


class _Metrics:
    def __init__(self, daemon: DaemonReport, schedules: list[ScheduleReport]) -> None:
        self._daemon, self._schedules = daemon, schedules

    def collect(self) -> Iterator[Metric]:
        daemon = self._daemon
        yield GaugeMetricFamily("cauce_schedule_schedules", "Schedules.", value=len(self._schedules))
        yield GaugeMetricFamily("cauce_schedule_running", "Runs that go on.", value=len(daemon.running))
        yield GaugeMetricFamily("cauce_schedule_places", "Runs that may go on at once.", value=daemon.places)
        yield GaugeMetricFamily("cauce_schedule_waiting", "Ticks that wait.", value=daemon.waiting)
        yield GaugeMetricFamily("cauce_schedule_last_tick_seconds", "When the latest tick was recorded.", value=daemon.last_tick / 1000)
        yield GaugeMetricFamily("cauce_schedule_seen_seconds", "The daemon's last sign of life.", value=daemon.seen / 1000)
        ticks = CounterMetricFamily("cauce_schedule_ticks", "Ticks, by what became of them.", labels=["schedule", "state"])
        next = GaugeMetricFamily("cauce_schedule_next_seconds", "The next time of a schedule.", labels=["schedule"])
        last = GaugeMetricFamily("cauce_schedule_last_ended_seconds", "When its latest tick was decided.", labels=["schedule", "state"])
        for schedule in self._schedules:
            for state in TickState:
                if not state.is_open:
                    ticks.add_metric([schedule.name, state.value], schedule.counts.get(state.value, 0))
            for due, _ in schedule.next[:1]:
                next.add_metric([schedule.name], due / 1000)
            for tick in schedule.latest[-1:]:
                last.add_metric([schedule.name, tick.state], tick.decided / 1000)
        yield from (ticks, next, last)
