"""Metrics as a definition names them: a name, and in brackets of what. Knows names and options, and no library."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.errors import DefinitionError, did_you_mean

EACH = "*"
"""Each class, or each step of the horizon."""

OF_CLASSES: Mapping[str, str] = {
    "Precision": "ClassPrecision",
    "Recall": "ClassRecall",
    "Specificity": "ClassSpecificity",
    "NegativePredictiveValue": "ClassNegativePredictiveValue",
    "NPV": "ClassNegativePredictiveValue",
    "F1Score": "ClassF1Score",
    "ROCAUC": "ROCAUC",
    "AveragePrecision": "AveragePrecision",
}
"""What can be of one class, or an average over them, and the metric of TFMA that computes it."""

OF_CLASSIFICATION: Mapping[str, str] = {
    "Accuracy": "ClassAccuracy",
    "BalancedAccuracy": "ClassBalancedAccuracy",
    "TopKAccuracy": "TopKAccuracy",
    "LogLoss": "LogLoss",
    "ExpectedCalibrationError": "ExpectedCalibrationError",
}

OF_STEPS: Mapping[str, str] = {
    "MeanError": "ForecastMeanError",
    "MeanAbsoluteError": "ForecastMeanAbsoluteError",
    "MeanSquaredError": "ForecastMeanSquaredError",
    "RootMeanSquaredError": "ForecastRootMeanSquaredError",
    "MeanAbsolutePercentageError": "ForecastMeanAbsolutePercentageError",
    "R2Score": "ForecastR2Score",
}
"""What can be of one step of the horizon of a forecast."""

OWN_HIGHER_IS_BETTER = frozenset({"AveragePrecision", "ROCAUC", "TopKAccuracy"})
OWN_LOWER_IS_BETTER = frozenset({"ExpectedCalibrationError", "LogLoss"})
OWN_NEITHER_IS_BETTER = frozenset({"MeanError"})

BUNDLES: Mapping[str, tuple[str, ...]] = {
    "classification": (
        *("Accuracy", "BalancedAccuracy", "Precision", "Recall", "Specificity", "NegativePredictiveValue", "F1Score"),
        *("ROCAUC", "AveragePrecision", "LogLoss", "ExpectedCalibrationError"),
    ),
    "regression": ("RootMeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanError", "R2Score"),
    "forecast": (
        *("RootMeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanError", "R2Score"),
        *("RootMeanSquaredError(step='*')", "MeanAbsoluteError(step='*')"),
    ),
}
"""Metrics that are usually wanted together."""

AVERAGES = ("macro", "micro", "weighted")


@dataclass(frozen=True)
class Metric:
    """A metric and what it is of.

    Attributes:
        name: Its name.
        class_: Name or number of the class, `*` for each; None for no single one.
        step: Step of the horizon from 1, `*` for each; None for all together.
        average: How the classes are averaged: `macro`, `micro` or `weighted` by their true rows.
        k: Among how many of the highest scores the true class must be.
        bins: Bins of a calibration.
    """

    name: str
    class_: str | int | None = None
    step: int | str | None = None
    average: str | None = None
    k: int | None = None
    bins: int | None = None

    def __str__(self) -> str:
        options = {name: value for name, value in vars(self).items() if name != "name" and value is not None}
        return self.name + (f"({', '.join(f'{name}={value!r}' for name, value in options.items())})" if options else "")


def options_of(name: str) -> tuple[str, ...]:
    """Returns the options that a metric has."""
    if name in OF_CLASSES:
        return ("class_", "average")
    return {"TopKAccuracy": ("k",), "ExpectedCalibrationError": ("bins",)}.get(name, ("step",) if name in OF_STEPS else ())


def parse_metric(text: str, known: frozenset[str]) -> Metric:
    """Returns the metric that a text such as `Recall(class_='spam')` names.

    Raises:
        DefinitionError: If there is no such metric or option, or a value is not allowed.
    """
    try:
        call = ast.parse(text, mode="eval").body
        name = call.func.id if isinstance(call, ast.Call) and not call.args else call.id  # type: ignore[attr-defined]
        given = {item.arg: ast.literal_eval(item.value) for item in getattr(call, "keywords", ())}
    except (SyntaxError, ValueError, AttributeError) as error:
        raise DefinitionError(
            f"'{text}' does not read as a metric.{did_you_mean(text.partition('(')[0], known)}",
            hint="For example: 'AUC', \"Recall(class_='spam')\", 'TopKAccuracy(k=3)', 'MeanAbsoluteError(step=24)'.",
        ) from error
    if name not in known:
        bundle = (
            f" '{name}' stands for several metrics, and only in a list of metrics."
            if name in BUNDLES
            else did_you_mean(name, (*known, *BUNDLES))
        )
        raise DefinitionError(
            f"There is no metric '{name}'.{bundle}",
            hint="A metric with other options, or one of your own, is named in a TFMA EvalConfig: eval_config='eval.pbtxt'.",
        )
    return checked(name, given)


def checked(name: str, given: Mapping[Any, Any]) -> Metric:
    """Returns a metric with options.

    Raises:
        DefinitionError: If it has no such option, or a value is not allowed.
    """
    allowed = options_of(name)
    for option in given:
        if option not in allowed:
            raise DefinitionError(
                f"{name} has no option '{option}'.{did_you_mean(str(option), allowed)} It has: {', '.join(allowed) or 'none'}."
            )
    metric = Metric(name, **given)
    problem = _problem(metric)
    if problem:
        raise DefinitionError(f"{metric}: {problem}")
    return replace(metric, k=metric.k or 5) if name == "TopKAccuracy" else metric


def _problem(metric: Metric) -> str | None:
    if metric.class_ is not None and metric.average is not None:
        return "it is of one class, class_, or an average over all, not both."
    if metric.class_ is not None and (isinstance(metric.class_, bool) or not isinstance(metric.class_, str | int) or metric.class_ == ""):
        return "class_ must be the name or the number of a class, or '*' for each."
    if metric.average is not None and metric.average not in AVERAGES:
        return f"average must be one of {', '.join(AVERAGES)}.{did_you_mean(str(metric.average), AVERAGES)}"
    if metric.step is not None and metric.step != EACH and not _is_count(metric.step):
        return "step must be a whole number from 1, or '*' for each."
    for option, most in (("k", 100), ("bins", 1000)):
        value = getattr(metric, option)
        if value is not None and not (_is_count(value) and value <= most):
            return f"{option} must be a whole number from 1 to {most}."
    return None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def spread_bundles(metrics: str | Iterable[str]) -> tuple[str, ...]:
    """Returns the names of metrics with bundles replaced by what they stand for, each once."""
    names = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    return tuple(dict.fromkeys(part for name in names for part in BUNDLES.get(name, (name,))))


def bundle_of(metrics: str | Iterable[str]) -> str | None:
    """Returns the first bundle among the metrics, which says what kind of model is expected; None if there is none."""
    return next((name for name in ((metrics,) if isinstance(metrics, str) else metrics) if name in BUNDLES), None)
