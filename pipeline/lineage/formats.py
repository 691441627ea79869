"""A lineage in the languages of Graphviz and Mermaid."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.lineage.graph import Lineage


def to_dot(walks: Sequence[Lineage]) -> str:
    """Returns the graph in the language of Graphviz: artifacts are ellipses, executions boxes."""
    artifacts = {id: artifact for lineage in walks for id, artifact in lineage.artifacts.items()}
    executions = {id: execution for lineage in walks for id, execution in lineage.executions.items()}
    events = dict.fromkeys(event for lineage in walks for event in lineage.events)
    roots = {root for lineage in walks for root in lineage.roots}
    lines = ["digraph lineage {", "  rankdir=LR;"]
    for id, artifact in sorted(artifacts.items()):
        bold = ", style=bold" if id in roots else ""
        lines.append(f"  a{id} [label={_quoted(f'{artifact.type_name} {id}')}{bold}];")
    for id, execution in sorted(executions.items()):
        lines.append(f"  e{id} [shape=box, label={_quoted(f'{execution.node}{chr(10)}{execution.run}')}];")
    for event in events:
        edge = f"e{event.execution} -> a{event.artifact}" if event.kind.is_output else f"a{event.artifact} -> e{event.execution}"
        lines.append(f"  {edge} [label={_quoted(event.key)}];")
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
