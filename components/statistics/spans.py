"""The statistics of one or more examples: each of several is counted on its own and kept, and the whole is merged from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.portioned import portion_names, span_name
from components.record_issues import told_of
from components.statistics.accumulation import Accumulation
from components.statistics.engine import Rows, accumulate, build_beam, rows_of
from components.statistics.files import STATISTICS_FILE, read_statistics, summarise_statistics
from pipeline.artifacts import Examples, ExampleStatistics
from pipeline.beam import LOCAL_RUNNERS, runner_name
from pipeline.context import Context
from pipeline.errors import DataError

if TYPE_CHECKING:
    import tensorflow_data_validation as tfdv


@dataclass(frozen=True)
class Selection:
    """The rows to look at.

    Attributes:
        splits: The splits.
        features: The features; empty for all.
        sample_rate: The share of the rows; None for all.
    """

    splits: tuple[str, ...]
    features: tuple[str, ...] = ()
    sample_rate: float | None = None

    def rows(self, examples: Examples, split: str) -> Rows:
        """Returns the rows of one artifact."""
        return rows_of(examples, split, self.features, self.sample_rate)


def write_statistics(
    context: Context,
    examples: Sequence[Examples],
    whole: ExampleStatistics,
    spans: Sequence[ExampleStatistics],
    selection: Selection,
    options: tfdv.StatsOptions,
) -> None:
    """Writes the statistics of all examples, and of each where there are several.

    Args:
        context: The surroundings.
        examples: The examples.
        whole: Takes the statistics of all.
        spans: Take those of each, in the same order; empty for one alone. Those with an `id` were made before.
        selection: The rows to look at.
        options: The options.

    Raises:
        DataError: If a shard or a kept state is damaged, or rows are missing.
    """
    new = [(name, one, own) for name, one, own in zip(portion_names(examples), examples, spans, strict=False) if own.id is None]
    for statistics in (whole, *(own for _, _, own in new)):
        statistics.set_splits(selection.splits)
        for split in selection.splits:
            statistics.split_path(split).mkdir()
    is_local = runner_name(context.beam_args) in LOCAL_RUNNERS
    if not is_local:
        _compute_on_beam(context, [("all", examples, whole), *((name, [one], own) for name, one, own in new)], selection, options)
    elif not spans:
        _compute(context, examples[0], whole, selection, options)
    else:
        for name, one, own in new:
            _compute(context, one, own, selection, options, name=f"{name}, ", keep=True)
    is_sampled = selection.sample_rate is not None
    for _, one, own in new:
        _finish(context, [one], own, is_sampled=is_sampled)
    if spans and is_local:
        _merge(context, portion_names(examples), spans, whole, selection, options)
    _finish(context, examples, whole, is_sampled=is_sampled)


def _compute(
    context: Context,
    examples: Examples,
    statistics: ExampleStatistics,
    selection: Selection,
    options: tfdv.StatsOptions,
    *,
    name: str = "",
    keep: bool = False,
) -> None:
    """Computes the statistics of one artifact in this process; `keep` leaves the state beside them that others are merged from."""
    for split in selection.splits:

        def report(done: int, split: str = split) -> None:
            context.progress(f"{name}split {split}", rows=done)

        rows = selection.rows(examples, split)
        found = accumulate(rows.read(), options, temp=context.temp / f"{name}{split}", report=report)
        if keep:
            found.save(statistics.split_path(split))
        _write(found, statistics, split)


def _merge(
    context: Context,
    names: Sequence[str],
    spans: Sequence[ExampleStatistics],
    whole: ExampleStatistics,
    selection: Selection,
    options: tfdv.StatsOptions,
) -> None:
    _check_types(names, spans)
    for split in selection.splits:
        context.progress(f"merging {len(spans)} spans, split {split}")
        merged = Accumulation(options, context.temp / f"merged-{split}")
        for own in spans:
            merged.add_saved(own.split_path(split))
        _write(merged, whole, split)


def _check_types(names: Sequence[str], spans: Sequence[ExampleStatistics]) -> None:
    """Checks that a feature has one type in all spans that have values of it."""
    known: dict[str, tuple[str, str]] = {}
    for name, own in zip(names, spans, strict=True):
        for split in own.summary()["splits"].values():
            for feature in split["features"]:
                kind, first = known.setdefault(feature["name"], (feature["type"], name)) if feature["present"] else (feature["type"], name)
                if feature["type"] != kind:
                    raise DataError(
                        f"Feature '{feature['name']}' is {kind} in {first} and {feature['type']} in {name}.",
                        hint="Write it with one type in all spans, for example 2.0 instead of 2.",
                    )


def _write(found: Accumulation, statistics: ExampleStatistics, split: str) -> None:
    (statistics.split_path(split) / STATISTICS_FILE).write_bytes(found.result().SerializeToString(deterministic=True))


def _compute_on_beam(
    context: Context,
    works: Sequence[tuple[str, Sequence[Examples], ExampleStatistics]],
    selection: Selection,
    options: tfdv.StatsOptions,
) -> None:
    """Computes all of it on a runner of the user, whose combiners leave no state: the whole is counted from all rows."""
    with context.beam() as pipeline:
        for name, examples, statistics in works:
            for split in selection.splits:
                rows = Rows.joined([selection.rows(one, split) for one in examples])
                build_beam(pipeline, f"{context.node} {name} {split}", rows, statistics.split_path(split), options)


def _finish(context: Context, examples: Sequence[Examples], statistics: ExampleStatistics, *, is_sampled: bool) -> None:
    """Writes the summary, and the balance of rows."""
    summaries = {split: summarise_statistics(read_statistics(statistics, split)) for split in statistics.splits}
    statistics.write_summary({"splits": summaries, **told_of(examples)})
    rows = {split: int(summary["rows"]) for split, summary in summaries.items()}
    statistics.set_record_counts(rows)
    newest = examples[-1]
    if "span" in newest.properties:
        statistics.properties["span"] = newest.properties["span"]
    if len(examples) == 1 and "span_name" in newest.properties:
        statistics.properties["span_name"] = newest.properties["span_name"]
    names = [span_name(one) for one in examples]
    if len(examples) > 1 and None not in names:
        statistics.properties["spans"] = f"{names[0]}..{names[-1]}"
    _check_rows(context, examples, rows, is_sampled=is_sampled)


def _check_rows(context: Context, examples: Sequence[Examples], rows: dict[str, int], *, is_sampled: bool) -> None:
    counts = {split: [one.record_counts.get(split) for one in examples] for split in rows}
    counted = {split: sum(count or 0 for count in own) for split, own in counts.items() if None not in own}
    for split, count in counted.items():
        if rows[split] != count and not is_sampled:
            raise DataError(
                f"{examples[0].split_path(split)} holds {rows[split]:,} rows, and {count:,} were written.",
                hint=f"Write it again: --rerun {examples[0].producer}",
            )
    if counted:
        read = sum(counted.values())
        context.count_rows(read, rows, {"not sampled": read - sum(rows.values())} if is_sampled else None)
