"""What a training says of itself: `summary.json` of Model and ModelRun, and the node's verdict where the watch found something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from components.trainer.distribution import Devices
from components.trainer.history import thinned
from components.trainer.preparation import Preparation
from components.trainer.settings import Artifacts, Settings
from components.trainer.stepwise import served_model
from components.trainer.user_module import BUILD_MODEL, BUILD_TRAINER
from pipeline.context import Context

if TYPE_CHECKING:
    from components.trainer.managed import Trained

WARNINGS = "trained with warnings"


def describe(
    context: Context,
    artifacts: Artifacts,
    trained: Trained,
    prepared: Preparation,
    exported: Mapping[str, Any],
    devices: Devices,
    settings: Settings,
) -> None:
    """Writes the summaries, and decides on a verdict where there are warnings."""
    history = trained.history
    way = BUILD_TRAINER if served_model(trained.model) is not trained.model else BUILD_MODEL
    parameters = int(served_model(trained.model).count_params())
    metrics = {name: values[history.best_round - 1] for name, values in history.metrics.items() if name != "learning_rate"}
    artifacts.model.write_summary(
        {
            "way": way,
            "label": prepared.model_context.label,
            "classes": list(prepared.model_context.classes),
            "parameters": parameters,
            "metrics": metrics,
            **exported,
        }
    )
    pace = trained.pace.rows_per_second(prepared.plan.batch_size)
    watcher = trained.watcher
    monitored = settings.early_stopping_patience is not None or settings.learning_rate.schedule == "plateau"
    artifacts.model_run.write_summary(
        {
            "way": way,
            "seed": settings.seed,
            "backend": settings.backend,
            "precision": settings.precision,
            "devices": list(devices.names),
            "strategy": devices.strategy,
            "steps": history.steps,
            "planned_steps": prepared.plan.steps,
            "steps_per_round": prepared.plan.steps_per_round,
            "batch_size": settings.batch_size,
            "parameters": parameters,
            "best_round": history.best_round,
            "monitor": settings.monitor if monitored else None,
            "ended": trained.ended,
            "resumed_at": list(trained.resumed_at),
            "seconds": round(trained.pace.seconds, 3),
            "rows_per_second": None if pace is None else round(pace, 1),
            "waiting": watcher.waiting(),
            "history": history.metrics,
            "curves": thinned(history.curves()),
            "watch": watcher.report(),
        }
    )
    warnings = watcher.warnings()
    if warnings:
        context.decide(WARNINGS, warnings)
