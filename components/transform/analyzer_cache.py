"""The analyzer cache of TensorFlow Transform (TFT): what its analyzers accumulate over one dataset, such as a span, kept for later windows.

On disk it is what TFT's `WriteAnalysisCacheToFS` writes, so that `ReadAnalysisCacheFromFS` and the Transform of TFX read it:
`<dataset>/MANIFEST`, and for each entry a TFRecord file, GZIP, of encoded accumulators.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components.records import read_records
from pipeline.errors import DataError

Entries = Mapping[bytes, list[bytes]]
"""Encoded accumulators by the key that TFT gives to an analyzer and what leads to it."""

_MANIFEST = "MANIFEST"


@dataclass(frozen=True)
class Dataset:
    """The rows of one span, and where their analyzer cache lies.

    Attributes:
        key: Name of the dataset, `[a-zA-Z0-9._-]+`; the order of the names is that of the datasets.
        shards: Files of its rows.
        folder: Folder of its cache.
        is_done: Whether the cache is there; else it is to be written.
    """

    key: str
    shards: tuple[Path, ...]
    folder: Path
    is_done: bool


def dataset_key(number: int, name: str) -> str:
    """Returns a key by which datasets sort in their order: `0001-span-12`."""
    return f"{number:04d}-{re.sub('[^a-zA-Z0-9._-]', '-', name)}"


def write_cache(folder: Path, key: str, entries: Entries) -> None:
    """Writes the cache of one dataset below a folder."""
    import tensorflow as tf

    target = folder / key
    target.mkdir(parents=True)
    for number, encoded in enumerate(entries.values()):
        with tf.io.TFRecordWriter(str(target / f"{number}-00000-of-00001.gz"), "GZIP") as writer:
            for item in encoded:
                writer.write(item)
    manifest = {name: number for number, name in enumerate(entries)}
    (target / _MANIFEST).write_bytes(pickle.dumps(manifest, protocol=0))


def read_cache(folder: Path) -> Entries:
    """Reads the cache of the one dataset below a folder.

    Raises:
        DataError: If it is damaged.
    """
    try:
        (manifest,) = folder.glob(f"*/{_MANIFEST}")
        numbers = pickle.loads(manifest.read_bytes())
    except (OSError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"The analyzer cache in {folder} is damaged: {error}", hint="Make it again: --no-cache") from error
    entries: dict[bytes, list[bytes]] = {}
    for name, number in numbers.items():
        shards = sorted(manifest.parent.glob(f"{number}-*-of-*"))
        entries[name] = [item for shard in shards for items in read_records(shard) for item in items]
    return entries
