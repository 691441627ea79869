"""A pipeline: nodes found by walking the edges from its ends, in an order in which they can run."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.artifacts import Artifact
from pipeline.beam import runner_name
from pipeline.channel import Channel
from pipeline.component import Component, check_parameter, spec_of
from pipeline.display import grid, titled
from pipeline.errors import DefinitionError, UsageError, did_you_mean


class Pipeline:
    """A named graph of nodes.

    Args:
        name: Name in the metadata store: letters, digits, '_', '-' and '.'.
        ends: The nodes (or channels) that the pipeline is for; every node that they need is part of it.
        beam_args: Arguments of Beam for all nodes.

    Raises:
        DefinitionError: For a wrong name, a node id used twice, a cycle, or a runner of Beam that loses data.

    Attributes:
        nodes: All nodes, each after those that it needs; independent nodes in the order in which they were reached.
    """

    def __init__(self, name: str, ends: Sequence[Component | Channel], *, beam_args: Sequence[str] = ()) -> None:
        if not isinstance(name, str) or not name.strip(".") or not all(letter.isalnum() or letter in "_-." for letter in name):
            raise DefinitionError(f"A pipeline's name may hold letters, digits, '_', '-' and '.'. Received: {name!r}")
        runner_name(beam_args)
        self.name = name
        self.beam_args = tuple(beam_args)
        self.nodes = _ordered(name, _reached(name, ends))
        for node in self.nodes:
            runner_name(node.options.beam_args)
        self._by_id = {node.id: node for node in self.nodes}

    def __repr__(self) -> str:
        return f"<Pipeline '{self.name}': {', '.join(self._by_id)}>"

    def _repr_html_(self) -> str:
        rows = [(node.id, type(node).__name__, _wiring(node), ", ".join(node.outputs), _settings(node)) for node in self.nodes]
        return titled(f"pipeline {self.name}", grid(["node", "component", "takes", "makes", "parameters"], rows))

    def __getitem__(self, id: str) -> Component:
        if id not in self._by_id:
            lower = {known.lower(): known for known in self._by_id}
            if id.lower() not in lower:
                raise UsageError(f"Pipeline '{self.name}' has no node '{id}'.{did_you_mean(id, self._by_id)}")
            id = lower[id.lower()]
        return self._by_id[id]

    def upstream_of(self, ids: Iterable[str]) -> set[str]:
        """Returns the ids of the nodes and of all that they need."""
        return self._closure(ids, {node.id: [needed.id for needed in node.upstream] for node in self.nodes})

    def downstream_of(self, ids: Iterable[str]) -> set[str]:
        """Returns the ids of the nodes and of all that need them."""
        edges: dict[str, list[str]] = {node.id: [] for node in self.nodes}
        for node in self.nodes:
            for needed in node.upstream:
                edges[needed.id].append(node.id)
        return self._closure(ids, edges)

    @staticmethod
    def _closure(ids: Iterable[str], edges: Mapping[str, Sequence[str]]) -> set[str]:
        found: set[str] = set()
        waiting = list(ids)
        while waiting:
            current = waiting.pop()
            if current not in found:
                found.add(current)
                waiting.extend(edges[current])
        return found

    def select(self, *, start: Sequence[str] = (), end: Sequence[str] = (), only: Sequence[str] = ()) -> frozenset[str]:
        """Returns the ids to run: from `start` down, up to `end`, or `only` these; all without any.

        Raises:
            UsageError: For an unknown node, or when nothing is left.
        """
        starts, ends, onlys = ([self[id].id for id in ids] for ids in (start, end, only))
        chosen = {node.id for node in self.nodes}
        if onlys:
            chosen &= set(onlys)
        if starts:
            chosen &= self.downstream_of(starts)
        if ends:
            chosen &= self.upstream_of(ends)
        if not chosen:
            raise UsageError(f"No node is left to run: no path leads from {', '.join(starts)} to {', '.join(ends)}.")
        return frozenset(chosen)

    def set_parameters(self, settings: Mapping[str, str]) -> dict[str, Any]:
        """Sets parameters from text, `{"trainer.train_steps": "200"}`; returns the values by `Node.parameter`.

        A value is read as a Python literal where it is one, else as text.

        Raises:
            UsageError: For an unknown node or parameter, or a value of another type.
        """
        applied: dict[str, Any] = {}
        for setting, text in settings.items():
            id, dot, name = setting.partition(".")
            if not dot:
                raise UsageError(f"Expected NODE.PARAMETER=VALUE. Received: {setting}={text}")
            node = self[id]
            declared = spec_of(type(node)).parameters
            if name not in declared:
                raise UsageError(f"Node '{node.id}' has no parameter '{name}'.{did_you_mean(name, declared)}")
            try:
                node.parameters[name] = _parsed(node, name, text)
                node.validate()
            except DefinitionError as error:
                raise UsageError(error.message, hint=error.hint) from error
            applied[f"{node.id}.{name}"] = node.parameters[name]
        return applied


def _wiring(node: Component) -> str:
    return ", ".join(f"{name}: {' + '.join(map(str, channels))}" for name, channels in node.inputs.items())


def _settings(node: Component) -> str:
    """Returns the parameters that are not at their defaults."""
    declared = spec_of(type(node)).parameters
    return ", ".join(f"{name}={value!r}" for name, value in node.parameters.items() if value != declared[name].default)


def _parsed(node: Component, name: str, text: str) -> Any:
    declared = spec_of(type(node)).parameters[name]
    try:
        value = ast.literal_eval({"true": "True", "false": "False", "null": "None"}.get(text, text))
    except (ValueError, SyntaxError):
        return check_parameter(node, declared, text)
    try:
        return check_parameter(node, declared, value)
    except DefinitionError:
        return check_parameter(node, declared, text)


def _reached(name: str, ends: Sequence[Component | Channel]) -> list[Component]:
    """Returns every node that the ends need, and the ends; each once."""
    if not ends:
        raise DefinitionError(f"Pipeline '{name}' has no nodes.", hint="Pass the nodes that it ends in, for example [pusher].")
    waiting: list[Component] = []
    for end in ends:
        if not isinstance(end, Component | Channel):
            raise DefinitionError(f"Pipeline '{name}' ends in nodes. Received: {end!r} of type {type(end).__name__}.")
        waiting.append(end.node if isinstance(end, Channel) else end)
    found: dict[int, Component] = {}
    while waiting:
        node = waiting.pop(0)
        if id(node) not in found:
            found[id(node)] = node
            waiting.extend(node.upstream)
    return list(found.values())


def _may_be_empty(channel: Channel) -> bool:
    return spec_of(type(channel.node)).outputs[channel.name].optional


def _ordered(name: str, nodes: list[Component]) -> tuple[Component, ...]:
    seen: dict[str, Component] = {}
    for node in nodes:
        bare = next((channel for channel in node.outputs.values() if channel.type is Artifact and not _may_be_empty(channel)), None)
        if bare is not None:
            raise DefinitionError(
                f"Output '{bare}' is a plain Artifact.", hint="Derive a class from Artifact: its name is the type's name in the store."
            )
        if node.id in seen:
            raise DefinitionError(
                f"Pipeline '{name}' has two nodes with the id '{node.id}': a {type(seen[node.id]).__name__} and a {type(node).__name__}.",
                hint=f"Name one of them: {type(node).__name__}(..., id='...').",
            )
        seen[node.id] = node
    sorter = graphlib.TopologicalSorter({node.id: [needed.id for needed in node.upstream] for node in nodes})
    try:
        order = list(sorter.static_order())
    except graphlib.CycleError as error:
        raise DefinitionError(f"Pipeline '{name}' has a cycle: {' -> '.join(reversed(error.args[1]))}.") from error
    return tuple(seen[id] for id in order)
