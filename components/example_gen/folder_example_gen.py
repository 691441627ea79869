"""ExampleGens for files of which each is one record: ImageFolderExampleGen, TextFolderExampleGen, AudioFolderExampleGen."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Any

from components.example_gen.account import Account, BadRecord, OnBadRecord
from components.example_gen.archives import is_archive
from components.example_gen.base import DEFAULT_SPLITS, FileExampleGen, InputPattern, resolved
from components.example_gen.file_kinds import AudioKind, ImageKind, TextKind
from components.example_gen.file_names import NamePattern
from components.example_gen.file_table import load_table
from components.example_gen.files_reader import FileKind, FileReader
from components.example_gen.folder_driver import FolderDriver, ResolvedFolders, below
from components.example_gen.patterns import Pattern
from components.example_gen.writing import OutputOptions, write_examples
from pipeline.artifacts import Examples
from pipeline.component import Output
from pipeline.context import Context
from pipeline.errors import did_you_mean

Requirement = dict[str, int | float | str | tuple[float, float]]
"""For features, the value that each record must have, or the lowest and the highest one."""

NOTHING: Requirement = {}
_LABEL_FROM_FOLDER = "{label}/*"


class FolderExampleGen(FileExampleGen):
    """Base of the components that read files of which each is one record."""

    driver = FolderDriver
    kind: FileKind

    def validate(self) -> None:
        """Checks the parameters."""
        super().validate()
        size = f"{self.kind.noun}/bytes"
        if self.parameters["names"]:
            taken = sorted({*self.kind.fields, self.kind.content} & set(NamePattern(self.parameters["names"]).fields))
            if taken:
                raise self._error(f"names: '{taken[0]}' is a feature of its own. Give the field another name.")
        types = {**self.kind.fields, size: "int64"}
        for feature, wanted in self.parameters["require"].items():
            if feature not in types:
                raise self._error(f"require: there is no feature '{feature}'.{did_you_mean(feature, types)}")
            is_text = types[feature] == "bytes"
            if isinstance(wanted, str) is not is_text or (isinstance(wanted, tuple) and wanted[0] > wanted[1]):
                expected = "a text" if is_text else "a number, or (lowest, highest)"
                raise self._error(f"require: '{feature}' expects {expected}. Received: {wanted!r}")

    def reading(self, pattern: Pattern) -> Pattern:
        """Returns the pattern of the archives, or of all files below the folders."""
        return pattern if is_archive(pattern.text) else Pattern(below(pattern.text))

    def write(self, context: Context, examples: Examples, kind: FileKind, values: Mapping[str, Any]) -> None:
        """Reads the files and writes the splits."""
        found = resolved(values["input"])
        context.progress(f"reading {found}")
        table = load_table(found.files, values["table"], kind) if values["table"] is not None else None
        names = values["names"] if values["names"] is not None or table is not None else _LABEL_FROM_FOLDER
        reader = FileReader(kind, names or None, values["on_bad_record"], values["require"], table)
        reader.refuse_nothing(found.files)
        options = OutputOptions(values["splits"], values["split_by"], values["stratify_by"], values["shards"], values["on_bad_record"])
        known = Account()
        if isinstance(found, ResolvedFolders):
            known.empty.add_all(found.empty_folders)
        for path in table.missing if table is not None else ():
            known.add_bad(BadRecord(path, "no such file", "the table names it, and there is no such file"), "skip")
        write_examples(context, examples, found, reader, options, known=known)


class ImageFolderExampleGen(FolderExampleGen):
    """Reads pictures, JPEG, PNG, BMP or GIF, from folders or from `.tar`, `.tar.gz` and `.zip`, which are not unpacked.

    Stored is the file, not pixels: `image/encoded`, with `image/format` (`jpeg`, `png`, `bmp`, `gif`), `image/width`, `image/height`,
    `image/channels`, `image/bytes` (its size), `image/filename` (relative to the project), and `label`. Each is decoded once, so
    that one that is cut off is found here.

    Outputs:
        examples: `Split-<name>/data_tfrecord-*.gz`; rows per split, features, bad, unusual and equal records in its summary, all bad
            ones in `bad_records.jsonl`.

    Args:
        input: Pattern of folders, archives or files, several patterns, or a dict of split to pattern, with `{SPAN}` and the others as
            in `CsvExampleGen`. Of a folder all files below it are read, of an archive all members; what is no picture by its name
            is left out and listed.
        names: What the last parts of a path say: each field in braces becomes a feature. `{label}/*` takes the label from the folder
            of the file, `{label}_{person}_{take:int}.jpg` three features from its name. Empty for nothing. Default: None, which is
            `{label}/*` unless there is a table.
        table: Name of a CSV file among those of the input, or in the archive: its column `path` names files, relative to it, and each
            further column, such as `label`, becomes a feature. Files that it does not name are left out and listed. Default: None.
        splits: Names and weights of the splits. Default: two of three files in `train`, one in `eval`. A file's split comes from a
            hash of its content, so that equal files are in one split whatever they are called.
        split_by: A feature whose hash is taken instead, such as `person`; files with the same value are in one split. Default: None.
        stratify_by: A feature, such as `label`: each of its classes is divided in the exact proportions. Default: None.
        span: The span to read, or a range of spans; see `CsvExampleGen`. Default: None, the latest that is complete.
        version: Number of the version within each span. Default: None, the latest that is complete.
        window: How many spans to read, up to `span`; see `CsvExampleGen`. Default: None, one.
        missing_spans: What becomes of a window that lacks a span: `error` or `allow`. Default: `error`.
        ready: When a span is complete: a marker's name, a pattern of markers, or seconds of quiet. Default: None, at once.
        shards: Files per split. Default: None, one per 64 MiB before compression.
        on_bad_record: What becomes of a file that does not decode, has a name from which no label can be told, or is not as
            required: `fail` names them all, `skip` leaves them out, counted and listed, `keep` stores them without what could not be
            told. Default: `fail`.
        require: Values that features must have, or the lowest and the highest one:
            `{"image/format": "jpeg", "image/width": (32, 512)}`. Default: none.

    Raises:
        DataError: If a pattern matches nothing, no file is a picture, an archive is damaged, a record is bad (with `fail`), a file changes
            meanwhile, or a split gets no record.

    Example:
        examples = ImageFolderExampleGen(input="data/signs/*.tar.gz", stratify_by="label", on_bad_record="skip")
    """

    needs = ("PIL.Image", "PIL.JpegImagePlugin", "google_crc32c", "numpy", "pandas", "pyarrow.compute")
    libraries = ("pillow", "pyarrow")
    kind = ImageKind()

    def execute(
        self,
        context: Context,
        examples: Output[Examples],
        *,
        input: InputPattern,
        names: str | None = None,
        table: str | None = None,
        splits: dict[str, int] = DEFAULT_SPLITS,
        split_by: str | None = None,
        stratify_by: str | None = None,
        span: int | str | None = None,
        version: int | None = None,
        window: int | None = None,
        missing_spans: str = "error",
        ready: str | float | None = None,
        shards: int | None = None,
        on_bad_record: OnBadRecord = "fail",
        require: Requirement = NOTHING,
    ) -> None:
        """Reads the files and writes the splits."""
        self.write(context, examples, ImageKind(), locals())


class TextFolderExampleGen(FolderExampleGen):
    """Reads text files, each of which is one record, from folders or from `.tar`, `.tar.gz` and `.zip`, which are not unpacked.

    Features: `text` (as UTF-8), `text/characters`, `text/bytes` (the size of the file), `text/filename` (relative to the project), and
    `label`. Texts that are rows of a table are read by `CsvExampleGen`, with its `delimiter` and `quoting`.

    Outputs:
        examples: `Split-<name>/data_tfrecord-*.gz`; rows per split, features, bad, unusual and equal records in its summary, all bad
            ones in `bad_records.jsonl`.

    Args:
        input: Pattern of folders, archives or files, several patterns, or a dict of split to pattern; see `ImageFolderExampleGen`.
        names: What the last parts of a path say; see there. Default: None, which is `{label}/*` unless there is a table.
        table: Name of a CSV file with a column `path` and further features, among the files; see there. Default: None.
        splits: Names and weights of the splits. Default: two of three files in `train`, one in `eval`, by a hash of their content.
        split_by: A feature whose hash is taken instead; files with the same value are in one split. Default: None.
        stratify_by: A feature, such as `label`: each of its classes is divided in the exact proportions. Default: None.
        span: The span to read, or a range of spans; see `CsvExampleGen`. Default: None, the latest that is complete.
        version: Number of the version within each span. Default: None, the latest that is complete.
        window: How many spans to read, up to `span`; see `CsvExampleGen`. Default: None, one.
        missing_spans: What becomes of a window that lacks a span: `error` or `allow`. Default: `error`.
        ready: When a span is complete: a marker's name, a pattern of markers, or seconds of quiet. Default: None, at once.
        shards: Files per split. Default: None, one per 64 MiB before compression.
        on_bad_record: What becomes of a bad file: `fail`, `skip` or `keep`; see `ImageFolderExampleGen`. Default: `fail`.
        require: Values that features must have, or the lowest and the highest one: `{"text/characters": (1, 10_000)}`. Default: none.
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
        names: str | None = None,
        table: str | None = None,
        splits: dict[str, int] = DEFAULT_SPLITS,
        split_by: str | None = None,
        stratify_by: str | None = None,
        span: int | str | None = None,
        version: int | None = None,
        window: int | None = None,
        missing_spans: str = "error",
        ready: str | float | None = None,
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
        examples: `Split-<name>/data_tfrecord-*.gz`; rows per split, features, bad, unusual and equal records in its summary, all bad
            ones in `bad_records.jsonl`.

    Args:
        input: Pattern of folders, archives or files, several patterns, or a dict of split to pattern; see `ImageFolderExampleGen`.
        names: What the last parts of a path say; see there. Default: None, which is `{label}/*` unless there is a table.
        table: Name of a CSV file with a column `path` and further features, among the files; see there. Default: None.
        splits: Names and weights of the splits. Default: two of three files in `train`, one in `eval`, by a hash of their content.
        split_by: A feature whose hash is taken instead; files with the same value are in one split. Default: None.
        stratify_by: A feature, such as `label`: each of its classes is divided in the exact proportions. Default: None.
        span: The span to read, or a range of spans; see `CsvExampleGen`. Default: None, the latest that is complete.
        version: Number of the version within each span. Default: None, the latest that is complete.
        window: How many spans to read, up to `span`; see `CsvExampleGen`. Default: None, one.
        missing_spans: What becomes of a window that lacks a span: `error` or `allow`. Default: `error`.
        ready: When a span is complete: a marker's name, a pattern of markers, or seconds of quiet. Default: None, at once.
        shards: Files per split. Default: None, one per 64 MiB before compression.
        on_bad_record: What becomes of a bad file: `fail`, `skip` or `keep`; see `ImageFolderExampleGen`. Default: `fail`.
        require: Values that features must have, or the lowest and the highest one: `{"audio/sample_rate": 8000}`. Default: none.

    Raises:
        DataError: If a pattern matches nothing, no file is a sound, an archive is damaged, a record is bad (with `fail`), a file changes
            meanwhile, or a split gets no record.

    Example:
        examples = AudioFolderExampleGen(input="data/spoken_digits/*.tar.gz", names="{label}_{speaker}_{take:int}.wav", split_by="speaker")
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
        names: str | None = None,
        table: str | None = None,
        splits: dict[str, int] = DEFAULT_SPLITS,
        split_by: str | None = None,
        stratify_by: str | None = None,
        span: int | str | None = None,
        version: int | None = None,
        window: int | None = None,
        missing_spans: str = "error",
        ready: str | float | None = None,
        shards: int | None = None,
        on_bad_record: OnBadRecord = "fail",
        require: Requirement = NOTHING,
    ) -> None:
        """Reads the files and writes the splits."""
        self.write(context, examples, AudioKind(), locals())
