"""TransformGraph: what goes in, what comes out, and what was learned from the data."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from pipeline.cli.common import table
from pipeline.cli.show.cells import listed, number


def render(summary: dict[str, Any]) -> list[RenderableType]:
    """Returns the tables of features, vocabularies and numbers."""
    inputs = summary.get("inputs", ())
    shown: list[RenderableType] = [Text(f"takes {len(inputs)} features: {', '.join(inputs)}\n")]
    rows = [
        [str(feature.get("name", "-")), str(feature.get("dtype", "-")), _kind(feature), _domain(feature)]
        for feature in summary.get("features", ())
    ]
    shown.append(table(["gives", "type", "kind", "range"], rows))
    vocabularies = summary.get("vocabularies", ())
    if vocabularies:
        terms = [[str(one.get("name", "-")), number(one.get("size")), listed(one.get("first"))] for one in vocabularies]
        shown += [Text(), table(["vocabulary", "terms", "most frequent"], terms, right=["terms"])]
    # The sizes and defaults of vocabularies are constants of the graph too; the table above says it better.
    values = [[name, _numbers(value)] for name, value in (summary.get("values") or {}).items() if "vocab" not in name]
    if values:
        shown += [Text(), table(["learned", "value"], values)]
    return shown


def _kind(feature: dict[str, Any]) -> str:
    kind = str(feature.get("kind", "-")).removesuffix("Feature")
    shape = feature.get("shape")
    return f"{kind} {shape}" if shape else kind


def _domain(feature: dict[str, Any]) -> str:
    domain = feature.get("domain")
    return f"{number(domain[0])} to {number(domain[1])}{', categories' if feature.get('categorical') else ''}" if domain else ""


def _numbers(value: Any) -> str:
    return listed([_numbers(item) for item in value]) if isinstance(value, list) else number(value)
