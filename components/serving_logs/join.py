"""LabelJoin: served requests get the labels that came later, by key, and every row is accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.example_encoder import encode_batch
from components.example_gen.base import DEFAULT_SPLITS
from components.example_gen.splitting import make_splitter
from components.records import SplitWriter, read_split
from pipeline.artifacts import Artifact, Examples
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from pipeline.errors import DataError, DefinitionError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

NO_LABEL, REPEATED, NO_KEY = "no label yet", "repeated key", "no key"
"""Why a request is not among the joined rows."""


class LabelJoin(Component):
    """Joins served requests with labels that came later, by a key; for checks of quality and for training on what was served.

    Give windows of both: a label that comes days later is found in a later span. Nothing is lost without being counted: requests without
    a label yet, repeated ones (the first counts) and those without a key are balanced as dropped rows; labels without a request, and
    repeated or corrected ones (the last counts), are in the summary and the verdict. Where no split would get a row, the output is
    empty, and what needs it is skipped with that reason. The labels are held in memory, the requests are not.

    Inputs:
        requests: What was served: one artifact, or those of a window.
        labels: Rows with the key and the label: one artifact, or those of a window.

    Outputs:
        joined: The requests with their labels; counts, and how many spans later labels came, in its summary under `join`.

    Args:
        key: The feature that names a request, in both; integers or text, one value a row.
        label: The features to take from the labels: one, or several.
        splits: Names and weights of the splits, by the hash of the key: a request is in the same one for ever. Default: two of three
            rows in `train`, one in `eval`.

    Raises:
        DataError: If key or label are not there, have different types, or the requests have a feature of the label's name.

    Example:
        requests = ServingLogExampleGen(schema, input="logs/{YYYY}-{MM}-{DD}/*.jsonl", window=14)
        labels = CsvExampleGen(input="labels/{YYYY}-{MM}-{DD}/*.csv", window=14, splits={"labels": 1})
        joined = LabelJoin(requests, labels, key="request_id", label="tips")
    """

    needs = ("google_crc32c", "numpy", "pandas", "pyarrow.compute", "tfx_bsl.coders.example_coder")
    libraries = ("pyarrow", "tfx-bsl")

    def validate(self) -> None:
        """Checks the names."""
        given = self.parameters
        names = _names(given["label"])
        if not given["key"] or not names or not all(names):
            raise DefinitionError(
                f"Node '{self.id}': key and label name features. Received: key={given['key']!r}, label={given['label']!r}."
            )
        if given["key"] in names:
            raise DefinitionError(f"Node '{self.id}': '{given['key']}' is key and label.")
        if not given["splits"] or min(given["splits"].values()) < 1:
            raise DefinitionError(f"Node '{self.id}': splits expects names with weights of 1 or more. Received: {given['splits']!r}")

    def execute(
        self,
        context: Context,
        requests: Input[list[Examples]],
        labels: Input[list[Examples]],
        joined: Output[Examples] | None,
        *,
        key: str,
        label: str | tuple[str, ...],
        splits: dict[str, int] = DEFAULT_SPLITS,
    ) -> None:
        """Joins and writes the splits."""
        if joined is None:
            raise TypeError("LabelJoin needs a place for its output")
        counts = Counts()
        known = _Labels.read(labels, key, _names(label), counts)
        _check_present("requests", [key], _features_of(requests))
        rows = _write(context, joined.path, requests, known, splits, counts)
        counts.labels_without_request = known.unused
        context.count_rows(counts.requests, rows, counts.dropped)
        empty = [name for name in splits if not rows[name]]
        if empty:
            _discard(joined.path, splits)
            context.count_rows(counts.requests, {}, {**counts.dropped, "too few to split": sum(rows.values())})
            context.decide("nothing joined", [f"Split '{empty[0]}' would be empty.", *counts.sentences()])
            return
        joined.set_splits(list(splits))
        joined.set_record_counts(rows)
        spans = [int(one.properties.get("span", 0)) for one in requests]
        joined.properties |= {"span": max(spans), "file_format": "tfrecords_gzip", "payload_format": "FORMAT_TF_EXAMPLE"}
        sizes = {name: sum(file.stat().st_size for file in joined.split_path(name).iterdir()) for name in splits}
        joined.write_summary(
            {"splits": {name: {"rows": rows[name], "bytes": sizes[name]} for name in splits}, "join": counts.as_json(), "span": max(spans)}
        )
        context.decide("joined", counts.sentences())


@dataclass
class Counts:
    """What became of each row.

    Attributes:
        requests: Requests that were read.
        joined: Those that have a label.
        dropped: Those that are not among the joined rows, by reason.
        labels: Labels that were read.
        repeated_labels: Labels whose key came before with the same values.
        corrected_labels: Labels whose key came before with other values; the last counts.
        labels_without_key: Labels without key or value.
        labels_without_request: Labels that no request waits for.
        spans_later: How many requests got their label how many spans later.
    """

    requests: int = 0
    joined: int = 0
    dropped: dict[str, int] = field(default_factory=lambda: {NO_LABEL: 0, REPEATED: 0, NO_KEY: 0})
    labels: int = 0
    repeated_labels: int = 0
    corrected_labels: int = 0
    labels_without_key: int = 0
    labels_without_request: int = 0
    spans_later: Counter[int] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """Returns what the summary holds."""
        names = ("requests", "joined", "labels", "repeated_labels", "corrected_labels", "labels_without_key", "labels_without_request")
        later = {str(spans): count for spans, count in sorted(self.spans_later.items())}
        return {name: getattr(self, name) for name in names} | {"dropped": dict(self.dropped), "spans_later": later}

    def sentences(self) -> list[str]:
        """Returns the counts in words."""
        share = f" ({self.joined / self.requests:.1%})" if self.requests else ""
        dropped = [f"{count:,} {reason}" for reason, count in self.dropped.items() if count]
        said = [
            f"{self.joined:,} of {self.requests:,} requests have a label{share}."
            + (f" Not joined: {', '.join(dropped)}." if dropped else "")
        ]
        others = {
            "without a request": self.labels_without_request,
            "repeated": self.repeated_labels,
            "corrected by a later one": self.corrected_labels,
            "without key or value": self.labels_without_key,
        }
        told = [f"{count:,} {what}" for what, count in others.items() if count]
        said += [f"Of {self.labels:,} labels: {', '.join(told)}."] if told else []
        late = sum(count for spans, count in self.spans_later.items() if spans > 0)
        said += [f"{late:,} labels came in a later span than their request, up to {max(self.spans_later)} later."] if late else []
        return said


@dataclass
class _Labels:
    """All labels, one per key.

    Attributes:
        key: Name of the key.
        places: The key as an index of the rows of `values`.
        values: The columns to add, a row per key.
        spans: The span that each came in.
        used: Which rows a request has taken.
    """

    key: str
    places: pd.Index
    values: pa.Table
    spans: npt.NDArray[np.int64]
    used: npt.NDArray[np.bool_]

    @classmethod
    def read(cls, labels: Sequence[Artifact], key: str, names: Sequence[str], counts: Counts) -> _Labels:
        """Reads the labels in the order of their spans."""
        import numpy as np
        import pandas as pd
        import pyarrow as pa

        keys: list[Any] = []
        spans: list[Any] = []
        tables: list[Any] = []
        _check_present("labels", [key, *names], _features_of(labels))
        for artifact in _by_span(labels):
            for batch in _batches(artifact):
                table = pa.table({name: _column(batch, name) for name in names})
                found, is_there = _keys(batch, key, artifact, "labels")
                for name in names:
                    is_there &= table[name].is_valid().to_numpy()
                counts.labels += batch.num_rows
                counts.labels_without_key += int((~is_there).sum())
                keys.append(found[is_there])
                spans.append(np.full(int(is_there.sum()), _span(artifact)))
                tables.append(table.filter(pa.array(is_there)))
        together = pa.concat_tables(tables, promote=True).combine_chunks()
        all_keys = np.concatenate(keys)
        last = ~pd.Series(all_keys).duplicated(keep="last").to_numpy()
        _count_repetitions(all_keys, together, counts)
        index = pd.Index(all_keys[last], dtype=object)
        return cls(key, index, together.filter(pa.array(last)), np.concatenate(spans)[last], np.zeros(len(index), bool))

    @property
    def unused(self) -> int:
        """Labels that no request has taken."""
        return int((~self.used).sum())

    def join(self, batch: pa.RecordBatch, artifact: Artifact, counts: Counts) -> pa.RecordBatch:
        """Returns the rows of a batch that have a label, with it; each label is taken once."""
        import numpy as np
        import pandas as pd
        import pyarrow as pa

        clash = next((name for name in self.values.schema.names if _has_values(batch, name)), None)
        if clash is not None:
            raise DataError(
                f"The requests have a feature '{clash}' of their own: {artifact.path}.", hint="Take the label under another name."
            )
        found, is_there = _keys(batch, self.key, artifact, "requests")
        kinds = [type(keys[0]).__name__ for keys in (found[is_there], self.places) if len(keys)]
        if len(set(kinds)) > 1:
            raise DataError(
                f"The key '{self.key}' is {kinds[0]} in the requests and {kinds[1]} in the labels.", hint="Write it with one type."
            )
        places = np.where(is_there, self.places.get_indexer(pd.Index(found, dtype=object)), -1)
        repeated = (places >= 0) & (self.used[places] | pd.Series(places).duplicated().to_numpy())
        taken = (places >= 0) & ~repeated
        rows = places[taken]
        self.used[rows] = True
        counts.requests += batch.num_rows
        counts.joined += int(taken.sum())
        counts.dropped[NO_KEY] += int((~is_there).sum())
        counts.dropped[REPEATED] += int(repeated.sum())
        counts.dropped[NO_LABEL] += int((is_there & (places < 0)).sum())
        counts.spans_later.update((self.spans[rows] - _span(artifact)).tolist())
        kept, added = batch.filter(pa.array(taken)), self.values.take(pa.array(rows))
        columns = {name: column for name, column in zip(kept.schema.names, kept.columns, strict=True) if name not in added.schema.names}
        columns |= {name: added[name].combine_chunks() for name in added.schema.names}
        arrays = [pa.concat_arrays(one.chunks) if isinstance(one, pa.ChunkedArray) else one for one in columns.values()]
        return pa.RecordBatch.from_arrays(arrays, list(columns))


def _count_repetitions(keys: Any, values: pa.Table, counts: Counts) -> None:
    import pandas as pd

    frame = pd.DataFrame({"key": keys})
    again = frame.duplicated(keep="last").to_numpy()
    text = [str(row) for row in values.to_pylist()] if again.any() else []
    frame["value"] = text if text else ""
    last = frame.drop_duplicates("key", keep="last").set_index("key")["value"]
    same = (frame["value"] == frame["key"].map(last)).to_numpy()
    counts.repeated_labels = int((again & same).sum())
    counts.corrected_labels = int((again & ~same).sum())


def _write(
    context: Context, folder: Path, requests: Sequence[Artifact], known: _Labels, splits: Mapping[str, int], counts: Counts
) -> dict[str, int]:
    """Writes the joined rows; returns the rows of each split."""
    import pyarrow as pa

    splitter = make_splitter(splits, split_by=known.key, stratify_by=None)
    with ExitStack() as stack:
        writers = [stack.enter_context(SplitWriter(folder / f"Split-{name}")) for name in splits]
        for artifact in _by_span(requests):
            for batch in _batches(artifact):
                found = known.join(batch, artifact, counts)
                context.progress("joining", rows=counts.requests)
                if not found.num_rows:
                    continue
                assigned = splitter.assign(splitter.prepare(found, b""))
                for number, writer in enumerate(writers):
                    part = found.filter(pa.array(assigned == number))
                    if part.num_rows:
                        writer.write(encode_batch(part))
        return {name: writer.rows for name, writer in zip(splits, writers, strict=True)}


def _discard(folder: Path, splits: Iterable[str]) -> None:
    for name in splits:
        for file in (folder / f"Split-{name}").iterdir():
            file.unlink()
        (folder / f"Split-{name}").rmdir()


def _by_span(artifacts: Sequence[Artifact]) -> list[Artifact]:
    return sorted(artifacts, key=_span)


def _span(artifact: Artifact) -> int:
    return int(artifact.properties.get("span", 0))


def _batches(artifact: Artifact) -> Iterator[pa.RecordBatch]:
    for split in artifact.splits:
        yield from read_split(artifact.split_path(split))


def _names(label: str | tuple[str, ...]) -> tuple[str, ...]:
    return (label,) if isinstance(label, str) else tuple(label)


def _has_values(batch: pa.RecordBatch, name: str) -> bool:
    index = batch.schema.get_field_index(name)
    return bool(index >= 0 and batch.column(index).null_count < batch.num_rows)


def _features_of(artifacts: Sequence[Artifact]) -> set[str]:
    """Returns the features that occur, from the first rows of each split."""
    first = [next(read_split(artifact.split_path(split)), None) for artifact in artifacts for split in artifact.splits]
    return {name for batch in first if batch is not None for name in batch.schema.names}


def _check_present(what: str, names: Sequence[str], known: set[str]) -> None:
    missing = next((name for name in names if name not in known), None)
    if missing is not None:
        raise DataError(f"The {what} have no feature '{missing}'.{did_you_mean(missing, known)}")


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """Returns a column, all missing where no row of the batch has it."""
    import pyarrow as pa

    index = batch.schema.get_field_index(name)
    return batch.column(index) if index >= 0 else pa.nulls(batch.num_rows)


def _keys(batch: pa.RecordBatch, key: str, artifact: Artifact, what: str) -> tuple[Any, npt.NDArray[np.bool_]]:
    """Returns the key of each row, and whether it has one."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    column = _column(batch, key)
    if pa.types.is_null(column.type):
        return np.full(batch.num_rows, b"", object), np.zeros(batch.num_rows, bool)
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    if (lengths > 1).any():
        raise DataError(f"The key '{key}' has several values in a row of the {what}: {artifact.path}.", hint="Expected one value a row.")
    if pa.types.is_floating(column.type.value_type):
        raise DataError(f"The key '{key}' holds floats in the {what}: {artifact.path}.", hint="Expected integers or text.")
    values = np.full(batch.num_rows, b"", object)
    values[lengths == 1] = column.flatten().to_pylist()
    return values, lengths == 1
