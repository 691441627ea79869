"""Channels: the outputs of nodes as inputs of others, and the conditions that hang on them."""

from __future__ import annotations

import operator
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline.artifacts import Artifact, Property
from pipeline.errors import DefinitionError

if TYPE_CHECKING:
    from pipeline.component import Component


@dataclass(frozen=True, eq=False)
class Channel:
    """An output of a node, as an input of others; `last` is how many of its artifacts count, None for all."""

    node: Component
    name: str
    type: type[Artifact]
    last: int | None = None

    def __str__(self) -> str:
        return f"{self.node.id}.{self.name}"

    def newest(self, count: int = 1) -> Channel:
        """Returns the channel of only the last artifacts, such as the newest span of a window.

        Raises:
            DefinitionError: If `count` is not 1 or more.
        """
        if count < 1:
            raise DefinitionError(f"{self}.newest expects 1 or more. Received: {count}")
        return replace(self, last=count)

    @property
    def has_several(self) -> bool:
        """Whether it may stand for more than one artifact."""
        return self.last != 1 and self.node.makes_several(self.name)

    def property(self, name: str) -> PropertyRef:
        """Returns a property of the artifact to compare: `when=evaluator.blessing.property("blessed") == 1`."""
        return PropertyRef(self, name)

    def satisfies(self, predicate: Callable[[Artifact], bool], description: str | None = None) -> Condition:
        """Returns a condition that calls `predicate` with the artifact."""
        return Condition(self, description or f"{predicate.__name__}({self})", predicate)


@dataclass(frozen=True)
class Condition:
    """Holds or not for an upstream artifact; a node whose condition does not hold is skipped, and all that needs it."""

    channel: Channel
    description: str
    predicate: Callable[[Artifact], bool]
    property: str | None = None

    def holds(self, artifact: Artifact) -> tuple[bool, str]:
        """Returns whether the condition holds, and why."""
        holds = bool(self.predicate(artifact))
        actual = f" (it is {artifact.properties.get(self.property)!r})" if self.property else ""
        return holds, f"the condition {self.description} {'holds' if holds else 'does not hold'}{actual}"


@dataclass(frozen=True, eq=False)
class PropertyRef:
    """A property of a future artifact; comparing it gives a `Condition`."""

    channel: Channel
    name: str

    def _compare(self, symbol: str, compare: Callable[[Any, Any], bool], value: Property) -> Condition:
        def predicate(artifact: Artifact) -> bool:
            actual = artifact.properties.get(self.name)
            return actual is not None and compare(actual, value)

        return Condition(self.channel, f"{self.channel}.{self.name} {symbol} {value!r}", predicate, self.name)

    def __eq__(self, value: object) -> Condition:  # type: ignore[override]
        return self._compare("==", operator.eq, typing.cast(Property, value))

    def __ne__(self, value: object) -> Condition:  # type: ignore[override]
        return self._compare("!=", operator.ne, typing.cast(Property, value))

    def __lt__(self, value: Property) -> Condition:
        return self._compare("<", operator.lt, value)

    def __le__(self, value: Property) -> Condition:
        return self._compare("<=", operator.le, value)

    def __gt__(self, value: Property) -> Condition:
        return self._compare(">", operator.gt, value)

    def __ge__(self, value: Property) -> Condition:
        return self._compare(">=", operator.ge, value)

    __hash__ = None  # type: ignore[assignment]
