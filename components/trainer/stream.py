"""The order of the rows: an endless stream of shuffled batches that can begin at any step, and evaluation batches in order.

Each pass over the data is shuffled with a seed of its own, made of the node's seed and the number of the pass. So what comes at
step n is known without what came before, and a training that goes on after a crash reads on exactly where it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.trainer.batches import BatchMaker
from components.trainer.data import Split

if TYPE_CHECKING:
    import tensorflow as tf

_ROWS_AT_ONCE = 256
_PASSES = 2**40
_SEED_STRIDE = 1_000_003


@dataclass(frozen=True)
class Order:
    """How rows are ordered and divided into batches.

    Attributes:
        batch_size: Rows per batch.
        shuffle_rows: Rows among which the next one is drawn.
        seed: Of the order.
        across_passes: Whether a batch may run across the end of a pass; otherwise each pass ends with a shorter batch.
        steps_per_pass: Batches of one pass.
    """

    batch_size: int
    shuffle_rows: int
    seed: int
    across_passes: bool
    steps_per_pass: int


def steps_per_pass(split: Split, maker: BatchMaker, batch_size: int) -> int:
    """Returns the number of batches of a pass that ends with shorter batches; with buckets all rows are read for it."""
    import numpy as np

    if not _buckets(maker):
        return math.ceil(split.rows / batch_size)
    lengths = split.records().batch(_ROWS_AT_ONCE).map(maker.lengths, num_parallel_calls=2)
    buckets = np.digitize(np.concatenate(list(lengths.as_numpy_iterator())), _buckets(maker))
    return sum(math.ceil(count / batch_size) for count in np.bincount(buckets))


class TrainingStream:
    """The batches to train on, from any step on.

    Args:
        split: The rows.
        maker: Makes batches.
        order: Their order.
    """

    def __init__(self, split: Split, maker: BatchMaker, order: Order) -> None:
        import tensorflow as tf

        self._split = split
        self._maker = maker
        self._order = order
        self._records = split.records()
        self._made = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._begun = 0

    def ready(self, step: int) -> int:
        """Returns how many batches wait after a step; 0 if the model has to wait for the next one."""
        return int(self._made.numpy()) - (step - self._begun) - _taken_ahead()

    def begin(self, step: int, *, counted: bool = True) -> tf.data.Dataset:
        """Returns the batches from a step on, without end.

        Args:
            step: Number of steps that are done.
            counted: Whether batches are counted for `ready`.
        """
        import tensorflow as tf

        self._made.assign(0)
        self._begun = step
        batches = self._bucketed(step) if _buckets(self._maker) else self._plain(step)
        batches = batches.map(_as_it_is(self._maker.training), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        if counted:
            batches = batches.map(self._count)
        return batches.prefetch(tf.data.AUTOTUNE)

    def _count(self, *batch: Any) -> tuple[Any, ...]:
        import tensorflow as tf

        with tf.control_dependencies([self._made.assign_add(1)]):
            return tuple(tf.nest.map_structure(tf.identity, batch, expand_composites=True))

    def _pass(self, number: tf.Tensor) -> tf.data.Dataset:
        """Returns the records of a pass, shuffled, each with its number in the whole training."""
        import tensorflow as tf

        tf.compat.v1.set_random_seed(1)  # of this graph; with 0, TensorFlow compares the next seed, which only a session knows
        seed = number * _SEED_STRIDE + self._order.seed
        shuffled = self._records.shuffle(min(self._order.shuffle_rows, self._split.rows), seed=seed, reshuffle_each_iteration=False)
        first = number * self._split.rows
        return tf.data.Dataset.zip((shuffled, tf.data.Dataset.range(first, first + self._split.rows)))

    def _plain(self, step: int) -> tf.data.Dataset:
        size, rows = self._order.batch_size, self._split.rows
        if self._order.across_passes:
            passed, skipped = divmod(step * size, rows)
            return _passes(passed, self._pass).skip(skipped).batch(size)
        passed, skipped = divmod(step, self._order.steps_per_pass)
        return self._batches(passed, skipped * size, lambda records: records.batch(size))

    def _bucketed(self, step: int) -> tf.data.Dataset:
        import tensorflow as tf

        size, maker = self._order.batch_size, self._maker
        boundaries = tf.constant(_buckets(maker), tf.int64)

        def bucket(record: tf.Tensor, position: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
            return tf.searchsorted(boundaries, [length], side="right", out_type=tf.int64)[0]

        def grouped(records: tf.data.Dataset) -> tf.data.Dataset:
            measured = records.batch(_ROWS_AT_ONCE).map(
                lambda record, position: (record, position, maker.lengths(record)), num_parallel_calls=2, deterministic=True
            )
            groups = measured.unbatch().group_by_window(bucket, lambda _, window: window.batch(size), window_size=size)
            return groups.map(lambda record, position, length: (record, position))

        passed, skipped = divmod(step, self._order.steps_per_pass)
        return _passes(passed, lambda number: grouped(self._pass(number))).skip(skipped)

    def _batches(self, first: int, skipped: int, divide: Callable[[tf.data.Dataset], tf.data.Dataset]) -> tf.data.Dataset:
        """Returns the batches of all passes from the first on, of which some rows are skipped."""
        import tensorflow as tf

        def batches(number: tf.Tensor) -> tf.data.Dataset:
            return divide(self._pass(number).skip(tf.where(number == first, tf.constant(skipped, tf.int64), 0)))

        return _passes(first, batches)


def evaluation_data(split: Split, maker: BatchMaker, *, batch_size: int, steps: int | None) -> tf.data.Dataset:
    """Returns the batches of one pass in order, or the first `steps` of them."""
    import tensorflow as tf

    every = math.ceil(split.rows / batch_size)
    count = every if steps is None else min(steps, every)
    # Keras warns at the end of data whose length it does not know.
    records = split.records(count * batch_size).batch(batch_size).apply(tf.data.experimental.assert_cardinality(count))
    return records.map(_as_it_is(maker.evaluation), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def _as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that AutoGraph leaves alone: it would wrap the errors of the user's code into its own."""
    import tensorflow as tf

    kept: Callable[..., Any] = tf.autograph.experimental.do_not_convert(function)
    return kept


def _taken_ahead() -> int:
    """Returns how many batches Keras takes before it needs them."""
    import keras

    return 2 if keras.backend.backend() == "jax" else 0


def _buckets(maker: BatchMaker) -> tuple[int, ...]:
    return maker.sequences.buckets if maker.sequences is not None else ()


def _passes(first: int, make: Callable[[tf.Tensor], tf.data.Dataset]) -> tf.data.Dataset:
    import tensorflow as tf

    return tf.data.Dataset.range(first, _PASSES).flat_map(make)
