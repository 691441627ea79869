"""The cache: what a node's work depends on, whether it was done before, and if not, what is different.

A key is a list of named parts. Left out on purpose: the pipeline's name and the run (the same work is the same anywhere),
`NodeOptions` (how it runs, not what it computes), ids and paths of artifacts (their content counts), times.
"""

from __future__ import annotations

import difflib
import functools
import importlib.metadata
import inspect
import json
import operator
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import Artifact
from pipeline.component import Component
from pipeline.errors import DefinitionError
from pipeline.hashing import digest, digest_file
from pipeline.usercode import OURS, CodeReference, local_files, package_files


@dataclass(frozen=True)
class KeyPart:
    """One named part of a cache key.

    Attributes:
        name: What it is, for example `input files`; unique within a key.
        digest: What is compared.
        text: What a person is shown, for example `2 files, 15.4 MB`.
    """

    name: str
    digest: str
    text: str = ""


@dataclass(frozen=True)
class CacheKey:
    """The parts that a node's work depends on."""

    parts: tuple[KeyPart, ...]

    @property
    def digest(self) -> str:
        """The key itself."""
        return digest([(part.name, part.digest) for part in self.parts])

    def without(self, names: Collection[str]) -> CacheKey:
        """Returns the key without the parts of these names."""
        return CacheKey(tuple(part for part in self.parts if part.name not in names))

    def to_json(self) -> str:
        """Returns the parts as they are stored with an execution."""
        return json.dumps([[part.name, part.digest, part.text] for part in self.parts])

    @classmethod
    def from_json(cls, text: str) -> CacheKey:
        """Reads what `to_json` wrote."""
        return cls(tuple(KeyPart(*part) for part in json.loads(text)))


def compute_key(
    node: Component,
    inputs: Mapping[str, Sequence[Artifact]],
    parameters: Mapping[str, Any],
    *,
    extra: Iterable[KeyPart] = (),
    folders: Sequence[Path],
) -> CacheKey:
    """Returns the key of a node's work.

    Args:
        node: The node.
        inputs: Its resolved inputs; an input is known by key, order and content digest.
        parameters: Its resolved parameters, without those that `extra` stands for.
        extra: Parts of the component's own driver.
        folders: Where user code lies.
    """
    parts = [_component_part(type(node), folders)]
    parts += [input_part(name, artifacts) for name, artifacts in inputs.items()]
    parts += [parameter_part(node, name, value) for name, value in parameters.items()]
    parts += _user_code_parts(node, folders)
    parts += [KeyPart(f"library {name}", digest(version), version) for name, version in _versions(type(node).libraries)]
    parts += extra
    return CacheKey(tuple(sorted(parts, key=lambda part: part.name)))


def input_part(name: str, artifacts: Sequence[Artifact]) -> KeyPart:
    """Returns the part of an input."""
    digests = [artifact.digest or f"id {artifact.id}" for artifact in artifacts]
    return KeyPart(f"input {name}", digest(digests))


def parameter_part(node: Component, name: str, value: Any) -> KeyPart:
    """Returns the part of a parameter."""
    return KeyPart(f"parameter {name}", _parameter_digest(node, name, value), _shown(value))


def _parameter_digest(node: Component, name: str, value: Any) -> str:
    try:
        return digest(value)
    except TypeError as error:
        raise DefinitionError(f"Node '{node.id}': parameter '{name}' cannot be part of a cache key. {error}") from error


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:197] + "..."


def _component_part(kind: type[Component], folders: Sequence[Path]) -> KeyPart:
    """The component's name and source; a component of the user's has its source among the parts of user code."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    own = _users_component(kind, folders)
    return KeyPart("component", _component_digest(kind.__module__, kind.__qualname__) if own is None else digest(name), name)


def _users_component(kind: type[Component], folders: Sequence[Path]) -> Path | None:
    """Returns the file of a component that is written in the user's project; None for all others."""
    source = getattr(sys.modules[kind.__module__], "__file__", None)
    if source is None or kind.__module__.partition(".")[0] in OURS:
        return None
    file = Path(source).resolve()
    local = any(file.is_relative_to(folder.resolve()) for folder in folders) and "site-packages" not in file.parts
    return file if local else None


@functools.cache
def _component_digest(module_name: str, qualname: str) -> str:
    """Digests a component's own module (its folder, where it has one) and what that imports from its top-level package."""
    name = f"{module_name}.{qualname}"
    module = sys.modules[module_name]
    source = getattr(module, "__file__", None)
    if source is None:  # typed into an interpreter
        return digest([name, inspect.getsource(operator.attrgetter(qualname)(module))])
    file = Path(source).resolve()
    depth = module_name.count(".") + (file.name == "__init__.py")
    package = file.parents[depth - 1] if depth else file.parent
    found = package_files(file, package) if depth else local_files(file, [package])
    return digest([name, [(path.relative_to(package).as_posix(), _file_digest(path)) for path in found]])


@functools.cache
def _file_digest(path: Path) -> str:
    return digest_file(path)


def user_files(node: Component, folders: Sequence[Path]) -> list[Path]:
    """Returns the files of the user that a node's work depends on: those it names, its own, and the local modules that they import."""
    references = (node.parameters.get(name) for name in type(node).user_code)
    roots = [CodeReference.parse(reference).file(folders) for reference in references if reference]
    own = _users_component(type(node), folders)
    roots += [own] if own is not None else []
    return list(dict.fromkeys(file for root in roots for file in local_files(root, folders)))


def _user_code_parts(node: Component, folders: Sequence[Path]) -> list[KeyPart]:
    parts = []
    for file in user_files(node, folders):
        sha = digest_file(file)
        folder = next((folder for folder in map(Path.resolve, folders) if file.is_relative_to(folder)), file.parent)
        parts.append(KeyPart(f"code {file.relative_to(folder).as_posix()}", sha, sha))
    return parts


@functools.cache
def _versions(names: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(name, importlib.metadata.version(name)) for name in names]


def explain(new: CacheKey, old: CacheKey, folders: Sequence[Path], kept: Callable[[str, str], str | None]) -> tuple[str, ...]:
    """Returns one sentence for each part that is different from an earlier key.

    Args:
        new: The key of now.
        old: The earlier key.
        folders: Where user code lies now.
        kept: Returns earlier user code by digest and suffix, or None.
    """
    before = {part.name: part for part in old.parts}
    after = {part.name: part for part in new.parts}
    sentences = []
    for name, part in after.items():
        earlier = before.get(name)
        if earlier is None or earlier.digest != part.digest:
            lines = _changed_lines(earlier, _noun(name), folders, kept) if earlier and name.startswith("code ") else ""
            sentences.append(_change(earlier, part) + lines)
    sentences += [f"{_noun(name)} is gone" for name in before if name not in after]
    return tuple(sentences)


def _noun(name: str) -> str:
    kind, _, rest = name.partition(" ")
    return rest if kind in ("code", "parameter", "library") and rest else name


def _change(old: KeyPart | None, new: KeyPart) -> str:
    noun = _noun(new.name)
    if new.name == "component":
        return f"the component {new.text} itself changed"
    if old is None:
        return f"{noun} is new"
    if new.name.startswith("input "):
        told = bool(new.text and old.text) and new.text != old.text
        return f"the {new.name} changed" + (f": {new.text}, was {old.text}" if told else "")
    if new.name.startswith("code ") or new.text == old.text:
        return f"{noun} changed"
    return f"{noun} is {new.text}, was {old.text}"


def _changed_lines(old: KeyPart, name: str, folders: Sequence[Path], kept: Callable[[str, str], str | None]) -> str:
    """Returns ` (line 31)` or ` (lines 31-33, 40)`, counted in the text of now."""
    file = next((folder / name for folder in folders if (folder / name).is_file()), None)
    earlier = kept(old.digest, Path(name).suffix)
    if file is None or earlier is None:
        return ""
    before, after = earlier.splitlines(), file.read_text(encoding="utf-8", errors="replace").splitlines()
    blocks = [block for block in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes() if block[0] != "equal"]
    ranges = [f"{start + 1}-{end}" if end - start > 1 else f"{min(start + 1, max(len(after), 1))}" for _, _, _, start, end in blocks]
    shown = ", ".join(ranges[:4]) + (", ..." if len(ranges) > 4 else "")
    return f" (line{'s' if len(ranges) > 1 or '-' in shown else ''} {shown})" if ranges else ""
