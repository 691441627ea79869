"""A small disk, for real: a file system of a few megabytes."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_LAZY = 2


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mounts a file system that holds `size` on a folder; the test is skipped where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    library = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
    if library.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, f"size={size}".encode()) != 0:
        pytest.skip(f"a small file system cannot be mounted: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        library.umount2(os.fsencode(folder), _LAZY)
