"""What is inside an artifact, on a terminal: one renderer for each artifact type, chosen by its name.

A renderer reads `summary.json` (for a ModelBlessing `blessing.json`), never the payload, and takes keys that are missing for unknown.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from pipeline.artifacts import Artifact, ArtifactState
from pipeline.errors import DataError
from pipeline.storage import damage

Renderer = Callable[[dict[str, Any]], list[RenderableType]]

# Type name -> (module, function); imported when it is needed.
_RENDERERS = {
    "Examples": ("examples", "render"),
    "ExampleStatistics": ("statistics", "render"),
    "Schema": ("schema", "render"),
    "ExampleAnomalies": ("anomalies", "render"),
    "RetrainingDecision": ("decision", "render"),
    "TransformGraph": ("transform", "render"),
    "Model": ("model", "render_model"),
    "ModelRun": ("model", "render_run"),
    "ModelEvaluation": ("evaluation", "render_evaluation"),
    "ModelBlessing": ("evaluation", "render_blessing"),
}


def read_summary(artifact: Artifact) -> dict[str, Any]:
    """Returns what the producer says of the payload; empty if it says nothing.

    Raises:
        DataError: If the file is damaged.
    """
    blessing = artifact.path / "blessing.json"
    if artifact.type_name != "ModelBlessing" or not blessing.is_file():
        return artifact.summary()
    try:
        return dict(json.loads(blessing.read_text(encoding="utf-8")))
    except ValueError as error:
        raise DataError(f"{blessing} is damaged: {error}", hint=f"Run its node again: --rerun {artifact.producer}") from error


def problem_of(artifact: Artifact) -> str | None:
    """Returns why the payload is not there as it was published; None if it is."""
    if artifact.state is ArtifactState.DELETED:
        return "Its files were removed by cauce gc; the metadata store still knows where it came from."
    found = damage(artifact)
    return f"It is damaged: {found}. Make it again: cauce run PATH --rerun {artifact.producer}" if found else None


def contents(artifact: Artifact, summary: dict[str, Any]) -> list[RenderableType]:
    """Returns what to print below the header of an artifact."""
    if artifact.type_name in _RENDERERS and summary:
        module, function = _RENDERERS[artifact.type_name]
        renderer: Renderer = getattr(importlib.import_module(f"pipeline.cli.show.{module}"), function)
        try:
            return renderer(summary)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            return [Text(f"Its summary is not laid out as expected: {type(error).__name__}: {error}", style="yellow")]
    from pipeline.cli.show.files import render

    return render(artifact, summary)
