"""The language of `--where` and `--sort`: parsed, never evaluated as Python.

    auc > 0.9 and Trainer.learning_rate < 0.001
    state in (failed, blocked) or seconds > 10min
    not blessed and started >= 2026-11-01
    size > 100MB and type != Model
    reason ~ "disk" or baseline is none

A field stands on one side of a comparison, a value on the other. `~` is "contains", without regard to case; `is none` finds what has no
such field. A comparison with a field that a row lacks does not hold. `not` binds more tightly than `and`, `and` than `or`.
"""

from __future__ import annotations

import enum
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pipeline.errors import UsageError, did_you_mean

Value = bool | int | float | str
Id = int | str
Column = Callable[[str], Mapping[Id, Value]]
"""Returns the values of a field by row, by the field's full name; rows that lack it are left out."""

UNITS = {
    "%": 0.01,
    "B": 1,
    "kB": 1e3,
    "KB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "TB": 1e12,
    "ms": 1e-3,
    "s": 1,
    "min": 60,
    "h": 3600,
    "d": 86_400,
    "w": 604_800,
}
"""What may follow a number: shares, bytes, and times in seconds."""

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<open>\()|(?P<close>\))|(?P<comma>,)
      | (?P<operator>==|=|!=|<=|>=|<|>|!~|~)
      | (?P<date>\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?)(?![\w-])
      | (?P<number>[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?:%|[a-zA-Z]+)?)(?![\w.-])
      | "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>(?:[^'\\]|\\.)*)' | `(?P<quoted>[^`]*)`
      | (?P<word>[\w][\w./@:+-]*)
    )""",
    re.VERBOSE,
)
_EXAMPLE = "For example: --where 'auc > 0.9 and Trainer.learning_rate < 0.001'"
_DATES = "Write it as 2026-11-01 or '2026-11-01 18:30'; or use age, such as: age < 7d"
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


class FieldKind(enum.Enum):
    """What the values of a field are."""

    NUMBER = "a number"
    TEXT = "text"
    TIME = "a time"
    BOOLEAN = "true or false"
    ANY = "a value"


class Fields(Protocol):
    """The fields that rows have."""

    def resolve(self, name: str) -> tuple[str, FieldKind]:
        """Returns full name and kind of a field that a person names.

        Raises:
            UsageError: If there is none, or more than one.
        """


class Condition(Protocol):
    """A condition that a row meets or not."""

    def meeting(self, rows: Set[Id], column: Column) -> Set[Id]:
        """Returns those of some rows that meet it."""

    def fields(self) -> Iterator[str]:
        """Yields the full names of the fields that it looks at."""


@dataclass(frozen=True)
class Comparison:
    """A field against a value."""

    field: str
    operator: str
    value: Value

    def meeting(self, rows: Set[Id], column: Column) -> Set[Id]:
        values, holds = column(self.field), _TESTS[self.operator](self.value)
        known: dict[Value, bool] = {}  # columns have few values, or are numbers
        found = set()
        for row in rows & values.keys():
            value = values[row]
            held = known.get(value)
            if held is None:
                held = known[value] = holds(value)
            if held:
                found.add(row)
        return found

    def fields(self) -> Iterator[str]:
        yield self.field


@dataclass(frozen=True)
class Absent:
    """A field that a row lacks."""

    field: str

    def meeting(self, rows: Set[Id], column: Column) -> Set[Id]:
        return rows - column(self.field).keys()

    def fields(self) -> Iterator[str]:
        yield self.field


@dataclass(frozen=True)
class Negation:
    """A condition that must not hold."""

    part: Condition

    def meeting(self, rows: Set[Id], column: Column) -> Set[Id]:
        return rows - self.part.meeting(rows, column)

    def fields(self) -> Iterator[str]:
        yield from self.part.fields()


@dataclass(frozen=True)
class Conjunction:
    """Conditions all of which must hold."""

    parts: tuple[Condition, ...]

    def meeting(self, rows: Set[Id], column: Column) -> Set[Id]:
        for part in self.parts:
            rows = part.meeting(rows, column)
        return rows

    def fields(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.fields()


@dataclass(frozen=True)
class Disjunction:
    """Conditions one of which must hold."""

    parts: tuple[Condition, ...]

    def meeting(self, rows: Set[Id], column: Column) -> Set[Id]:
        found: Set[Id] = frozenset()
        for part in self.parts:
            found = found | part.meeting(rows - found, column)
        return found

    def fields(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.fields()


def _containing(value: Value) -> Callable[[Value], bool]:
    wanted = str(value).lower()
    return lambda found: wanted in str(found).lower()


def _not(test: Callable[[Value], Callable[[Value], bool]]) -> Callable[[Value], Callable[[Value], bool]]:
    return lambda value: lambda found: not test(value)(found)


def _equal_to(value: Value) -> Callable[[Value], bool]:
    return lambda found: _equal(found, value)


def _ordered(holds: Callable[[Any, Any], bool]) -> Callable[[Value], Callable[[Value], bool]]:
    """Returns a test of order: of numbers where both are, of texts where both are."""

    def test(value: Value) -> Callable[[Value], bool]:
        number = _as_number(value)

        def held(found: Value) -> bool:
            other = _as_number(found)
            if (number is None) != (other is None):
                return False
            return holds(str(found), str(value)) if number is None else holds(other, number)

        return held

    return test


@dataclass(frozen=True)
class SortKey:
    """A field to sort by; what lacks it comes last."""

    field: str
    descending: bool


def parse_condition(text: str, fields: Fields) -> Condition:
    """Returns the condition that a text states.

    Args:
        text: See the module.
        fields: The fields that rows have.

    Raises:
        UsageError: If it is not well formed, or names a field that does not exist, or compares one with a value of another kind.
    """
    parser = _Parser(text, fields)
    condition = parser.either()
    parser.end()
    return condition


def parse_sort(text: str, fields: Fields) -> tuple[SortKey, ...]:
    """Returns the keys of `-auc,started`, or `auc desc, started`: a minus or `desc` puts the largest first.

    Raises:
        UsageError: For a field that does not exist.
    """
    keys = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, direction = part.partition(" ")
        if direction.strip().lower() not in ("", "asc", "desc"):
            raise UsageError(f"Expected a field, perhaps with 'asc' or 'desc'. Received: {part!r}", hint="For example: --sort -auc,started")
        full, _ = fields.resolve(name.lstrip("-+").strip("`"))
        keys.append(SortKey(full, name.startswith("-") or direction.strip().lower() == "desc"))
    return tuple(keys)


def sorted_by(rows: Sequence[Id], keys: Sequence[SortKey], column: Column) -> list[Id]:
    """Returns rows in the order of the keys; equal ones stay in their order, and what lacks a field comes last."""
    ordered = list(rows)
    for key in reversed(keys):
        values = column(key.field)
        having = [row for row in ordered if row in values]
        having.sort(key=lambda row, values=values: _rank(values[row]), reverse=key.descending)  # type: ignore[misc]
        ordered = having + [row for row in ordered if row not in values]
    return ordered


def _rank(value: Value) -> tuple[int, float, str]:
    number = _as_number(value)
    return (0, number, "") if number is not None else (1, 0.0, str(value).lower())


def _as_number(value: Value) -> float | None:
    if isinstance(value, bool | int | float):
        return float(value)
    try:
        return float(value)
    except ValueError:
        return None


def _equal(found: Value, value: Value) -> bool:
    if isinstance(found, str) and isinstance(value, str):
        return found.lower() == value.lower()
    first, second = _as_number(found), _as_number(value)
    return first == second if first is not None and second is not None else str(found) == str(value)


_TESTS: Mapping[str, Callable[[Value], Callable[[Value], bool]]] = {
    "=": _equal_to,
    "!=": _not(_equal_to),
    "~": _containing,
    "!~": _not(_containing),
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    place: int


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    place = 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise _error(text, len(text) - len(text[place:].lstrip()), "This cannot be read.")
        kind, value = match.lastgroup, match.group(match.lastgroup)
        if kind in ("double", "single"):
            kind, value = "text", re.sub(r"\\(.)", r"\1", value)
        found.append(_Token(kind, value, match.start(match.lastgroup)))
        place = match.end()
    return found


def _error(text: str, place: int, problem: str) -> UsageError:
    return UsageError(
        f"{problem}\n  {text}\n  {' ' * place}^",
        hint="For example: --where 'auc > 0.9 and Trainer.learning_rate < 0.001'; see docs/lineage.md",
    )


class _Parser:
    """A parser by recursive descent."""

    def __init__(self, text: str, fields: Fields) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0
        self._fields = fields

    def _peek(self) -> _Token:
        return self._tokens[self._next] if self._next < len(self._tokens) else _Token("end", "", len(self._text))

    def _take(self) -> _Token:
        token = self._peek()
        self._next += 1
        return token

    def _takes(self, word: str) -> bool:
        token = self._peek()
        taken = token.kind == "word" and token.text.lower() == word
        self._next += taken
        return taken

    def end(self) -> None:
        token = self._peek()
        if token.kind != "end":
            raise _error(self._text, token.place, f"Expected 'and', 'or' or the end. Received: {token.text!r}")

    def either(self) -> Condition:
        parts = [self._both()]
        while self._takes("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Disjunction(tuple(parts))

    def _both(self) -> Condition:
        parts = [self._single()]
        while self._takes("and"):
            parts.append(self._single())
        return parts[0] if len(parts) == 1 else Conjunction(tuple(parts))

    def _single(self) -> Condition:
        if self._takes("not"):
            return Negation(self._single())
        if self._peek().kind == "open":
            self._take()
            inner = self.either()
            self._close()
            return inner
        return self._comparison()

    def _close(self) -> None:
        token = self._take()
        if token.kind != "close":
            raise _error(self._text, token.place, "Expected ')'.")

    def _comparison(self) -> Condition:
        left = self._take()
        if left.kind not in ("word", "quoted"):
            return self._mirrored(left)
        name, kind = self._field(left)
        if self._takes("is"):
            negated = self._takes("not")
            if not (self._takes("none") or self._takes("missing")):
                raise _error(self._text, self._peek().place, "Expected 'none' after 'is'.")
            return Negation(Absent(name)) if negated else Absent(name)
        if self._takes("in"):
            return Disjunction(tuple(Comparison(name, "=", value) for value in self._list(name, kind)))
        if self._peek().kind != "operator":
            if kind in (FieldKind.BOOLEAN, FieldKind.ANY):
                return Comparison(name, "=", True)
            raise _error(self._text, self._peek().place, f"Expected a comparison after '{left.text}', such as = < > ~ in, is none.")
        sign = self._operator()
        return Comparison(name, sign, self._value(self._take(), name, kind, sign))

    def _mirrored(self, left: _Token) -> Condition:
        """Reads `0.9 < auc`."""
        if left.kind not in ("number", "text", "date") or self._peek().kind != "operator":
            raise _error(self._text, left.place, f"Expected a field. Received: {left.text!r}" if left.text else "Expected a condition.")
        sign = self._operator()
        name, kind = self._field(self._take())
        return Comparison(name, _MIRRORED.get(sign, sign), self._value(left, name, kind, sign))

    def _operator(self) -> str:
        sign = self._take().text
        return "=" if sign == "==" else sign

    def _field(self, token: _Token) -> tuple[str, FieldKind]:
        if token.kind not in ("word", "quoted"):
            raise _error(self._text, token.place, "Expected a field.")
        return self._fields.resolve(token.text)

    def _list(self, name: str, kind: FieldKind) -> list[Value]:
        if self._take().kind != "open":
            raise _error(
                self._text, self._tokens[self._next - 1].place if self._next <= len(self._tokens) else len(self._text), "Expected '('."
            )
        values = [self._value(self._take(), name, kind, "=")]
        while self._peek().kind == "comma":
            self._take()
            values.append(self._value(self._take(), name, kind, "="))
        self._close()
        return values

    def _value(self, token: _Token, name: str, kind: FieldKind, sign: str) -> Value:
        """Returns the value of a token, as the field's kind has it."""
        if token.kind not in ("word", "quoted", "text", "number", "date"):
            raise _error(self._text, token.place, f"Expected a value for '{name}'.")
        wrong = _error(self._text, token.place, f"'{name}' is {kind.value}. Received: {token.text!r}")
        if sign in ("~", "!~") or kind is FieldKind.TEXT:
            return token.text
        if kind is FieldKind.TIME:
            return self._time(token, wrong)
        if token.kind == "number":
            return self._number(token)
        lowered = token.text.lower()
        if token.kind == "word" and lowered in ("true", "false", "yes", "no") and kind is not FieldKind.NUMBER:
            return lowered in ("true", "yes")
        if kind in (FieldKind.NUMBER, FieldKind.BOOLEAN):
            raise wrong
        return token.text

    def _time(self, token: _Token, wrong: UsageError) -> float:
        try:
            moment = datetime.fromisoformat(token.text)
        except ValueError:
            raise UsageError(
                f"{wrong.message}", hint="Write it as 2026-11-01 or '2026-11-01 18:30'; or use age, such as: age < 7d"
            ) from None
        return moment.timestamp() * 1000 if moment.tzinfo else moment.astimezone().timestamp() * 1000

    def _number(self, token: _Token) -> float:
        match = re.fullmatch(r"(.*?)(%|[a-df-zA-DF-Z][a-zA-Z]*)?", token.text)
        digits, unit = match.groups() if match else (token.text, None)
        if unit is not None and unit not in UNITS:
            raise _error(self._text, token.place, f"'{unit}' is no unit.{did_you_mean(unit, UNITS)}")
        number = float(digits.replace("_", "")) * UNITS.get(unit or "", 1)
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
