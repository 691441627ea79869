"""What is inside an artifact, rendered by its type; what cannot be read becomes words, never a fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError
from markupsafe import Markup

from pipeline.artifacts import Artifact
from pipeline.errors import DataError
from pipeline.ui.contents import evaluation_contents, expecting, statistics_contents, training_contents
from pipeline.ui.examples import Rows, rows_of
from pipeline.ui.render import html, html_of_summary
from pipeline.ui.site import NotThereError, Site
from pipeline.ui.views.artifact import ArtifactView, problem_of
from pipeline.ui.views.files import shown_text

ROWS_PER_PAGE = 20
LAST_ROW = 100_000
Query = Mapping[str, str]
Href = Callable[[str], str | None]


@dataclass(frozen=True)
class Inside:
    """The content of an artifact as HTML, or why there is none."""

    html: Markup
    problem: str = ""


def inside(site: Site, view: ArtifactView, query: Query, href: Href = str, *, offline: bool = False) -> Inside:
    """Returns the content of an artifact.

    Args:
        site: The site.
        view: The artifact.
        query: What a person asked for: a split, a page, something to compare with.
        href: Returns the address of a page; None where it cannot be reached.
        offline: Whether it is for a file, in which nothing can be asked for.
    """
    if view.damaged:
        return Inside(Markup(), view.damaged)
    type_name = view.artifact.type_name
    make = _MAKERS.get(type_name)
    if make is None or (not view.summary and type_name not in _WITHOUT_SUMMARY):
        return Inside(Markup(html("contents/other.html", view=view, href=href)) if view.summary else Markup())
    try:
        with expecting(f"The summary of {type_name} {view.artifact.id}"):
            values = make(site, view, query)
            shared = {"view": view, "summary": view.summary, "href": href, "offline": offline, "asked": query}
            text = html_of_summary(f"contents/{type_name}.html", **shared, **values)
    except DataError as error:
        return Inside(Markup(), str(error))
    except TemplateError as error:
        return Inside(Markup(), f"The summary of {type_name} {view.artifact.id} does not have the expected form: {error}")
    return Inside(Markup(text))


def _statistics(site: Site, view: ArtifactView, query: Query) -> dict[str, Any]:
    other: Artifact | None = None
    if query.get("against", "").isdecimal():
        wanted = int(query["against"])
        other = next((site.artifact(found.id) for found in view.others if found.id == wanted), None)
    found = statistics_contents(
        view.summary,
        site.summary(other) if other is not None else None,
        split=query.get("split", ""),
        against=query.get("against", ""),
        other_label=f"{other.type_name} {other.id}" if other is not None else "",
        text=query.get("text", ""),
        page=_number(query.get("page", ""), 1),
    )
    return {"found": found}


def _evaluation(site: Site, view: ArtifactView, query: Query) -> dict[str, Any]:
    blessing = next((sibling for sibling in view.siblings if sibling.type == "ModelBlessing"), None)
    checks = site.summary_or_none(site.artifact(blessing.id)) if blessing is not None else {}
    found = evaluation_contents(
        view.summary, sort=query.get("sort", ""), ascending=query.get("order") != "down", page=_number(query.get("page", ""), 1)
    )
    return {"found": found, "blessing": blessing, "judged": checks}


def _training(site: Site, view: ArtifactView, query: Query) -> dict[str, Any]:
    return {"found": training_contents(view.summary)}


def _examples(site: Site, view: ArtifactView, query: Query) -> dict[str, Any]:
    splits = list(view.summary.get("splits") or view.artifact.splits)
    usual = "train" if "train" in splits else splits[0] if splits else ""
    split = query.get("split", "") if query.get("split", "") in splits else usual
    start = min(_number(query.get("row", ""), 0), LAST_ROW)
    rows, problem = None, ""
    if split and not problem_of(view.artifact).startswith("It was removed"):
        try:
            rows = example_rows(view.artifact, split, start)
        except (DataError, NotThereError) as error:
            problem = error.message
    return {"splits": splits, "split": split, "start": start, "rows": rows, "rows_problem": problem, "per_page": ROWS_PER_PAGE}


def example_rows(artifact: Artifact, split: str, start: int) -> Rows:
    """Returns some rows of a split.

    Raises:
        DataError: If a file is damaged, or there is none.
    """
    folder = artifact.path / f"Split-{split}"
    if "/" in split or "\0" in split or not any(folder.glob("data_tfrecord-*")):
        raise DataError(f"There are no records of split '{split}'.")
    return rows_of(folder, start, ROWS_PER_PAGE)


def _hyperparameters(site: Site, view: ArtifactView, query: Query) -> dict[str, Any]:
    try:
        text, cut = shown_text(view.artifact.path, "best_hyperparameters.txt")
    except NotThereError:
        text, cut = None, False
    return {"text": text, "cut": cut}


def _nothing_more(site: Site, view: ArtifactView, query: Query) -> dict[str, Any]:
    return {}


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isdecimal() and len(text) < 9 else otherwise


_WITHOUT_SUMMARY = ("Examples", "HyperParameters")
_MAKERS: Mapping[str, Callable[[Site, ArtifactView, Query], dict[str, Any]]] = {
    "ExampleStatistics": _statistics,
    "ModelEvaluation": _evaluation,
    "ModelRun": _training,
    "Examples": _examples,
    "HyperParameters": _hyperparameters,
    "ExampleAnomalies": _nothing_more,
    "Model": _nothing_more,
    "ModelBlessing": _nothing_more,
    "PushedModel": _nothing_more,
    "RetrainingDecision": _nothing_more,
    "Schema": _nothing_more,
    "TransformGraph": _nothing_more,
}
