"""A lineage in the languages of Graphviz and Mermaid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.artifacts import Artifact
from pipeline.lineage.graph import Lineage
from pipeline.records import Event, Execution

SERVED = "served now"


@dataclass(frozen=True)
class _Graph:
    """Several walks as one graph."""

    artifacts: dict[int, Artifact]
    executions: dict[int, Execution]
    events: tuple[Event, ...]
    roots: frozenset[int]
    served: frozenset[int]

    @classmethod
    def of(cls, walks: Sequence[Lineage]) -> _Graph:
        return cls(
            {id: walk.artifacts[id] for walk in walks for id in sorted(walk.artifacts)},
            {id: walk.executions[id] for walk in walks for id in sorted(walk.executions)},
            tuple(dict.fromkeys(event for walk in walks for event in walk.events)),
            frozenset(root for walk in walks for root in walk.roots),
            frozenset(id for walk in walks for id in walk.served),
        )

    def label(self, id: int) -> str:
        text = f"{self.artifacts[id].type_name} {id}"
        return f"{text}\n{SERVED}" if id in self.served else text

    def edges(self) -> Iterator[tuple[str, str, str]]:
        for event in self.events:
            nodes = (f"e{event.execution}", f"a{event.artifact}")
            yield (*(nodes if event.kind.is_output else nodes[::-1]), event.key)


def to_dot(walks: Sequence[Lineage]) -> str:
    """Returns the graph in the language of Graphviz: artifacts are ellipses, executions boxes; what was asked for is bold."""
    graph = _Graph.of(walks)
    lines = ["digraph lineage {", "  rankdir=LR;"]
    for id in graph.artifacts:
        bold = ", style=bold" if id in graph.roots else ""
        lines.append(f"  a{id} [label={_in_dot(graph.label(id))}{bold}];")
    for id, execution in graph.executions.items():
        lines.append(f"  e{id} [shape=box, label={_in_dot(f'{execution.node}{chr(10)}{execution.run}')}];")
    lines += [f"  {first} -> {second} [label={_in_dot(key)}];" for first, second, key in graph.edges()]
    return "\n".join([*lines, "}"])


def to_mermaid(walks: Sequence[Lineage]) -> str:
    """Returns the graph as a Mermaid flowchart: artifacts are round, executions boxes; what was asked for is bold."""
    graph = _Graph.of(walks)
    lines = ["flowchart LR"]
    lines += [f"  a{id}({_in_mermaid(graph.label(id))})" for id in graph.artifacts]
    lines += [f"  e{id}[{_in_mermaid(f'{execution.node}{chr(10)}{execution.run}')}]" for id, execution in graph.executions.items()]
    lines += [f"  {first} -->|{_in_mermaid(key)}| {second}" for first, second, key in graph.edges()]
    lines += [f"  style a{id} stroke-width:3px" for id in sorted(graph.roots)]
    return "\n".join(lines)


def _in_dot(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _in_mermaid(text: str) -> str:
    """Returns a text as Mermaid reads it: what is no letter, digit or plain sign becomes an entity, so that nothing is markup."""
    return '"' + "<br>".join("".join(map(_entity, line)) for line in text.split("\n")) + '"'


def _entity(letter: str) -> str:
    return letter if letter.isalnum() or letter in " ._-/:," else f"#{ord(letter)};"
