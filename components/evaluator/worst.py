"""The rows to look at: those with the highest loss, and the mistakes of which the model is surest.

A `Keeper` sees each batch with its predictions and keeps a bounded number of rows, with their serialized examples; `write_worst` says of
them what a person can read, and writes pictures and sounds beside the summary as they were encoded.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from components.evaluator.media import media_kind
from components.evaluator.subject import Subject
from components.evaluator.tally import log_losses, pair_of_numbers, predicted_classes, truth_and_scores
from components.records import decode_records

Floats = npt.NDArray[np.float64]

FOLDER = "worst"
MAX_MEDIA_BYTES = 1 << 20
MAX_MEDIA_BYTES_TOGETHER = 16 << 20
MAX_RECORD_BYTES = 8 << 20
_FEATURES, _VALUES, _TEXT, _SCORES, _STEPS = 20, 8, 300, 5, 512


@dataclass(frozen=True)
class Keeping:
    """What is kept.

    Attributes:
        count: Rows of each kind; 0 for none.
        subject: What is evaluated.
    """

    count: int
    subject: Subject

    @property
    def keeps(self) -> bool:
        """Whether anything is kept."""
        return self.count > 0 and self.subject.task != "other"


@dataclass(frozen=True)
class KeptRow:
    """A row to look at.

    Attributes:
        rank: Its loss, or how sure the model was; the greatest are kept.
        file: Split and name of the shard.
        record: Its position in the shard, from 1.
        loss: Infinite where the prediction is not a number.
        truth: The label: the number of a class, or numbers.
        predictions: Scores, or numbers.
        example: The serialized example; empty if it is very large.
    """

    rank: float
    file: str
    record: int
    loss: float
    truth: Floats
    predictions: Floats
    example: bytes
    digest: str

    @property
    def order(self) -> tuple[float, str, int]:
        """What sorts the greatest first, and equal ones always in the same way."""
        return -self.rank, self.file, self.record


@dataclass(frozen=True)
class Worst:
    """The rows kept so far."""

    count: int = 0
    loss: tuple[KeptRow, ...] = ()
    mistakes: tuple[KeptRow, ...] = ()

    def merged(self, other: Worst) -> Worst:
        """Returns the rows to keep of both."""
        count = max(self.count, other.count)
        return Worst(count, _first(self.loss + other.loss, count), _first(self.mistakes + other.mistakes, count))


def _first(rows: Iterable[KeptRow], count: int) -> tuple[KeptRow, ...]:
    return tuple(sorted(rows, key=lambda row: row.order)[:count])


class Keeper:
    """Keeps rows of one file.

    Args:
        keeping: What is kept.
    """

    def __init__(self, keeping: Keeping) -> None:
        self._keeping = keeping
        self.kept = Worst(keeping.count)

    def look(self, labels: Any, predictions: Any, records: Sequence[bytes], file: str, first: int) -> None:
        """Keeps what is worth it of a batch; `first` rows of the file came before."""
        if not self._keeping.keeps:
            return
        if self._keeping.subject.classifies:
            truth, scores = truth_and_scores(labels, predictions)
            losses, predicted = log_losses(truth, scores), predicted_classes(scores)
            sure = np.where(truth != predicted, scores.max(axis=1), np.nan)
            pair = (truth.astype(np.float64)[:, None], scores)
        else:
            pair = pair_of_numbers(labels, predictions)
            losses, sure = ((pair[0] - pair[1]) ** 2).mean(axis=1), np.full(len(records), np.nan)
        losses = np.where(np.isnan(losses), np.inf, losses)

        def rows(ranks: Floats, kept: tuple[KeptRow, ...]) -> tuple[KeptRow, ...]:
            return tuple(
                KeptRow(
                    rank=float(ranks[row]),
                    file=file,
                    record=first + row + 1,
                    loss=float(losses[row]),
                    truth=pair[0][row],
                    predictions=pair[1][row],
                    example=records[row] if len(records[row]) <= MAX_RECORD_BYTES else b"",
                    digest=hashlib.sha256(records[row]).hexdigest()[:16],
                )
                for row in self._candidates(ranks, kept)
            )

        found = Worst(self._keeping.count, rows(losses, self.kept.loss), rows(sure, self.kept.mistakes))
        self.kept = self.kept.merged(found)

    def _candidates(self, ranks: Floats, kept: tuple[KeptRow, ...]) -> list[int]:
        """Returns the rows that may be among the greatest, which are few once the first batches are seen."""
        count = self._keeping.count
        least = kept[-1].rank if len(kept) == count else -math.inf
        better = np.flatnonzero(ranks > least)
        found: list[int] = better[np.argsort(-ranks[better], kind="stable")[:count]].tolist()
        return found


def write_worst(worst: Worst, subject: Subject, key: str, folder: Path) -> dict[str, Any] | None:
    """Returns the rows as the summary tells them, and writes their pictures and sounds; None if none are kept.

    Args:
        worst: The rows.
        subject: What is evaluated.
        key: The feature that identifies a row; empty for none.
        folder: The artifact's folder.
    """
    if not worst.loss:
        return None
    writer = _MediaWriter(folder)
    return {
        "measure": "log loss" if subject.classifies else "squared error",
        "loss": [_told(row, subject, key, writer) for row in worst.loss],
        "mistakes": [_told(row, subject, key, writer) for row in worst.mistakes],
    }


def _told(row: KeptRow, subject: Subject, key: str, writer: _MediaWriter) -> dict[str, Any]:
    split, _, file = row.file.partition("/")
    values = _values(row)
    keys = values.get(key, [])
    return {
        "split": split.removeprefix("Split-"),
        "file": file,
        "record": row.record,
        "digest": row.digest,
        "key": _readable(keys[0]) if keys else None,
        "truth": _class(row.truth[0], subject) if subject.classifies else _numbers(row.truth),
        "prediction": _class(_best(row.predictions), subject) if subject.classifies else _numbers(row.predictions),
        "confidence": _number(float(np.max(row.predictions))) if subject.classifies else None,
        "loss": _number(row.loss),
        "scores": _scores(row, subject),
        "features": _features(values),
        "media": [{"feature": name, **found} for name, found in _media(values, row.digest, writer)],
    }


def _values(row: KeptRow) -> dict[str, list[Any]]:
    if not row.example:
        return {}
    batch = decode_records([row.example], file=Path(row.file), first=row.record - 1)
    return {name: column[0].as_py() or [] for name, column in zip(batch.schema.names, batch.columns, strict=True)}


def _best(scores: Floats) -> float:
    return float(predicted_classes(scores[None, :])[0])


def _class(number: float, subject: Subject) -> str:
    return subject.classes[int(number)] if int(number) < len(subject.classes) else str(int(number))


def _numbers(values: Floats) -> Any:
    return _number(float(values[0])) if len(values) == 1 else [_number(float(value)) for value in values[:_STEPS]]


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _scores(row: KeptRow, subject: Subject) -> list[dict[str, Any]]:
    if subject.classifies:
        places = np.argsort(-row.predictions, kind="stable")[:_SCORES].tolist()
        places += [int(row.truth[0])] if int(row.truth[0]) not in places else []
        return [{"name": _class(place, subject), "value": _number(float(row.predictions[place]))} for place in places]
    residuals = row.truth - row.predictions
    places = np.argsort(-abs(residuals), kind="stable")[:_SCORES].tolist() if len(residuals) > 1 else []
    return [{"name": str(place + 1), "value": _number(float(residuals[place]))} for place in places]


def _features(values: dict[str, list[Any]]) -> dict[str, list[Any]]:
    shown: dict[str, list[Any]] = {}
    for name, given in sorted(values.items()):
        read = [_readable(value) if isinstance(value, bytes) else _number(float(value)) for value in given[:_VALUES]]
        whole = [value for value in read if value is not None]
        if whole and len(whole) == len(read) and len(shown) < _FEATURES:
            shown[name] = whole
    return shown


def _readable(value: Any) -> str | None:
    """Returns a text, cut where it is long; None for what is none."""
    if not isinstance(value, bytes):
        return str(value)
    try:
        text = value[: 4 * _TEXT].decode("utf-8", "strict" if len(value) <= 4 * _TEXT else "ignore")
    except UnicodeDecodeError:
        return None
    if media_kind(value) or "\0" in text:
        return None
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"


def _media(values: dict[str, list[Any]], digest: str, writer: _MediaWriter) -> Iterable[tuple[str, dict[str, str]]]:
    for name, given in sorted(values.items()):
        for value in given[:1]:
            kind = media_kind(value) if isinstance(value, bytes) else None
            file = writer.write(value, digest, name, kind) if kind else None
            if kind and file:
                yield name, {"file": file, "kind": kind}


class _MediaWriter:
    """Writes encoded pictures and sounds, each once, and so many that they stay small together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._left = MAX_MEDIA_BYTES_TOGETHER
        self._written: dict[tuple[str, str], str] = {}

    def write(self, data: bytes, digest: str, feature: str, kind: str) -> str | None:
        """Returns the file, relative to the artifact; None if it would be too large."""
        if (digest, feature) in self._written:
            return self._written[digest, feature]
        if len(data) > min(MAX_MEDIA_BYTES, self._left):
            return None
        self._left -= len(data)
        more = sum(1 for written, _ in self._written if written == digest)
        file = f"{FOLDER}/{digest}{f'-{more}' if more else ''}.{kind}"
        (self._folder / FOLDER).mkdir(exist_ok=True)
        (self._folder / file).write_bytes(data)
        self._written[digest, feature] = file
        return file
