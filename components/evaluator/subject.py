"""What is evaluated: a classification, a regression or a forecast, with the names of its classes and the number of its steps.

It is found out from the first rows, as the model and the labels show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from components.evaluator.rows import Vector, first_rows
from components.evaluator.tally import truth_and_scores
from pipeline.errors import DataError, did_you_mean

Task = Literal["binary", "classes", "regression", "forecast", "other"]

_EXPECTED = {
    "classification": "one probability, or one score for each of several classes",
    "regression": "one number",
    "forecast": "as many numbers as the label has",
}


@dataclass(frozen=True)
class Subject:
    """What a model predicts.

    Attributes:
        task: `binary` is one probability, `classes` one score per class, `forecast` one number per step; `other` is known to TFMA only.
        classes: Names of the classes in the order of their scores; empty if it is no classification.
        steps: Steps of the horizon; 0 if it is no forecast.
        low: The least label or prediction of the first rows.
        high: The greatest.
    """

    task: Task
    classes: tuple[str, ...] = ()
    steps: int = 0
    low: float = 0.0
    high: float = 1.0

    @property
    def classifies(self) -> bool:
        """Whether it is a classification."""
        return self.task in ("binary", "classes")

    def class_id(self, name: str | int) -> int:
        """Returns the number of the class of a name, or else of a number: where classes are named by digits, these are names.

        Raises:
            DataError: If there is no such class.
        """
        known = self.classes
        if str(name) in known:
            return known.index(str(name))
        if isinstance(name, int) and 0 <= name < len(known):
            return name
        suggestion = did_you_mean(str(name), known)
        shown = suggestion if len(suggestion) <= _LONGEST_LIST else suggestion[:_LONGEST_LIST] + " …"
        raise DataError(
            f"The model has no class '{name}'.{shown}",
            hint=f"It has {len(known)} classes, each known by its name, or else its number from 0.",
        )

    def part_name(self, class_id: int) -> str:
        """Returns `of spam` or `at step 24` for TFMA's number of a class or a step."""
        if self.task == "forecast":
            return f"at step {class_id + 1}"
        return f"of {self.class_name(class_id)}"

    def class_name(self, class_id: int) -> str:
        """Returns the name of a class."""
        return self.classes[class_id] if class_id < len(self.classes) else f"class {class_id}"


_LONGEST_LIST = 300

UNKNOWN = Subject("other")


def find_subject(files: Sequence[Path], spec: Any, path: str, schema: Any | None, bundle: str | None) -> Subject:
    """Returns what a model predicts.

    Args:
        files: The examples.
        spec: TFMA's `ModelSpec`.
        path: The SavedModel's folder.
        schema: The schema of the examples, if there is one.
        bundle: What the author asks for: `classification`, `regression` or `forecast`; None leaves it to the rows.

    Raises:
        DataError: If the model is of another kind than the author says, its scores are no probabilities, or there are no rows.
    """
    layout, rows = first_rows(files, spec, path, schema)
    labels, predictions, names = rows.labels[0], rows.predictions[0], layout.models[0].classes
    task = _task(labels, predictions, names is not None, bundle)
    if bundle is not None and {"binary": "classification", "classes": "classification"}.get(task, task) != bundle:
        raise DataError(
            f"metrics='{bundle}' needs a model that predicts {_EXPECTED[bundle]}. "
            f"Received: {_width(labels)} label and {_width(predictions)} values of '{layout.models[0].prediction}' per row.",
            hint="Which output is judged is said by prediction=...; other kinds: classification, regression, forecast.",
        )
    if task in ("binary", "classes"):
        truth_and_scores(labels, predictions)  # raises an error here and not in the midst of the rows
    count = 0 if task not in ("binary", "classes") else max(2, _width(predictions))
    classes = tuple(name.decode("utf-8", "replace") for name in names or ()) or tuple(map(str, range(count)))
    finite = [values[np.isfinite(values)] for values in (part.astype(np.float64) for part in (labels, predictions))]
    both = np.concatenate([part.reshape(-1) for part in finite])
    low, high = (float(both.min()), float(both.max())) if len(both) else (0.0, 1.0)
    return Subject(task, classes if count else (), _width(predictions) if task == "forecast" else 0, low, high)


def _width(values: Vector) -> int:
    return int(values[0].size) if len(values) else 1


def _task(labels: Vector, predictions: Vector, named: bool, bundle: str | None) -> Task:
    per_label, per_prediction = _width(labels), _width(predictions)
    shares = bundle == "classification" or _are_shares(predictions)
    if per_prediction == 1 and per_label == 1:
        if bundle is not None:
            return "binary" if bundle == "classification" else "regression"
        return "binary" if shares and (named or _within(labels, {0, 1})) else "regression"
    if per_label == 1:
        return "classes" if shares and _are_numbers_of(labels, per_prediction) else "other"
    if per_label != per_prediction:
        return "other"
    if shares and bundle != "forecast" and _within(labels, {0, 1}):
        return "classes" if (labels.reshape(len(labels), -1).sum(axis=1) == 1).all() else "other"
    return "forecast"


def _within(values: Vector, allowed: set[int]) -> bool:
    return set(np.unique(values).tolist()) <= allowed


def _are_shares(values: Vector) -> bool:
    known = values[~np.isnan(values.astype(np.float64))]
    return not known.size or bool(known.min() >= 0 and known.max() <= 1)


def _are_numbers_of(labels: Vector, classes: int) -> bool:
    values = labels.astype(np.float64)
    return bool(np.isfinite(values).all() and (values == np.floor(values)).all() and values.min() >= 0 and values.max() < classes)
