"""Code, parameters, input files, environments and nodes of two sides, from what is recorded of their executions."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.environment import Environment
from pipeline.lineage.comparison.changes import Change, CodeChange, NodeChange, NodeFacts
from pipeline.lineage.comparison.data import changed, flattened
from pipeline.lineage.comparison.sides import Side
from pipeline.records import Execution, ExecutionState
from pipeline.reports import code_of, has_files, input_files, libraries_of, node_state
from pipeline.storage import Storage


def code_changes(before: Side, after: Side, storage: Storage) -> Iterator[CodeChange]:
    """Yields the files of user code that are different, by name."""
    left_out = _left_out(before, after)
    first, second = (_files(side, left_out) for side in (before, after))
    for file in sorted({*first, *second}):
        one, two = first.get(file, {}), second.get(file, {})
        nodes: dict[tuple[str | None, str | None], list[str]] = defaultdict(list)
        for node in {**one, **two}:
            # Where one side lacks the node, the file may still be known there by another node.
            nodes[(one.get(node, _any(one)), two.get(node, _any(two)))].append(node)
        for (old, new), depending in nodes.items():
            if old != new:
                yield CodeChange(file, tuple(depending), old, new, text_diff(storage, file, old, new))


def _any(digests: Mapping[str, str]) -> str | None:
    return next(iter(digests.values()), None)


def text_diff(storage: Storage, file: str, before: str | None, after: str | None) -> str:
    """Returns the unified diff of two texts that the root folder keeps; empty if one is gone."""
    old, new = (storage.kept_code(digest, Path(file).suffix) if digest else "" for digest in (before, after))
    if old is None or new is None:
        return ""
    lines = old.splitlines(), new.splitlines()
    return "\n".join(difflib.unified_diff(*lines, f"before/{file}", f"after/{file}", lineterm=""))


def parameter_changes(before: Side, after: Side) -> tuple[Change, ...]:
    """Returns the parameters that are different, `Node.parameter`, of the nodes that both sides have; input files stand apart."""
    found: list[Change] = []
    left_out = _left_out(before, after)
    for node in (node for node in before.executions if node in after.executions and node not in left_out):
        parameters = [_plain_parameters(side.executions[node]) for side in (before, after)]
        found += [Change(f"{node}.{change.name}", change.before, change.after) for change in changed(*parameters)]
    return tuple(found)


def input_changes(before: Side, after: Side) -> tuple[Change, ...]:
    """Returns the files that the nodes read which are different: by name, each with digest and size."""
    sides = [
        {name: file.as_json() for execution in side.executions.values() for name, file in input_files(execution).items()}
        for side in (before, after)
    ]
    return changed(*sides)


def environment_changes(before: Side, after: Side, storage: Storage) -> tuple[Change, ...]:
    """Returns Python, platform and packages whose versions are different.

    Where one side has not recorded them all, those of the libraries that shape the results of its nodes are compared.
    """
    texts = [storage.kept_code(side.environment, ".json") if side.environment else None for side in (before, after)]
    sides = [Environment.from_json(text).versions() for text in texts]
    return changed(*(sides if all(sides) else [_libraries(side) for side in (before, after)]))


def _libraries(side: Side) -> dict[str, str]:
    return {name: version for execution in side.executions.values() for name, version in libraries_of(execution).items()}


def node_changes(before: Side, after: Side) -> Iterator[NodeChange]:
    """Yields the nodes of both sides, in the order of the second."""
    for node in dict.fromkeys([*after.executions, *before.executions]):
        facts = [_facts(side.executions[node]) if node in side.executions else None for side in (before, after)]
        yield NodeChange(node, *facts)


def _facts(execution: Execution) -> NodeFacts:
    return NodeFacts(execution.id, node_state(execution), execution.seconds, execution.peak_memory, execution.verdict)


def _left_out(*sides: Side) -> set[str]:
    """Returns the nodes that one side skipped: what they would have used there is not known."""
    return {node for side in sides for node, execution in side.executions.items() if execution.state is ExecutionState.CANCELED}


def _files(side: Side, left_out: Collection[str]) -> dict[str, dict[str, str]]:
    """Returns the digest of each file by node."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for node, execution in side.executions.items():
        for file, digest in code_of(execution).items() if node not in left_out else ():
            found[file][node] = digest
    return dict(found)


def _plain_parameters(execution: Execution) -> dict[str, Any]:
    values = {name: value for name, value in execution.parameters.items() if not has_files(value)}
    return flattened(values)
