"""HTML for notebooks. Everything that is shown is text: names, values and errors come from data and are always escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_CELL = "text-align:left;vertical-align:top;padding:2px 12px 2px 0"


def titled(title: str, *parts: str) -> str:
    """Returns a bold title, and parts of HTML below it."""
    return f"<div><strong>{escape(title)}</strong>{''.join(parts)}</div>"


def paragraph(text: str) -> str:
    """Returns a text as a paragraph."""
    return f'<p style="margin:2px 0">{escape(text)}</p>'


def preformatted(text: str) -> str:
    """Returns a text whose spaces and line ends stay, as those of a tree."""
    return f'<pre style="line-height:1.3;overflow-x:auto">{escape(text)}</pre>'


def grid(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Returns a table; None is an empty cell."""
    head = "".join(f'<th scope="col" style="{_CELL}">{escape(column)}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def facts(values: Iterable[tuple[str, object]]) -> str:
    """Returns names with their values, a line each; what is empty is left out."""
    rows = "".join(
        f'<tr><th scope="row" style="{_CELL}">{escape(name)}</th>{_cell(value)}</tr>' for name, value in values if value not in (None, "")
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _cell(value: object) -> str:
    return f'<td style="{_CELL}">{"" if value is None else escape(str(value))}</td>'
