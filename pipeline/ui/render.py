"""Turns views into HTML and into JSON."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Undefined
from markupsafe import Markup

from pipeline.artifacts import Artifact
from pipeline.reports import artifact_as_json, short_name, shortened, timestamp
from pipeline.ui.shapes import SHAPES
from pipeline.version import __version__
from pipeline.wording import counted, duration, moment, size

NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


@cache
def environment(undefined: type[Undefined] = StrictUndefined) -> Environment:
    """Returns the templates; whatever they are given is escaped.

    Args:
        undefined: What a name stands for that is not there. In our own views that is a fault; a summary may lack what is optional.
    """
    made = Environment(
        loader=PackageLoader("pipeline.ui"),
        autoescape=True,
        undefined=undefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "ago": ago,
        "better": better,
        "clock": clock,
        "counted": counted,
        "difference": difference,
        "duration": duration,
        "fixed": fixed,
        "iso": timestamp,
        "moment": moment,
        "number": number,
        "path": lambda text: quote(str(text), safe="/"),
        "percent": percent,
        "plain": plain,
        "segment": segment,
        "short": shortened,
        "short_name": short_name,
        "size": size,
        "as_json": lambda value: json.dumps(as_json(value)),
        "pretty": lambda value: json.dumps(as_json(value), indent=2, ensure_ascii=False),
        "shape": lambda state: Markup(SHAPES.get(state, SHAPES["waits"])),
    }
    made.globals |= {"version": __version__, "now": lambda: int(time.time() * 1000)}
    return made


def html(template: str, **values: Any) -> str:
    """Returns a template with values."""
    return environment().get_template(template).render(**values)


def html_of_summary(template: str, **values: Any) -> str:
    """Returns a template with values that come from a summary, which may lack what is optional.

    Raises:
        TemplateError: If it lacks more.
    """
    return environment(Undefined).get_template(template).render(**values)


def as_json(value: Any) -> Any:
    """Returns a view as JSON holds it; numbers that JSON has no word for are null."""
    if isinstance(value, Artifact):
        return artifact_as_json(value)
    if hasattr(value, "as_json"):
        return as_json(value.as_json())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return as_json(value.value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, Mapping):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(item) for item in value]
    return str(value) if isinstance(value, Path) else repr(value)


def segment(text: object) -> str:
    """Returns a text as one step of an address."""
    return quote(str(text), safe="")


def number(value: object) -> str:
    """Returns a number in few digits: `15,002`, `0.9502`, `1.2e-07`; a dash for none."""
    if value is None or isinstance(value, str):
        return value or NONE
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if not math.isfinite(value):
        return "∞" if value > 0 else f"{MINUS}∞" if value < 0 else "not a number"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if 1e-4 <= abs(value) < 1e6:
        return f"{value:,.4f}".rstrip("0") if abs(value) < 1 else f"{value:,.5g}" if abs(value) < 1000 else f"{value:,.1f}"
    return f"{value:,.0f}" if 1e6 <= abs(value) < 1e12 else f"{value:.3g}"


def plain(value: object) -> str:
    """Returns a value, or several, as a person writes them: words as they are, numbers in few digits."""
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value))
    return value if isinstance(value, str) else number(value)


def fixed(value: object) -> str:
    """Returns a number as a column of metrics shows it: `0.9650`, with as many digits in each row."""
    return f"{value:.4f}" if isinstance(value, float) and abs(value) < 1000 else number(value)


def difference(value: float) -> str:
    """Returns a difference with its sign: `+0.0046`, `0`."""
    sign = "+" if value > 0 else MINUS if value < 0 else ""
    return f"{sign}{fixed(abs(float(value)))}" if value else "0"


_LOWER = ("error", "loss", "divergence", "false_positive", "false_negative")
_HIGHER = (
    "accuracy",
    "auc",
    "precision",
    "recall",
    "f1",
    "r2",
    "sensitivity",
    "specificity",
    "predictive_value",
    "true_positive",
    "kappa",
    "ndcg",
)


def better(metric: str, change: float) -> str:
    """Returns what a change of a metric is: `better`, `worse`, `same`, or `other` where neither way is better by its name."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", metric.partition(" ")[0]).lower()
    if not change:
        return "same"
    way = -1 if any(word in name for word in _LOWER) else 1 if any(word in name for word in _HIGHER) else 0
    return "other" if not way else "better" if change * way > 0 else "worse"


def percent(share: float | None) -> str:
    """Returns a share as `12.3 %`, `< 0.1 %`."""
    if share is None:
        return NONE
    value = share * 100
    if 0 < value < 0.1:
        return "< 0.1 %"
    return f"{value:.0f} %" if value >= 99.95 or value == 0 else f"{value:.1f} %"


def ago(milliseconds: int) -> str:
    """Returns how long ago a time was, in the largest unit: `3 min ago`; a dash for none."""
    if not milliseconds:
        return NONE
    seconds = time.time() - milliseconds / 1000
    if seconds < 0:
        return moment(milliseconds)
    if seconds < 10:
        return "just now"
    count, name = int(seconds), "s"
    for unit, word in ((_DAY, "day"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            count, name = int(seconds // unit), word
            break
    if name == "day" and count >= 60:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone().strftime("%-d %b %Y")
    return f"{count} {name}{'s' if name == 'day' and count > 1 else ''} ago"


def clock(seconds: float) -> str:
    """Returns a mark of a time line: `0`, `0.5 s`, `20 s`, `5 min`, `2 h`."""
    if not seconds:
        return "0"
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit and not seconds % unit:
            return f"{int(seconds // unit)} {name}"
    return duration(seconds) if seconds >= _MINUTE else f"{seconds:g} s"
