"""Small pictures, texts and sounds for the tests of what reads files."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from components.example_gen.base import FileExampleGen
from components.records import read_split
from pipeline.artifacts import Artifact
from tests.harness import Outputs, run


def picture(number: int, size: tuple[int, int] = (16, 12), form: str = "JPEG", mode: str = "RGB") -> bytes:
    """A picture that no other number has."""
    noise = np.random.default_rng(number).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(stream, form)
    return stream.getvalue()


def sound(number: int, *, rate: int = 8000, seconds: float = 0.05, channels: int = 1, form: str = "WAV") -> bytes:
    """A sound that no other number has."""
    import soundfile

    samples = np.random.default_rng(number).uniform(-0.5, 0.5, (int(rate * seconds), channels)).astype(np.float32)
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=form)
    return stream.getvalue()


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Writes files below a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def write_tar(path: Path, files: Mapping[str, bytes], mode: Any = "w:gz") -> Path:
    """Writes files into a tar."""
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    """Writes files into a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def generate(kind: type[FileExampleGen], project: Path, **parameters: Any) -> Outputs:
    """What an ExampleGen makes, in one split unless splits are given."""
    named = isinstance(parameters.get("input"), dict)
    return run(kind, project, **{**({} if named else {"splits": {"all": 1}}), **parameters})


def rows(examples: Artifact, split: str = "all") -> list[dict[str, Any]]:
    """The rows of a split, with single values instead of lists of one."""
    batches = read_split(examples.split_path(split))
    return [
        {name: value[0] if value and len(value) == 1 else value for name, value in row.items()}
        for batch in batches
        for row in batch.to_pylist()
    ]


def issues(examples: Artifact) -> dict[str, list[dict[str, Any]]]:
    """The issues in the summary, by kind."""
    found: dict[str, list[dict[str, Any]]] = {}
    for issue in examples.summary()["issues"]:
        found.setdefault(issue["kind"], []).append(issue)
    return found
