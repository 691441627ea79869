"""Progress while a model trains: round, step, loss, metrics, rows per second, time left, processor and GPU memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from components.trainer.moment import Listener, Moment, Plan, Report
from pipeline.wording import duration

if TYPE_CHECKING:
    import keras

_SECONDS_BETWEEN_REPORTS = 0.3
_SHOWN_METRICS = 4


class Pace:
    """How fast rows are trained on; evaluations and other pauses are left out.

    Attributes:
        steps: Training steps since it began.
        seconds: Time that they took.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.seconds = 0.0
        self._since: float | None = None

    def go(self) -> None:
        """Training begins, or goes on."""
        self._since = time.monotonic()

    def stop(self, steps: int) -> None:
        """Training pauses after so many steps."""
        if self._since is not None:
            self.seconds += time.monotonic() - self._since
            self.steps += steps
            self._since = None

    def rows_per_second(self, batch_size: int, running: int = 0) -> float | None:
        """Returns the rows per second; None before the first steps. `running` are the steps since it went on."""
        seconds = self.seconds + (time.monotonic() - self._since if self._since is not None else 0.0)
        steps = self.steps + running
        return steps * batch_size / seconds if steps and seconds > 0 else None


class Reporting(Listener):
    """Reports progress a few times per second, and looks at the data that wait.

    Args:
        report: Takes a message and fields.
        plan: How long is trained.
        look: Called at each report with the moment, once the steps are really done.
    """

    def __init__(self, report: Report, plan: Plan, look: Callable[[Moment], None] | None = None) -> None:
        self._report = report
        self._plan = plan
        self._look = look
        self._next = 0.0
        self._first: tuple[float, int] | None = None
        self._devices = _Devices()

    def training_begins(self, model: keras.Model) -> None:
        """Says so: the first step takes long, for the graph is built in it."""
        self._report("building the training step")

    def steps_done(self, moment: Moment) -> None:
        """Reports, where the last time is long enough ago."""
        now = time.monotonic()
        if self._first is None:
            self._first = (now, moment.step)
        if now < self._next:
            return
        self._next = now + _SECONDS_BETWEEN_REPORTS
        if self._look is not None:
            self._look(moment)
        self._report("training", **self._fields(moment, now))

    def round_done(self, moment: Moment) -> None:
        """Reports the values of the evaluation."""
        values = {name: _rounded(value) for name, value in moment.logs.items() if name != "learning_rate"}
        self._report("evaluated", step=moment.step, steps=self._plan.steps, **values)

    def _fields(self, moment: Moment, now: float) -> dict[str, Any]:
        plan = self._plan
        fields: dict[str, Any] = {}
        if plan.rounds > 1:
            fields["epoch" if plan.rounds_are_epochs else "round"] = f"{moment.round + 1}/{plan.rounds}"
        fields |= {"step": moment.step, "steps": plan.steps}
        fields |= {name: _rounded(value) for name, value in list(moment.logs.items())[: 1 + _SHOWN_METRICS]}
        since, first = self._first or (now, moment.step)
        if moment.step > first and now > since:
            per_second = (moment.step - first) / (now - since)
            fields["rows_per_s"] = round(per_second * plan.batch_size)
            fields["left"] = duration((plan.steps - moment.step) / per_second)
        return fields | self._devices.fields()


class _Devices:
    """How busy the processor is, and how much memory of the GPU is used."""

    def __init__(self) -> None:
        import psutil

        self._process = psutil.Process()
        self._process.cpu_percent()

    def fields(self) -> dict[str, str]:
        """Returns what is known."""
        found = {"cpu": f"{self._process.cpu_percent():.0f} %", "memory": f"{self._process.memory_info().rss / 1e9:.1f} GB"}
        used = _gpu_memory()
        return found | ({"gpu": f"{used / 1e9:.1f} GB"} if used is not None else {})


def _gpu_memory() -> int | None:
    """Returns the memory that TensorFlow holds on the first GPU; None without one."""
    import tensorflow as tf

    try:
        return int(tf.config.experimental.get_memory_info("GPU:0")["current"]) if tf.config.list_logical_devices("GPU") else None
    except (ValueError, RuntimeError):
        return None


def _rounded(value: float) -> float:
    return round(float(value), 5)
