"""Runs one component without the engine, for the tests of components."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import Artifact
from pipeline.cache import CacheKey
from pipeline.channel import Channel
from pipeline.component import Component, spec_of
from pipeline.context import Context
from pipeline.driver import Driver
from pipeline.executor import as_cauce_error
from pipeline.portions import PortionDecision, stage
from pipeline.resolution import ArtifactGroups


@dataclass
class Outputs:
    """What a component left: its outputs by name, and its context."""

    artifacts: dict[str, Any]
    context: Context

    def __getitem__(self, name: str) -> Any:
        return self.artifacts[name]


def run(
    kind: type[Component],
    tmp_path: Path,
    *,
    inputs: dict[str, Any] | None = None,
    project: Path | None = None,
    code: Path | None = None,
    beam_args: tuple[str, ...] = (),
    state: Path | None = None,
    done: Mapping[str, Artifact] | None = None,
    **parameters: Any,
) -> Outputs:
    """Executes `kind` on artifacts, with the defaults of its parameters, through its own driver; returns its outputs.

    `done` has the artifacts of the portions that were done before, by the name of the portion, for a component with one such output.
    """
    spec = spec_of(kind)
    number = sum(1 for _ in tmp_path.glob("execution-*"))
    base = tmp_path / f"execution-{number}"
    project = project or tmp_path
    context = Context("test", "run", kind.__name__, number, project, code or project, base / ".temp", state or base / ".state", beam_args)
    node = object.__new__(kind)
    node.id, node.inputs = kind.__name__, {}
    node.parameters = {name: parameters.pop(name, declared.default) for name, declared in spec.parameters.items()}
    if parameters:
        raise TypeError(f"{kind.__name__} has no parameters {sorted(parameters)}")
    given = {name: [value] if spec.inputs[name].many and not isinstance(value, list) else value for name, value in (inputs or {}).items()}
    as_tuples = {name: tuple(value) if isinstance(value, list) else (value,) for name, value in given.items()}
    prepared = (kind.driver or Driver)().prepare(node, as_tuples, project)
    (many,) = [name for name, declared in spec.outputs.items() if declared.many] or [""]
    earlier: dict[str, ArtifactGroups] = {portion: {many: (artifact,)} for portion, artifact in (done or {}).items()}
    decisions = tuple(
        PortionDecision(portion, CacheKey(()), portion.name in earlier, "", earlier.get(portion.name, {})) for portion in prepared.portions
    )
    node.outputs = {name: Channel(node, name, declared.type) for name, declared in spec.outputs.items()}
    staged = stage(node, decisions if any(declared.many for declared in spec.outputs.values()) else (), base)
    for folder in (context.temp, context.state, *(artifact.path for group in staged.values() for artifact in group)):
        folder.mkdir(parents=True, exist_ok=True)
    artifacts: dict[str, Any] = {name: list(group) if spec.outputs[name].many else group[0] for name, group in staged.items()}
    missing = {name: None for name in spec.inputs if name not in given}
    object.__new__(kind).execute(context, **given, **missing, **artifacts, **prepared.parameters)
    return Outputs(artifacts, context)


@contextmanager
def error_boundary(folder: Path) -> Iterator[None]:
    """Raises what the user sees in the place of what a component raises: the engine's conversion, with user code in `folder`."""
    try:
        yield
    except Exception as error:
        raise as_cauce_error(error, "Node", (folder,), folder) from error
