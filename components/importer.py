"""Importer: any existing file or folder as an artifact."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import Artifact
from pipeline.channel import Channel
from pipeline.component import Component, Output, resolve_path
from pipeline.context import Context
from pipeline.driver import Driver, KeyPart, Prepared
from pipeline.errors import DataError, DefinitionError, did_you_mean
from pipeline.hashing import digest, digest_tree, files_below


@dataclass(frozen=True)
class Source:
    """What is imported, as the driver found it: its path as given, and the digest of its content."""

    path: str
    digest: str


class ImporterDriver(Driver):
    """Replaces `source` by a `Source`, whose content is part of the cache key."""

    def prepare(self, node: Component, inputs: Mapping[str, tuple[Artifact, ...]], project: Path) -> Prepared:
        """Digests the source."""
        given = str(node.parameters["source"])
        path = resolve_path(project, given)
        if not path.exists():
            near = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
            raise DataError(f"Node '{node.id}': there is nothing at {path}.{did_you_mean(path.name, near) if near else ''}")
        if next(files_below(path), None) is None:
            raise DataError(f"Node '{node.id}': {path} holds no file.")
        source = Source(given, digest_tree(path))
        part = KeyPart("source", digest([given, source.digest]), given)
        return Prepared({**node.parameters, "source": source}, (part,), frozenset({"source"}))


class Importer(Component):
    """Imports a file or a folder as an artifact of any type.

    The payload is a copy: what is imported cannot change afterwards, whatever happens to the source. A file keeps its name; the
    content of a folder becomes the content of the artifact. Path and content of the source are part of the cache key.

    Outputs:
        result: An artifact of the type that `artifact_type` names.

    Args:
        source: Path of a file or folder, relative to the project.
        artifact_type: Name of an artifact type, such as `Schema` or `Model`, or the type itself.
        properties: Properties of the artifact. Default: none. The property `source` is added, and `split_names` for a folder of
            `Split-<name>` folders.

    Raises:
        DefinitionError: If there is no such artifact type, or a property has another type than the artifact type declares.
        DataError: If the source is missing, holds no file, or changes while it is copied.

    Example:

        model = Importer(source="models/first", artifact_type="Model", properties={"framework": "keras"}).result
    """

    isolated = False
    driver = ImporterDriver

    def __init__(self, **values: Any) -> None:
        kind = values.get("artifact_type")
        if isinstance(kind, type) and issubclass(kind, Artifact):
            values["artifact_type"] = kind.TYPE_NAME
        super().__init__(**values)
        self.outputs = {"result": Channel(self, "result", _type(self))}

    def validate(self) -> None:
        """Checks the type, and the properties against it."""
        declared = _type(self).PROPERTIES
        for name, value in (self.parameters["properties"] or {}).items():
            if name in declared and type(value) is not declared[name]:
                raise DefinitionError(f"Node '{self.id}': property '{name}' expects {declared[name].__name__}. Received: {value!r}")

    def execute(
        self,
        context: Context,
        result: Output[Artifact],
        *,
        source: str | Source,
        artifact_type: str,
        properties: Mapping[str, int | float | str] | None = None,
    ) -> None:
        """Copies the source."""
        if not isinstance(source, Source):
            raise TypeError(f"Expected what ImporterDriver found. Received: source={source!r}")
        path = context.path(source.path)
        if path.is_dir():
            shutil.copytree(path, result.path, dirs_exist_ok=True)
            copied = result.path
        else:
            copied = Path(shutil.copyfile(path, result.path / path.name))
        if digest_tree(copied) != source.digest:
            raise DataError(f"{path} changed while it was imported.", hint="Import it again when it is complete.")
        splits = sorted(item.name.removeprefix("Split-") for item in result.path.glob("Split-*"))
        if splits:
            result.set_splits(splits)
        result.properties.update({"source": source.path, **(properties or {})})


def _type(node: Component) -> type[Artifact]:
    name = node.parameters["artifact_type"]
    known = {kind.TYPE_NAME: kind for kind in _subclasses(Artifact)}
    if name not in known:
        raise DefinitionError(f"Node '{node.id}': there is no artifact type '{name}'.{did_you_mean(name, known)}")
    return known[name]


def _subclasses(kind: type[Artifact]) -> Iterator[type[Artifact]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)
