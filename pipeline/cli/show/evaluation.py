"""ModelEvaluation and ModelBlessing: metrics by slice, and each threshold with its verdict."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from pipeline.cli.common import table
from pipeline.cli.show.cells import number

_ROLES = {"candidate": "", "baseline": " (baseline)", "difference": " (difference)"}
_COLUMNS, _COLUMNS_BY_SLICE = 6, 4
_CLASSES, _STEPS, _WORST, _TEXT = 12, 24, 5, 40

Summary = dict[str, Any]


def render_evaluation(summary: Summary) -> list[RenderableType]:
    """Returns the metrics of all rows, by slice, by class or step, then the confusion matrix and the worst rows."""
    slices = summary.get("slices", ())
    splits = ", ".join(summary.get("splits", ()))
    head = f"label {summary.get('label', '-')}, split {splits or '-'}, {number(summary.get('examples'))} rows, "
    shown: list[RenderableType] = [
        Text(head + ("against a baseline model" if summary.get("baseline") else "without a baseline model") + "\n")
    ]
    names = sorted({name for slice in slices for name, values in (slice.get("metrics") or {}).items() if "metric" not in values})
    columns = [(name, role) for name in names for role in _ROLES if any(role in _values(slice, name) for slice in slices)]
    if len(columns) > _COLUMNS and slices:
        shown += [
            _all_rows(slices[0], names),
            *(_slices(slices, [(name, "candidate") for name in names[:_COLUMNS_BY_SLICE]]) if len(slices) > 1 else ()),
        ]
    else:
        shown.append(_slices(slices, columns)[-1])
    if summary.get("slices_left_out"):
        shown.append(Text(f"{number(summary['slices_left_out'])} smaller slices are in TFMA's result files", style="dim"))
    for part in (_parts(summary, "class", _CLASSES), _parts(summary, "step", _STEPS), _confusion(summary), _worst(summary)):
        shown += [Text(), *part] if part else []
    pictures = [str(picture.get("file")) for picture in summary.get("pictures", ())]
    return [*shown, Text(f"\npictures: {', '.join(pictures)}", style="dim")] if pictures else shown


def _values(slice: Summary, name: str) -> Summary:
    return (slice.get("metrics") or {}).get(name) or {}


def _all_rows(slice: Summary, names: list[str]) -> RenderableType:
    """One line per metric, where there are too many for columns."""
    roles = [role for role in _ROLES if any(role in _values(slice, name) for name in names)]
    rows = [[name, *(_cell(slice, name, role) for role in roles)] for name in names]
    titles = ["value" if role == "candidate" else role for role in roles]
    return table([f"{slice.get('name', '-')}", *titles], rows, right=titles)


def _slices(slices: list[Summary], columns: list[tuple[str, str]]) -> list[RenderableType]:
    """One line per slice; a first line tells where not all metrics are there."""
    titles = [f"{name}{_ROLES[role]}" for name, role in columns]
    rows = [
        [
            str(slice.get("name", "-")),
            number(slice.get("examples")),
            *(_cell(slice, name, role) for name, role in columns),
            str(slice.get("error") or ""),
        ]
        for slice in slices
    ]
    return [Text("\nby slice, the first metrics (all: --json)"), table(["slice", "rows", *titles, ""], rows, right=["rows", *titles])]


def _parts(summary: Summary, part: str, limit: int) -> list[RenderableType]:
    """One line per class or step of all rows, one column per metric."""
    found: dict[Any, dict[str, Summary]] = {}
    for slice in summary.get("slices", ())[:1]:
        for values in (slice.get("metrics") or {}).values():
            if part in values:
                found.setdefault(values[part], {})[str(values.get("metric", "-"))] = values
    if not found:
        return []
    names = sorted({name for values in found.values() for name in values})
    places = {name: place for place, name in enumerate(summary.get("classes", ()))}
    ordered = sorted(found.items(), key=lambda item: places.get(item[0], len(places)) if part == "class" else item[0])
    rows = [
        [str(key), *(number(values[name].get("candidate", {}).get("value")) if name in values else "" for name in names)]
        for key, values in ordered
    ]
    more = [Text(f"{len(rows) - limit} more, see --json", style="dim")] if len(rows) > limit else []
    return [table([part, *names], rows[:limit], right=names), *more]


def _confusion(summary: Summary) -> list[RenderableType]:
    found = ((summary.get("plots") or {}).get("candidate") or {}).get("confusion")
    if not found or len(found["classes"]) > _CLASSES:
        return []
    classes = [f"{name} " for name in found["classes"]]  # a class may be named as the first column
    rows = [[name, *map(number, counts)] for name, counts in zip(found["classes"], found["rows"], strict=True)]
    return [Text("confusion matrix: rows are the truth, columns the prediction"), table(["truth", *classes], rows, right=classes)]


def _worst(summary: Summary) -> list[RenderableType]:
    found = summary.get("worst") or {}
    rows = [
        [
            _brief(row.get("key") or _telling_text(row, str(summary.get("label")))),
            f"{row.get('split')}/{row.get('file')} record {number(row.get('record'))}",
            _brief(row.get("truth")),
            _brief(row.get("prediction")),
            number(row.get("confidence")) if row.get("confidence") is not None else "",
            number(row.get("loss")),
        ]
        for row in found.get("loss", ())[:_WORST]
    ]
    if not rows:
        return []
    kept = len(found["loss"]) + len(found.get("mistakes", ()))
    right = ["confidence", "loss"]
    titles = ["row", "where", "truth", "prediction", *right]
    return [
        Text(f"highest {found.get('measure', 'loss')}, {len(rows)} of {kept} rows to look at (all: --json)"),
        table(titles, rows, right=right),
    ]


def _telling_text(row: Summary, label: str) -> str:
    """Returns the longest text among the features but the label, which tells a person most."""
    features = (row.get("features") or {}).items()
    texts = [value for name, values in features for value in values if isinstance(value, str) and name != label]
    return max(texts, key=len, default=str(row.get("digest", "-")))


def _brief(value: Any) -> str:
    text = ", ".join(number(item) for item in value) if isinstance(value, list) else number(value)
    line = " ".join(text.split())
    return line if len(line) <= _TEXT else line[: _TEXT - 1] + "…"


def _cell(slice: dict[str, Any], name: str, role: str) -> str:
    found = ((slice.get("metrics") or {}).get(name) or {}).get(role)
    if found is None:
        return ""
    bounds = f" [{number(found['lower'])}, {number(found['upper'])}]" if "lower" in found else ""
    return number(found.get("value")) + bounds


def render_blessing(summary: dict[str, Any]) -> list[RenderableType]:
    """Returns the verdict with its reasons in words, and each threshold."""
    verdict = str(summary.get("verdict", "-"))
    shown: list[RenderableType] = [Text(verdict, style="bold green" if verdict == "blessed" else "bold red")]
    shown += [Text(f"  {reason}") for reason in summary.get("reasons", ())]
    rows = [
        [
            "kept" if check.get("passed") else "FAILED",
            str(check.get("metric", "-")),
            str(check.get("slice", "-")),
            number(check.get("value")),
            number(check.get("baseline")) if check.get("baseline") is not None else "",
            str(check.get("rule", "-")),
        ]
        for check in summary.get("checks", ())
    ]
    if rows:
        shown += [Text(), table(["threshold", "metric", "slice", "value", "baseline", "must be"], rows, right=["value", "baseline"])]
    return shown
