"""What the name of a file says of it: `{label}/*` takes the label from its folder, `{label}_{speaker}_{take:int}.wav` from its name.

Imports nothing heavy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from pipeline.errors import DefinitionError

_FIELD = re.compile(r"\{([^{}]*)\}")
_KNOWN_FIELD = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::(int))?")
_TOKEN = re.compile(r"\{[^{}]*\}|\*|\?|.", re.DOTALL)


class NamePattern:
    """A pattern that the last parts of a path must match; `*` and `?` are wildcards within a part.

    A field holds what stands in its place, as text, or as a number where it is written `{field:int}`. Of a field that is followed
    by other text, the shortest possible text is taken.

    Raises:
        DefinitionError: If it has no field, or a field has a wrong name or is there twice.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        fields = [_KNOWN_FIELD.fullmatch(field) for field in _FIELD.findall(text)]
        names = [field.group(1) for field in fields if field]
        if not all(fields) or not names or len(set(names)) < len(names) or text.startswith("/"):
            raise DefinitionError(
                f"The pattern of file names '{text}' is wrong.",
                hint="Expected fields with different names, such as '{label}/*' or '{label}_{speaker}_{take:int}.wav'.",
            )
        self.fields: Mapping[str, type[int] | type[str]] = {field[1]: int if field[2] else str for field in fields if field}
        self._depth = len(PurePosixPath(text).parts)
        self._expression = re.compile("".join(map(_translated, _TOKEN.findall(text))))

    def match(self, name: str) -> dict[str, str | int] | None:
        """Returns the values of the fields in the name of a file; None if it does not match."""
        found = self._expression.fullmatch("/".join(name.rsplit("/", self._depth)[-self._depth :]))
        if found is None:
            return None
        return {field: self.fields[field](value) for field, value in found.groupdict().items()}


def _translated(token: str) -> str:
    if token.startswith("{") and len(token) > 1:
        field = _KNOWN_FIELD.fullmatch(token[1:-1])
        return f"(?P<{field.group(1)}>{'[0-9]{1,18}' if field.group(2) else '[^/]+?'})" if field else re.escape(token)
    return {"*": "[^/]*", "?": "[^/]"}.get(token) or re.escape(token)
