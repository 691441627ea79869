"""One hash for everything: a canonical, type-tagged, length-delimited encoding, digested with SHA-256.

Every value is written as `<tag><length>:<bytes>`, so that no two values of different types or nesting can have the same
encoding. Files are digested by content, trees by the sorted relative paths and contents of their files; times, owners
and modes are left out because copying a file must not change what it is.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePath

_SMALL_FILE = 1 << 20


def _tagged(tag: str, body: bytes) -> bytes:
    return b"%s%d:%s" % (tag.encode(), len(body), body)


def encode(value: object) -> bytes:
    """Returns the canonical encoding of plain data.

    Args:
        value: None, bool, int, float, str, bytes, path, enum, dataclass, or list, tuple, set, frozenset, dict of these.
            A tuple equals a list; an order of keys does not matter.

    Raises:
        TypeError: If the value is of any other type, naming that type.
    """
    match value:
        case None:
            return _tagged("n", b"")
        case enum.Enum():
            return _tagged("e", encode(type(value).__qualname__) + encode(value.name))
        case bool():
            return _tagged("b", b"1" if value else b"0")
        case int():
            return _tagged("i", str(value).encode())
        case float():
            return _tagged("f", value.hex().encode())
        case str():
            return _tagged("s", value.encode("utf-8", "surrogatepass"))
        case PurePath():
            return _tagged("s", value.as_posix().encode("utf-8", "surrogateescape"))
        case bytes():
            return _tagged("y", value)
        case list() | tuple():
            return _tagged("l", b"".join(map(encode, value)))
        case set() | frozenset():
            return _tagged("t", b"".join(sorted(map(encode, value))))
        case dict():
            pairs = sorted((encode(key), encode(item)) for key, item in value.items())
            return _tagged("d", b"".join(key + item for key, item in pairs))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return _tagged("o", encode(type(value).__qualname__) + encode(fields))
    raise TypeError(f"Expected plain data that can be hashed. Received: {value!r} of type {type(value).__qualname__}")


def digest(value: object) -> str:
    """Returns the SHA-256 of the canonical encoding of `value`, in hexadecimal."""
    return hashlib.sha256(encode(value)).hexdigest()


def digest_file(path: Path) -> str:
    """Returns the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size <= _SMALL_FILE:
            return hashlib.sha256(file.read()).hexdigest()  # twice as fast: folders of pictures have many
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_below(path: Path) -> Iterator[Path]:
    """Yields the regular files of a tree in the order of their relative POSIX paths; the file itself for a file."""
    if path.is_file():
        yield path
        return
    yield from sorted((file for file in path.rglob("*") if file.is_file()), key=lambda file: file.relative_to(path).as_posix())


def digest_tree(path: Path) -> str:
    """Returns one digest for a file or a folder: relative paths and contents, in order."""
    if path.is_file():
        return digest_file(path)
    return digest([(file.relative_to(path).as_posix(), digest_file(file)) for file in files_below(path)])


def extent(path: Path) -> tuple[int, int]:
    """Returns the bytes and the number of all files of a file or folder."""
    sizes = [file.stat().st_size for file in files_below(path)]
    return sum(sizes), len(sizes)
