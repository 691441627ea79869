"""What is kept of an evaluation besides the metrics, for a person to look at: plots, their pictures, and the worst rows.

They go through a file, `views.json`, since the evaluation may end in another process; the summary takes them up, and the file goes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.evaluator.subject import Subject
from components.evaluator.worst import Worst, write_worst

FILE = "views.json"


@dataclass(frozen=True)
class Viewing:
    """What is kept.

    Attributes:
        worst: Rows to look at, of each kind; 0 for none.
        key: The feature that identifies a row; empty for none.
        pictures: Whether plots are drawn as PNG files.
    """

    worst: int = 20
    key: str = ""
    pictures: bool = True


def write_views(plots: Mapping[str, Mapping[str, Any]], worst: Worst, subject: Subject, viewing: Viewing, folder: Path) -> None:
    """Writes `views.json` with pictures, and media of the worst rows, beside it.

    Args:
        plots: By role, `candidate` or `baseline`.
        worst: The rows to look at.
        subject: What is evaluated.
        viewing: What is kept.
        folder: The artifact's folder.
    """
    views: dict[str, Any] = {
        "task": subject.task,
        "classes": list(subject.classes),
        "steps": subject.steps or None,
        "plots": plots,
        "pictures": [],
    }
    if viewing.pictures and any(plots.values()):
        from components.evaluator.pictures import draw

        views["pictures"] = draw(plots, folder)
    told = write_worst(worst, subject, viewing.key, folder)
    if told is not None:
        views["worst"] = told
    text = json.dumps(views, indent=None, separators=(",", ":"), sort_keys=True, allow_nan=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def take_views(folder: Path) -> dict[str, Any]:
    """Returns what `write_views` wrote, and removes the file; where there was nothing to see, what says so."""
    file = folder / FILE
    if not file.is_file():
        return {"task": "other", "classes": [], "steps": None, "plots": {}, "pictures": []}
    views = dict(json.loads(file.read_text(encoding="utf-8")))
    file.unlink()
    return views
