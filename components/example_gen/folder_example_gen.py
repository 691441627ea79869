"""ExampleGens for files of which each is one record: ImageFolderExampleGen, TextFolderExampleGen, AudioFolderExampleGen."""

from __future__ import annotations

import codecs
import copy
import dataclasses
import glob
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.example_gen.account import OnBadRecord
from components.example_gen.base import DEFAULT_SPLITS, FileExampleGen, InputDriver, InputPattern, resolved
from components.example_gen.file_kinds import AudioKind, ImageKind, TextKind
from components.example_gen.file_names import NamePattern
from components.example_gen.files_reader import FileKind, FileReader, empty_classes
from components.example_gen.inputs import ResolvedInput
from components.example_gen.writing import OutputOptions, write_examples
from pipeline.artifacts import Artifact, Examples
from pipeline.component import Component, Output
from pipeline.context import Context
from pipeline.driver import KeyPart, Prepared
from pipeline.errors import did_you_mean
from pipeline.hashing import digest

Requirement = dict[str, int | float | str | tuple[float, float]]
"""For features, the value that each record must have, or the lowest and the highest one."""

NOTHING: Requirement = {}

_PART = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True)
class ResolvedFolders(ResolvedInput):
    """The files of folders and archives.

    Attributes:
        empty_folders: Folders below them that hold no file.
    """

    empty_folders: tuple[str, ...] = ()


class FolderDriver(InputDriver):
    """Takes a folder in a pattern for all files below it, and looks for folders that hold none."""

    allows_empty_files = True

    def prepare(self, node: Component, inputs: Mapping[str, tuple[Artifact, ...]], project: Path) -> Prepared:
        """Finds the files of `node`, and fingerprints them."""
        expanded = copy.copy(node)
        expanded.parameters = {**node.parameters, "input": _with_folders(node.parameters["input"], project)}
        prepared = super().prepare(expanded, inputs, project)
        found = resolved(prepared.parameters["input"])
        values = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
        folders = ResolvedFolders(**values, empty_folders=tuple(_empty_folders(node.parameters["input"], found, project)))
        parts = prepared.parts + ((KeyPart("empty folders", digest(folders.empty_folders)),) if folders.empty_folders else ())
        return dataclasses.replace(prepared, parameters={**prepared.parameters, "input": folders}, parts=parts)


def _with_folders(value: Any, project: Path) -> Any:
    """Returns the patterns of an input, with one for the files below each pattern that matches a folder."""
    if isinstance(value, Mapping):
        return {split: _with_folders(given, project) for split, given in value.items()}
    texts = (value,) if isinstance(value, str) else tuple(value)
    expanded: list[str] = []
    for text in texts:
        found = _matches(text, project)
        expanded += [text] if not found or any(not path.is_dir() for path in found) else []
        expanded += [f"{text.rstrip('/')}/**/*"] if any(path.is_dir() for path in found) else []
    return tuple(expanded)


def _matches(text: str, project: Path) -> list[Path]:
    pattern = os.path.normpath(Path(_PART.sub("*", text)).expanduser())
    return [project / name for name in sorted(glob.glob(pattern, root_dir=project, recursive=True))]  # noqa: PTH207


def _empty_folders(value: Any, found: ResolvedInput, project: Path) -> Iterator[str]:
    """Yields the folders without a file, below those folders of the input from which a file is read."""
    used = {str(folder) for file in found.files for folder in file.path.parents}
    values = value.values() if isinstance(value, Mapping) else [value]
    for text in [text for given in values for text in ((given,) if isinstance(given, str) else given)]:
        for folder in _matches(text, project):
            if str(folder) not in used or not folder.is_dir():
                continue
            for path, names, _ in os.walk(folder):
                names[:] = sorted(name for name in names if not name.startswith("."))
                if path not in used:
                    names.clear()
                    yield f"{os.path.relpath(path, project) if folder.is_relative_to(project) else path}/"


class FolderExampleGen(FileExampleGen):
    """Base of the components that read files of which each is one record."""

    driver = FolderDriver
    kind: FileKind

    def validate(self) -> None:
        """Checks the parameters."""
        super().validate()
        pattern = self.parameters["names"]
        known = [*self.kind.fields, f"{self.kind.noun}/bytes", f"{self.kind.noun}/filename", self.kind.content]
        if pattern is not None:
            taken = sorted(set(NamePattern(pattern).fields) & set(known))
            if taken:
                raise self._error(f"names: '{taken[0]}' is a feature of its own. Give the field another name.")
        for feature, wanted in self.parameters["require"].items():
            numeric = self.kind.fields.get(feature, "int64" if feature == f"{self.kind.noun}/bytes" else None)
            if numeric is None:
                raise self._error(f"require: there is no feature '{feature}'.{did_you_mean(feature, [*self.kind.fields, known[-3]])}")
            if isinstance(wanted, str) is not (numeric == "bytes") or (isinstance(wanted, tuple) and wanted[0] > wanted[1]):
                raise self._error(
                    f"require: '{feature}' expects a {'text' if numeric == 'bytes' else 'number, or (lowest, highest)'}. Received: {wanted!r}"
                )

    def write(self, context: Context, examples: Examples, kind: FileKind, values: Mapping[str, Any]) -> None:
        """Reads the files and writes the splits."""
        found = resolved(values["input"])
        context.progress(f"reading {found}")
        empty = found.empty_folders if isinstance(found, ResolvedFolders) else ()
        reader = FileReader(kind, values["names"], values["on_bad_record"], values["require"])
        options = OutputOptions(values["splits"], values["split_by"], values["stratify_by"], values["shards"], values["on_bad_record"])
        write_examples(context, examples, found, reader, options, issues=[empty_classes(kind.noun, empty)] if empty else [])


class ImageFolderExampleGen(FolderExampleGen):
    """Reads pictures, JPEG, PNG, BMP or GIF, from folders or from `.tar`, `.tar.gz` and `.zip`, which are not unpacked.

    Stored is the file, not pixels: `image/encoded`, with `image/format` (`jpeg`, `png`, `bmp`, `gif`), `image/width`, `image/height`,
    `image/channels`, `image/bytes` (its size), `image/filename` (relative to the project), and `label`. Each is decoded once, so
    that one that is cut off is found here.

    Outputs:
        examples: `Split-<name>/data_tfrecord-*.gz`; rows per split, features, bad, unusual and equal records in its summary.

    Args:
        input: Pattern of folders, archives or files, several patterns, or a dict of split to pattern: `data/signs/*.tar`, `data/signs`. Of a folder all
            files below it are read, of an archive all members; files with other names are left out and listed. `{SPAN}`, `{VERSION}`
            and wildcards as in `CsvExampleGen`.
        names: What the last parts of a path say: each field in braces becomes a feature. `{label}/*` takes the label from the folder
            of the file, `{label}_{speaker}_{take:int}.wav` three features from its name. None for nothing. Default: `{label}/*`.
        splits: Names and weights of the splits. Default: two of three files in `train`, one in `eval`. A file's split comes from a
            hash of its content, so that equal files are in one split whatever they are called.
        split_by: A feature whose hash is taken instead, such as a speaker; files with the same value are in one split. Default: None.
        stratify_by: A feature, such as `label`: each of its classes is divided in the exact proportions. Default: None.
        span: Number of the span to read; a negative one counts from the latest, -1. Default: None, the latest.
        version: Number of the version within the span, in the same way. Default: None, the latest.
        shards: Files per split. Default: None, one per 64 MiB before compression.
        on_bad_record: What becomes of a file that does not decode, has a name from which no label can be told, or is not as
            required: `fail` names them all, `skip` leaves them out, counted and listed in `bad_records.jsonl`, `keep` stores them
            without what could not be told. Default: `fail`.
        require: Values, or lowest and highest ones, that features must have: `{"image/width": (32, 512), "image/format": "jpeg"}`. Default: none.

    Raises:
        DataError: If a pattern matches nothing, no file is an image, an archive is damaged, a record is bad (with `fail`), a file changes
            meanwhile, or a split gets no record.

    Example:
        examples = ImageFolderExampleGen(input="data/signs/span-{SPAN}", stratify_by="label", on_bad_record="skip")
    """

    needs = ("PIL.Image", "google_crc32c", "numpy", "pandas", "pyarrow.compute")
    libraries = ("pillow", "pyarrow")
    kind = ImageKind()

    def execute(
        self,
        context: Context,
        examples: Output[Examples],
        *,
        input: InputPattern,
        names: str | None = "{label}/*",
        splits: dict[str, int] = DEFAULT_SPLITS,
        split_by: str | None = None,
        stratify_by: str | None = None,
        span: int | None = None,
        version: int | None = None,
        shards: int | None = None,
        on_bad_record: OnBadRecord = "fail",
        require: Requirement = NOTHING,
    ) -> None:
        """Reads the files and writes the splits."""
        self.write(context, examples, ImageKind(), locals())


class TextFolderExampleGen(FolderExampleGen):
    """Reads text files, each of which is one record, from folders or from `.tar`, `.tar.gz` and `.zip`, which are not unpacked.

    Features: `text` (as UTF-8), `text/characters`, `text/bytes` (the size of the file), `text/filename` (relative to the project), and
    `label`. Texts that are rows of a table are read by `CsvExampleGen`, with `delimiter` and `quoting`.

    Outputs:
        examples: `Split-<name>/data_tfrecord-*.gz`; rows per split, features, bad, unusual and equal records in its summary.

    Args:
        input: Pattern of folders, archives or files, several patterns, or a dict of split to pattern: `data/reviews/*.tar.gz`, `data/reviews`. Of a folder all
            files below it are read, of an archive all members; files with other names are left out and listed. `{SPAN}`, `{VERSION}`
            and wildcards as in `CsvExampleGen`.
        names: What the last parts of a path say: each field in braces becomes a feature. `{label}/*` takes the label from the folder
            of the file, `{label}_{speaker}_{take:int}.wav` three features from its name. None for nothing. Default: `{label}/*`.
        splits: Names and weights of the splits. Default: two of three files in `train`, one in `eval`. A file's split comes from a
            hash of its content, so that equal files are in one split whatever they are called.
        split_by: A feature whose hash is taken instead, such as a speaker; files with the same value are in one split. Default: None.
        stratify_by: A feature, such as `label`: each of its classes is divided in the exact proportions. Default: None.
        span: Number of the span to read; a negative one counts from the latest, -1. Default: None, the latest.
        version: Number of the version within the span, in the same way. Default: None, the latest.
        shards: Files per split. Default: None, one per 64 MiB before compression.
        on_bad_record: What becomes of a file that does not decode, has a name from which no label can be told, or is not as
            required: `fail` names them all, `skip` leaves them out, counted and listed in `bad_records.jsonl`, `keep` stores them
            without what could not be told. Default: `fail`.
        require: Values, or lowest and highest ones, that features must have: `{"text/characters": (1, 10_000)}`. Default: none.
        encoding: Encoding of the files. Default: UTF-8, with or without a byte order mark.

    Raises:
        DataError: If a pattern matches nothing, no file is a text, an archive is damaged, a record is bad (with `fail`), a file changes
            meanwhile, or a split gets no record.

    Example:
        examples = TextFolderExampleGen(input={"train": "data/reviews/train", "eval": "data/reviews/val"})
    """

    needs = ("google_crc32c", "numpy", "pandas", "pyarrow.compute")
    libraries = ("pyarrow",)
    kind = TextKind()

    def validate(self) -> None:
        """Checks the parameters."""
        super().validate()
        try:
            codecs.lookup(self.parameters["encoding"])
        except LookupError as error:
            raise self._error(f"encoding={self.parameters['encoding']!r} is unknown.") from error

    def execute(
        self,
        context: Context,
        examples: Output[Examples],
        *,
        input: InputPattern,
        names: str | None = "{label}/*",
        splits: dict[str, int] = DEFAULT_SPLITS,
        split_by: str | None = None,
        stratify_by: str | None = None,
        span: int | None = None,
        version: int | None = None,
        shards: int | None = None,
        on_bad_record: OnBadRecord = "fail",
        require: Requirement = NOTHING,
        encoding: str = "utf-8",
    ) -> None:
        """Reads the files and writes the splits."""
        self.write(context, examples, TextKind(encoding), locals())


class AudioFolderExampleGen(FolderExampleGen):
    """Reads sounds, WAV, FLAC or OGG, from folders or from `.tar`, `.tar.gz` and `.zip`, which are not unpacked.

    Stored is the file, not samples: `audio/encoded`, with `audio/format` (`wav`, `flac`, `ogg`), `audio/sample_rate` (Hz),
    `audio/channels`, `audio/seconds`, `audio/bytes` (its size), `audio/filename` (relative to the project), and `label`. Each is
    decoded once, so that one that is cut off is found here.

    Outputs:
        examples: `Split-<name>/data_tfrecord-*.gz`; rows per split, features, bad, unusual and equal records in its summary.

    Args:
        input: Pattern of folders, archives or files, several patterns, or a dict of split to pattern: `data/spoken_digits/*.tar`, `data/spoken_digits`. Of a folder all
            files below it are read, of an archive all members; files with other names are left out and listed. `{SPAN}`, `{VERSION}`
            and wildcards as in `CsvExampleGen`.
        names: What the last parts of a path say: each field in braces becomes a feature. `{label}/*` takes the label from the folder
            of the file, `{label}_{speaker}_{take:int}.wav` three features from its name. None for nothing. Default: `{label}/*`.
        splits: Names and weights of the splits. Default: two of three files in `train`, one in `eval`. A file's split comes from a
            hash of its content, so that equal files are in one split whatever they are called.
        split_by: A feature whose hash is taken instead, such as a speaker; files with the same value are in one split. Default: None.
        stratify_by: A feature, such as `label`: each of its classes is divided in the exact proportions. Default: None.
        span: Number of the span to read; a negative one counts from the latest, -1. Default: None, the latest.
        version: Number of the version within the span, in the same way. Default: None, the latest.
        shards: Files per split. Default: None, one per 64 MiB before compression.
        on_bad_record: What becomes of a file that does not decode, has a name from which no label can be told, or is not as
            required: `fail` names them all, `skip` leaves them out, counted and listed in `bad_records.jsonl`, `keep` stores them
            without what could not be told. Default: `fail`.
        require: Values, or lowest and highest ones, that features must have: `{"audio/sample_rate": 8000, "audio/seconds": (0.1, 5.0)}`. Default: none.

    Raises:
        DataError: If a pattern matches nothing, no file is a sound, an archive is damaged, a record is bad (with `fail`), a file changes
            meanwhile, or a split gets no record.

    Example:
        examples = AudioFolderExampleGen(input="data/digits", names="{label}_{speaker}_{take:int}.wav", split_by="speaker")
    """

    needs = ("google_crc32c", "numpy", "pandas", "pyarrow.compute", "soundfile")
    libraries = ("pyarrow", "soundfile")
    kind = AudioKind()

    def execute(
        self,
        context: Context,
        examples: Output[Examples],
        *,
        input: InputPattern,
        names: str | None = "{label}/*",
        splits: dict[str, int] = DEFAULT_SPLITS,
        split_by: str | None = None,
        stratify_by: str | None = None,
        span: int | None = None,
        version: int | None = None,
        shards: int | None = None,
        on_bad_record: OnBadRecord = "fail",
        require: Requirement = NOTHING,
    ) -> None:
        """Reads the files and writes the splits."""
        self.write(context, examples, AudioKind(), locals())
