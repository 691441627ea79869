"""User code: Python files beside the definition, loaded by path, and digested with every local module that they import.

Local means: a file below one of the project's folders. Those folders stand behind the installed packages on `sys.path`, so a
user's `model.py` can never shadow a library; a file that a library would shadow is refused by name.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import itertools
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.errors import DefinitionError, UserCodeError, did_you_mean

OURS = ("pipeline", "components")
"""Packages that are never the user's, even where a checkout of cauce is itself the project."""

_Imported = tuple[int, str, tuple[str, ...]]
"""An import statement: its level (the number of dots), its module, the names that it takes."""


@dataclass(frozen=True)
class CodeReference:
    """A reference to user code as definitions write it: `module`, or `module:function`."""

    module: str
    function: str | None

    @classmethod
    def parse(cls, text: str) -> CodeReference:
        """Parses `features:preprocessing_fn`, `model`, `lib.model:run_fn` or `model.py:run_fn`."""
        module, _, function = text.partition(":")
        module = module.removesuffix(".py").replace("/", ".")
        if not module or not all(part.isidentifier() for part in module.split(".")):
            raise DefinitionError(f"Expected user code as 'module:function', for example 'features:preprocessing_fn'. Received: {text!r}")
        return cls(module, function or None)

    def file(self, folders: Iterable[Path]) -> Path:
        """Returns the module's file below the first of `folders` that has it.

        Raises:
            DefinitionError: If there is none, naming the places that were looked at.
        """
        looked = []
        for folder in folders:
            found = _module_file(self.module, folder)
            if found is not None:
                return found
            looked.append(str(folder / (self.module.replace(".", "/") + ".py")))
        raise DefinitionError(f"There is no user module '{self.module}'. Expected one of: {', '.join(looked)}.")


def _module_file(name: str, folder: Path) -> Path | None:
    base = folder.joinpath(*name.split("."))
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


def add_to_path(folders: Iterable[Path]) -> None:
    """Puts the project's folders at the end of `sys.path`, once."""
    for folder in map(str, folders):
        if folder not in sys.path:
            sys.path.append(folder)


def load_module(name: str, file: Path) -> ModuleType:
    """Loads a file as module `name`; the same file is loaded once.

    Raises:
        DefinitionError: If a library already has that name.
        UserCodeError: If the module raises while it is imported.
    """
    loaded = sys.modules.get(name)
    if loaded is not None:
        if Path(getattr(loaded, "__file__", None) or "").resolve() == file.resolve():
            return loaded
        raise DefinitionError(f"{file} cannot be loaded: '{name}' is the name of another module, {loaded!r}.", hint="Rename the file.")
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise DefinitionError(f"{file} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UserCodeError(f"{file} cannot be imported: {type(error).__name__}: {error}{line_in(file, error)}") from error
    return module


def line_in(file: Path, error: BaseException) -> str:
    """Returns ` (line 31)`, the last line of a file that was running when an error was raised; empty if none was."""
    trace, line = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line})" if line else ""


def load_function(text: str, folders: Iterable[Path], *, default: str | None = None) -> Callable[..., Any]:
    """Returns the function that `module:function` refers to; `default` names it where the reference does not.

    Raises:
        DefinitionError: If the module or the function does not exist.
        UserCodeError: If the module raises while it is imported.
    """
    folders = list(folders)
    reference = CodeReference.parse(text)
    add_to_path(folders)
    file = reference.file(folders)
    _refuse_shadowed(reference.module, file)
    module = load_module(reference.module, file)
    name = reference.function or default or ""
    function = getattr(module, name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise DefinitionError(f"{module.__file__} has no function '{name}'.{did_you_mean(name, known)}")
    return function  # type: ignore[no-any-return]


def _refuse_shadowed(name: str, file: Path) -> None:
    """Raises where `import name` would load a library: user modules that import one another would get that instead."""
    top, *rest = name.split(".")
    wanted = file if not rest else file.parents[len(rest) - (file.name != "__init__.py")] / "__init__.py"
    spec = importlib.util.find_spec(top)
    if spec is not None and spec.origin is not None and Path(spec.origin).resolve() != wanted.resolve():
        raise DefinitionError(f"{file} cannot be loaded: 'import {top}' would load {spec.origin}.", hint="Rename the file.")


def local_files(file: Path, folders: Iterable[Path]) -> list[Path]:
    """Returns `file` and every local module that it imports, directly or not, sorted.

    Imports are read from the source without running it, also those inside functions. A module whose name is computed at run
    time is not seen.
    """
    roots = tuple(folder.resolve() for folder in folders)
    return _closure(file, lambda current: _local_imports(current, roots))


def package_files(file: Path, package: Path) -> list[Path]:
    """Returns `file`, a module of an installed package, and every module of the package that it imports, directly or not, sorted.

    The package's own `__init__`, which gathers them all, does not count.
    """
    return _closure(file, lambda current: _package_imports(current, package))


def _closure(file: Path, next_to: Callable[[Path], Iterable[Path]]) -> list[Path]:
    found: set[Path] = set()
    waiting = [file.resolve()]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting.extend(next_to(current))
    return sorted(found)


def _local_imports(file: Path, folders: tuple[Path, ...]) -> set[Path]:
    """Returns the local files that the import statements of a user's file name."""
    imports = (found for found in _imports(file, file.stat().st_mtime_ns) if found[0] or found[1].partition(".")[0] not in OURS)
    return set(_named(file, imports, folders))


@functools.cache
def _package_imports(file: Path, package: Path) -> frozenset[Path]:
    """Returns the modules of its package that a file imports; an installed package does not change while a process lives."""
    modules = _modules_of(package)
    folder = file.parent.relative_to(package.parent).parts
    found: set[Path] = set()
    for level, base, names in _possible_imports(file):
        if level > len(folder) or (not level and base.partition(".")[0] != package.name):
            continue
        above = folder[: len(folder) - level + 1] if level else ()
        for name in ("", *names):
            parts = [part for part in (*above, *base.split("."), name) if part]
            found.update(modules[part] for part in itertools.accumulate(parts, "{}.{}".format) if part in modules)
    return frozenset(found)


@functools.cache
def _modules_of(package: Path) -> dict[str, Path]:
    """Returns the files of a package's modules by their full names; asking for each would take longer than listing them once."""
    files = {path.relative_to(package.parent): path for path in package.rglob("*.py") if path != package / "__init__.py"}
    return {".".join((*name.parent.parts, *([] if name.stem == "__init__" else [name.stem]))): path for name, path in files.items()}


def _named(file: Path, imports: Iterable[_Imported], folders: tuple[Path, ...]) -> Iterator[Path]:
    for level, base, names in imports:
        for root in (file.parents[level - 1],) if level else folders:
            for module in (base, *(f"{base}.{name}".strip(".") for name in names)):
                yield from _files_of(module, root)


@functools.cache
def _imports(file: Path, changed: int) -> tuple[_Imported, ...]:
    """Returns level, module and names of each import statement of a file, as it was when it last `changed`."""
    try:
        waiting: list[ast.AST] = [ast.parse(file.read_bytes(), filename=str(file))]
    except SyntaxError as error:
        raise UserCodeError(f"{file}, line {error.lineno}: {error.msg}") from error
    found: list[_Imported] = []
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found.extend((0, alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
        # Imports are statements: there is no need to look into expressions.
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, part, ())
            waiting.extend(inner if isinstance(inner, list) else ())
    return tuple(found)


_IMPORT = re.compile(
    r"(?:^|[;:])[ \t]*(?:from[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]*(\([^)]*\)|[^\n;]*)|import[ \t]+([^\n;]+))", re.MULTILINE
)


def _possible_imports(file: Path) -> list[_Imported]:
    """Returns what a file imports, and perhaps more: it also takes what a string or comment only seems to import.

    For installed packages, where more does no harm, and where parsing each file would take a noticeable part of a run in which
    nothing changed.
    """
    text = file.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
    found: list[_Imported] = []
    for dots, base, names, modules in _IMPORT.findall(text):
        if modules:
            found.extend((0, name, ()) for name in re.findall(r"[\w.]+", modules))
        else:
            found.append((len(dots), base, tuple(re.findall(r"\w+", names))))
    return found


def _files_of(name: str, folder: Path) -> tuple[Path, ...]:
    """Returns the files that importing `name` from a folder runs: the packages on the way, and the module."""
    parts = name.split(".") if name else []
    if not parts or not ((folder / parts[0]).is_dir() or (folder / f"{parts[0]}.py").is_file()):
        return ()
    found = (_module_file(".".join(parts[:end]), folder) for end in range(1, len(parts) + 1))
    return tuple(path.resolve() for path in found if path is not None)
