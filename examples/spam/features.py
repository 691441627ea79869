"""How a message becomes a row of word numbers."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

LABEL = "label"
WORDS = "words"
VOCABULARY_SIZE = 6_000


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Returns the words of each message, from 1 on since 0 is what short messages are filled with, and its label."""
    words = words_of(tf.reshape(inputs["text"], [-1])).to_sparse()
    numbers = tft.compute_and_apply_vocabulary(words, top_k=VOCABULARY_SIZE, frequency_threshold=2, num_oov_buckets=1, vocab_filename=WORDS)
    return {
        WORDS: tf.SparseTensor(numbers.indices, numbers.values + 1, numbers.dense_shape),
        LABEL: tft.compute_and_apply_vocabulary(inputs[LABEL], vocab_filename=LABEL),
    }


def words_of(texts: tf.Tensor) -> tf.RaggedTensor:
    """Returns words in small letters and single marks; all digits are the same, so that `0000000` says "a long number"."""
    plain = tf.strings.regex_replace(tf.strings.lower(texts), r"\d", "0")
    return tf.strings.split(tf.strings.regex_replace(plain, r"([^\pL\pN\s])", r" \1 "))
