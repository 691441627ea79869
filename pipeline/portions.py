"""Portions: work that falls into parts whose results are kept one by one, such as the spans of a window.

A driver names the portions; the engine finds those that were done before, in whichever run and beside whichever others, and has the
rest done. An output of such a node has one artifact for each portion, in their order.

Where a component declares `Output[list[...]]`, one call of `execute` gets those artifacts, the done ones with an `id`, and fills the
others; its other outputs are made of all of them. Where it declares none, `execute` is called once for each portion to do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.artifacts import Artifact, ArtifactState, Property
from pipeline.cache import CacheKey, KeyPart, input_part, parameter_part
from pipeline.component import Component, spec_of
from pipeline.records import Execution
from pipeline.resolution import ArtifactGroups
from pipeline.storage import damage

if TYPE_CHECKING:
    from pipeline.metadata import MetadataStore

KEY_PROPERTY = "portion_key"
"""Property of an artifact that is a portion's result: the key of that portion."""

MADE_PROPERTY = "portions_made"
"""Property of an execution: key and own parameters of each portion that it does, as JSON; not of those that were done before."""


@dataclass(frozen=True)
class Portion:
    """A part of a node's work; what it does not name is as for the whole node.

    Attributes:
        name: What people call it, for example `span 12`.
        text: What it consists of, for example `2 files, 1.3 MB`.
        parameters: Parameters that are different for it.
        inputs: Inputs that are different for it.
        parts: Parts of the cache key that are different for it.
    """

    name: str
    text: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: ArtifactGroups = field(default_factory=dict)
    parts: tuple[KeyPart, ...] = ()

    def key(self, node: Component, whole: CacheKey, left_out: frozenset[str]) -> CacheKey:
        """Returns the key of its work, from that of the whole node: the same as of a node that does nothing else."""
        parts = {part.name: part for part in whole.parts}
        own = [input_part(name, artifacts) for name, artifacts in self.inputs.items()]
        own += [parameter_part(node, name, value) for name, value in self.parameters.items() if name not in left_out]
        parts.update((part.name, part) for part in (*own, *self.parts))
        return CacheKey(tuple(sorted(parts.values(), key=lambda part: part.name)))

    @property
    def own_parts(self) -> frozenset[str]:
        """The names of the parts of the key that are its own."""
        named = {f"input {name}" for name in self.inputs} | {f"parameter {name}" for name in self.parameters}
        return frozenset(named | {part.name for part in self.parts})


@dataclass(frozen=True)
class PortionDecision:
    """What becomes of a portion.

    Attributes:
        portion: The portion.
        key: Its cache key.
        is_done: Whether it was done before and is not done again.
        reason: Why, for example `is new`.
        outputs: Where it is done: its artifacts by output, unless they are among those of the whole node's decision.
    """

    portion: Portion
    key: CacheKey
    is_done: bool
    reason: str
    outputs: ArtifactGroups = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Returns what `cauce plan --json` shows of it."""
        return {"name": self.portion.name, "action": "reuse" if self.is_done else "run", "reason": self.reason, "text": self.portion.text}


def decide_portions(
    node: Component,
    portions: Sequence[Portion],
    whole: CacheKey,
    left_out: frozenset[str],
    store: MetadataStore | None,
    last: Execution | None,
    *,
    is_done: bool,
    common: bool,
) -> tuple[PortionDecision, ...]:
    """Returns what becomes of each portion.

    Args:
        node: The node.
        portions: The portions.
        whole: The key of the whole node.
        left_out: Names of parameters that are no part of the key.
        store: Where results are looked for; None to look for none.
        last: The node's last execution, for the reasons.
        is_done: Whether all of them are done, where none is looked for.
        common: Whether there is a reason to do all of them again.
    """
    search = DonePortions(node, store) if store is not None else None
    made = []
    for portion in portions:
        key = portion.key(node, whole, left_out)
        outputs, reason = search.find(key) if search else ({}, "nothing changed" if is_done else "")
        reason = reason or difference(portion, key, last, common=common)
        made.append(PortionDecision(portion, key, bool(outputs) or is_done, reason, outputs))
    return tuple(made)


def portioned_outputs(node: Component) -> tuple[str, ...]:
    """Returns the outputs that have an artifact for each portion: those that are declared as lists, or else all."""
    outputs = spec_of(type(node)).outputs
    return tuple(name for name, declared in outputs.items() if declared.many) or tuple(outputs)


def is_mapped(node: Component) -> bool:
    """Returns whether `execute` is called for each portion, because no output is declared as a list."""
    return not any(declared.many for declared in spec_of(type(node)).outputs.values())


def joined(node: Component, decisions: Sequence[PortionDecision]) -> ArtifactGroups:
    """Returns the artifacts of all portions by output; each must have been done before."""
    return {name: tuple(artifact for made in decisions for artifact in made.outputs.get(name, ())) for name in portioned_outputs(node)}


def stage(node: Component, decisions: Sequence[PortionDecision], staging: Path) -> ArtifactGroups:
    """Returns the outputs of a node in order: artifacts to be made in staging folders, beside those of portions that are done."""
    portioned = portioned_outputs(node)
    staged: ArtifactGroups = {}
    for name, channel in node.outputs.items():
        if name not in portioned or not decisions:
            many = spec_of(type(node)).outputs[name].many if name in spec_of(type(node)).outputs else False
            staged[name] = () if many else (channel.type(path=staging / name),)
            continue
        group: list[Artifact] = []
        for index, made in enumerate(decisions):
            properties: dict[str, Property] = {KEY_PROPERTY: made.key.digest}
            group += made.outputs[name] if made.is_done else [channel.type(path=staging / f"{name}-{index}", properties=properties)]
        staged[name] = tuple(group)
    return staged


class DonePortions:
    """Finds the results of portions in the store.

    Args:
        node: The node.
        store: The metadata store.
    """

    def __init__(self, node: Component, store: MetadataStore) -> None:
        self._wanted = portioned_outputs(node)
        self._store = store
        self._outputs: dict[int, ArtifactGroups] = {}

    def find(self, key: CacheKey) -> tuple[ArtifactGroups, str]:
        """Returns the artifacts of the portion with this key, and in which run they were made; or none, and why not ("" if never)."""
        refusal = ""
        for execution in reversed(self._store.executions_by_key(key.digest)):
            if not execution.state.succeeded:
                continue
            found = self._made_by(execution, key.digest)
            problem = self._problem(found)
            if problem is None:
                return found, f"done in run {execution.run}" if execution.run else f"done by execution {execution.id}"
            refusal = refusal or f"is done again: {problem}"
        return {}, refusal

    def _made_by(self, execution: Execution, key: str) -> ArtifactGroups:
        if execution.id not in self._outputs:
            self._outputs[execution.id] = self._store.outputs_of(execution.id)
        groups = self._outputs[execution.id]
        # A node without portions may have done the same work alone; its artifacts are those of its execution's key.
        default = execution.key
        return {name: tuple(a for a in groups.get(name, ()) if a.properties.get(KEY_PROPERTY, default) == key) for name in self._wanted}

    def _problem(self, found: ArtifactGroups) -> str | None:
        return next((problem for name in self._wanted if (problem := unusable(name, found[name]))), None)


def unusable(name: str, artifacts: Sequence[Artifact], *, optional: bool = False) -> str | None:
    """Returns why the artifacts of a cached output cannot be reused; None if they can."""
    if not artifacts and not optional:
        return f"its cached output '{name}' is not in the store"
    for artifact in artifacts:
        if artifact.state is not ArtifactState.LIVE:
            return f"its cached output '{name}' was removed ({artifact.state.value})"
        problem = damage(artifact)
        if problem:
            return f"its cached output '{name}' is damaged: {problem}"
    return None


def remembered(decisions: Sequence[PortionDecision]) -> str:
    """Returns what is recorded of portions with an execution: name, key and text of each."""
    return json.dumps([[made.portion.name, made.key.digest, made.portion.text] for made in decisions])


def difference(portion: Portion, key: CacheKey, last: Execution | None, *, common: bool) -> str:
    """Returns how a portion differs from the last execution's portion of its name; `common` says that all of them do."""
    before = {name: (digest, text) for name, digest, text in json.loads(str(last.properties.get("portions") or "[]"))} if last else {}
    if portion.name not in before:
        return "is new"
    digest, text = before[portion.name]
    if digest == key.digest:
        return "has no result any more"
    if text != portion.text:
        return f"changed: {portion.text}, was {text}"
    return "is done again" if common else "changed"


def sentences(node: Component, decisions: Sequence[PortionDecision]) -> tuple[str, ...]:
    """Returns one sentence for the portions that have the same fate for the same reason, those to be done first."""
    to_do = [made for made in decisions if not made.is_done]
    done = [made.portion.name for made in decisions if made.is_done]
    order = [made.portion.name for made in decisions]
    lines = []
    for reason in dict.fromkeys(made.reason for made in to_do):
        names = [made.portion.name for made in to_do if made.reason == reason]
        lines.append(f"{shortened_names(names, order)} {_plural(reason) if len(names) > 1 else reason}")
    if done:
        anew = "" if to_do or is_mapped(node) else " and put together anew"
        lines.append(f"{shortened_names(done, order)} {'are' if len(done) > 1 else 'is'} reused{anew}")
    return tuple(lines)


def _plural(reason: str) -> str:
    verb, _, rest = reason.partition(" ")
    return f"{ {'is': 'are', 'has': 'have'}.get(verb, verb) } {rest}"


def shortened_names(names: Sequence[str], order: Sequence[str]) -> str:
    """Returns names as a person writes them: `span 1`, `span 2`, `span 3`, `span 7` become `spans 1-3, 7`.

    Those that are no numbers are taken together where they follow one another in `order`, which has all names.
    """
    nouns = {name.partition(" ")[0] for name in names}
    ends = [name.partition(" ")[2] for name in names]
    if len(names) == 1 or len(nouns) > 1 or not all(ends):
        return ", ".join(names)
    numbers = all(end.isdecimal() for end in ends)
    places = [int(end) for end in ends] if numbers else [order.index(name) for name in names]
    runs = [[end for _, _, end in run] for _, run in groupby(zip(count(), places, ends, strict=False), key=lambda item: item[1] - item[0])]
    shown = [
        ", ".join(run) if len(run) == 1 or (not numbers and len(run) < 3) else f"{run[0]}{'-' if numbers else ' to '}{run[-1]}"
        for run in runs
    ]
    return f"{nouns.pop()}s {', '.join(shown)}"
