"""What is inside artifacts, by their types, shaped from their summaries for the pages.

A summary may have been damaged, or written by another version: what does not have the expected form is a DataError, never a fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import DataError
from pipeline.ui.contents.evaluation import EvaluationContents, evaluation_contents
from pipeline.ui.contents.statistics import StatisticsContents, statistics_contents
from pipeline.ui.contents.training import TrainingContents, training_contents

__all__ = [
    "EvaluationContents",
    "StatisticsContents",
    "TrainingContents",
    "evaluation_contents",
    "expecting",
    "statistics_contents",
    "training_contents",
]
_OTHER_FORM = (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError)


@contextmanager
def expecting(what: str) -> Iterator[None]:
    """Turns what goes wrong where a summary does not have the expected form into a DataError.

    Args:
        what: What is read, for the message.
    """
    try:
        yield
    except _OTHER_FORM as error:
        raise DataError(f"{what} does not have the expected form: {type(error).__name__}: {error}") from error
