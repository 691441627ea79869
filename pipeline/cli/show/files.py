"""Any other artifact: what its summary says, and its files."""

from __future__ import annotations

import json
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from pipeline.artifacts import Artifact
from pipeline.cli.common import size, table
from pipeline.hashing import files_below
from pipeline.reports import shortened

_SHOWN = 30
_VALUE_WIDTH = 100


def render(artifact: Artifact, summary: dict[str, Any]) -> list[RenderableType]:
    """Returns the summary as it is, and the files with their sizes."""
    shown: list[RenderableType] = []
    if summary:
        values = [
            [name, shortened(value if isinstance(value, str) else json.dumps(value), _VALUE_WIDTH)] for name, value in summary.items()
        ]
        shown += [table(["", ""], values), Text()]
    files = [
        (file.relative_to(artifact.path).as_posix() if artifact.path.is_dir() else file.name, file.stat().st_size)
        for file in files_below(artifact.path)
    ]
    shown.append(table(["file", "size"], [[name, size(count)] for name, count in files[:_SHOWN]], right=["size"]))
    if len(files) > _SHOWN:
        shown.append(Text(f"and {len(files) - _SHOWN:,} more files", style="dim"))
    return shown
