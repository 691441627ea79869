"""A run as one file that opens in any browser, without a network: page, styles, plots and the content of its artifacts.

The file names the hashes of its own two scripts and its styles as all that may run in it: what comes from data and names cannot.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote, unquote

from markupsafe import Markup

from pipeline.errors import DataError, StorageError
from pipeline.records import RunState
from pipeline.ui.examples import media_of, media_type
from pipeline.ui.inside import Inside, inside
from pipeline.ui.pages import live_plots
from pipeline.ui.render import html
from pipeline.ui.site import NotThereError, Site
from pipeline.ui.views.activity import Activities
from pipeline.ui.views.artifact import ArtifactView, artifact_view
from pipeline.ui.views.files import opened
from pipeline.ui.views.lineage import lineage_view
from pipeline.ui.views.node import node_view
from pipeline.ui.views.run import RunView, run_view

_MOST_ARTIFACTS = 60
_MEDIA_BYTES = 1 << 20
_LARGEST_MEDIUM = 128 << 10
_FONT = re.compile(r"@font-face \{.*?\}\n", re.DOTALL)
_ORDER = (
    "ModelBlessing", "ModelEvaluation", "ExampleAnomalies", "ModelRun", "ExampleStatistics", "Schema", "TransformGraph", "Examples",
    "Model", "PushedModel",
)  # fmt: skip
_ENDS = ("PushedModel", "ModelBlessing", "ModelEvaluation", "Model")


@dataclass(frozen=True)
class Included:
    """An artifact in the report, with its content."""

    view: ArtifactView
    inside: Inside


class _Addresses:
    """Where the things in the file are; what is not in it has no address. Small pictures and sounds go into the file as addresses."""

    def __init__(self, site: Site, view: RunView, artifacts: set[int]) -> None:
        self._site = site
        self._run = f"/runs/{quote(view.id, safe='')}"
        self._nodes = {f"{self._run}/nodes/{quote(node.id, safe='')}": f"#node-{quote(node.id, safe='')}" for node in view.nodes}
        self._artifacts = artifacts
        self._left = _MEDIA_BYTES

    def __call__(self, address: str) -> str | None:
        if address == self._run:
            return "#top"
        if address in self._nodes:
            return self._nodes[address]
        parts = [unquote(part) for part in address.split("/")[1:]]
        if parts[0] != "artifacts" or len(parts) < 2 or int(parts[1]) not in self._artifacts:
            return None
        return f"#artifact-{parts[1]}" if len(parts) == 2 else self._embedded(int(parts[1]), parts[2], parts[3:])

    def _embedded(self, artifact: int, what: str, rest: list[str]) -> str | None:
        """Returns a picture or sound as an address that holds it; None if it is too large, or the file is large enough."""
        try:
            path = self._site.artifact(artifact).path
            if what == "values":
                data, kind = media_of(path / f"Split-{rest[0]}", int(rest[1]), "/".join(rest[2:]))
            elif what == "files":
                with opened(path, "/".join(rest)) as stream:
                    data = stream.read(_LARGEST_MEDIUM + 1)
                kind = media_type(data)
            else:
                return None
        except (DataError, NotThereError, ValueError):
            return None
        if not kind or len(data) > min(self._left, _LARGEST_MEDIUM):
            return None
        self._left -= len(data)
        return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def report_of(site: Site, run: str) -> str:
    """Returns a run as one HTML file.

    Raises:
        NotThereError: If there is no such run.
    """
    activities = Activities(site)
    view = run_view(site, activities, run)
    ids = [link.id for node in view.nodes for link in node.outputs][:_MOST_ARTIFACTS]
    href = _Addresses(site, view, set(ids))
    views = sorted((artifact_view(site, id) for id in dict.fromkeys(ids)), key=_place)
    artifacts = [Included(found, inside(site, found, {}, href, offline=True)) for found in views]
    details = [node_view(site, activities, run, node.id) for node in view.nodes]
    style = "\n".join([_FONT.sub("", _static("style.css")), _static("parts.css"), _static("vendor/uplot/uPlot.min.css")])
    library, script = _static("vendor/uplot/uPlot.min.js"), _static("plots.js")
    policy = (
        f"default-src 'none'; style-src 'sha256-{_hash(style)}'; script-src 'sha256-{_hash(library)}' 'sha256-{_hash(script)}'; "
        "img-src data:; media-src data:; base-uri 'none'; form-action 'none'"
    )
    end = next((found.view.artifact.id for kind in _ENDS for found in reversed(artifacts) if found.view.artifact.type_name == kind), None)
    return html(
        "report.html",
        title=f"Run {view.id} of {view.pipeline}",
        view=view,
        live_plots=live_plots(view) if view.state == RunState.RUNNING.value else {},
        lineage=lineage_view(site, end, direction="up", depth=20) if end else None,
        artifacts=artifacts,
        details=details,
        policy=policy,
        style=Markup(style),
        library=Markup(library),
        script=Markup(script),
        href=href,
        offline=True,
    )


def write_report(site: Site, run: str, file: Path) -> int:
    """Writes a run into one HTML file, which appears whole or not at all; returns its bytes.

    Raises:
        NotThereError: If there is no such run.
        StorageError: If the file cannot be written.
    """
    data = report_of(site, run).encode()
    temporary = file.with_name(f".{file.name}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(f"The report {file} cannot be written: {error.strerror}.", hint="Name another file: --output FILE") from error
    return len(data)


def _place(view: ArtifactView) -> tuple[int, int]:
    kind = view.artifact.type_name
    return (_ORDER.index(kind) if kind in _ORDER else len(_ORDER), view.artifact.id or 0)


def _static(name: str) -> str:
    return (files("pipeline.ui") / "static" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
