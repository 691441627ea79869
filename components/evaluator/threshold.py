"""Thresholds: what a model must reach to be blessed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from components.evaluator.metric import (
    OWN_HIGHER_IS_BETTER,
    OWN_LOWER_IS_BETTER,
    OWN_NEITHER_IS_BETTER,
    Metric,
    checked,
    parse_metric,
)
from pipeline.errors import DefinitionError, did_you_mean

# The names are those of TensorFlow Model Analysis and Keras for metrics that need no options, as data, so that a definition is
# checked without importing either library. Others are named in an `EvalConfig`.
# fmt: off
HIGHER_IS_BETTER = frozenset({
    "AUC", "AUCPrecisionRecall", "Accuracy", "BalancedAccuracy", "BinaryAccuracy", "CategoricalAccuracy",
    "CoefficientOfDiscrimination", "CosineSimilarity", "DiagnosticOddsRatio", "ExactMatch", "F1Score", "FowlkesMallowsIndex",
    "Informedness", "Markedness", "MatthewsCorrelationCoefficient", "MaxRecall", "NPV", "NegativePredictiveValue", "PPV",
    "PositiveLikelihoodRatio", "Precision", "R2Score", "Recall", "RelativeCoefficientOfDiscrimination", "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy", "Specificity", "SquaredPearsonCorrelation", "TN", "TNR", "TP", "TPR", "ThreatScore",
    "TopKCategoricalAccuracy", "TrueNegatives", "TruePositives",
})
LOWER_IS_BETTER = frozenset({
    "BinaryCrossentropy", "CategoricalCrossentropy", "CategoricalHinge", "FN", "FNR", "FP", "FPR", "FallOut", "FalseDiscoveryRate",
    "FalseNegatives", "FalseOmissionRate", "FalsePositives", "Hinge", "KLDivergence", "LogCoshError", "MeanAbsoluteError",
    "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError", "MissRate", "NegativeLikelihoodRatio",
    "Poisson", "RootMeanSquaredError", "SparseCategoricalCrossentropy", "SquaredHinge",
})
NEITHER_IS_BETTER = frozenset({
    "Calibration", "ExampleCount", "MeanLabel", "MeanPrediction", "PredictedPositiveRate", "Prevalence", "PrevalenceThreshold",
    "WeightedExampleCount",
})
MAY_BE_NEGATIVE = frozenset({
    "CoefficientOfDiscrimination", "CosineSimilarity", "Informedness", "Markedness", "MatthewsCorrelationCoefficient", "MeanLabel",
    "MeanError", "MeanPrediction", "Poisson", "R2Score", "RelativeCoefficientOfDiscrimination",
})
PLOTS = frozenset({
    "CalibrationPlot", "ConfusionMatrixPlot", "MultiClassConfusionMatrixPlot", "MultiLabelConfusionMatrixPlot",
})
# fmt: on
TFMA_METRICS = HIGHER_IS_BETTER | LOWER_IS_BETTER | NEITHER_IS_BETTER
METRICS = TFMA_METRICS | OWN_HIGHER_IS_BETTER | OWN_LOWER_IS_BETTER | OWN_NEITHER_IS_BETTER

Slice = tuple[str, ...]
"""Features whose values are crossed; `feature=value` keeps one value; empty for all rows."""

OVERALL: Slice = ()


@dataclass(frozen=True)
class Threshold:
    """Bounds of one metric, as values and against the baseline model; a model must keep all that are given.

    Without a baseline model, as in the first run, the bounds against it are not judged.

    Example:
        Threshold("AUC", at_least=0.8, not_worse_than_baseline_by=0.01)
        Threshold("RootMeanSquaredError", at_most=120, better_than_baseline_by=0.02, relative=True)
        Threshold("AUC", better_than_baseline_by=0, beyond_chance=True)
        Threshold("Recall", at_least=0.5, slices=[[], ["payment_type"], ["payment_type=Cash", "company"]])
        Threshold("Recall", class_="spam", at_least=0.9)
        Threshold("MeanAbsoluteError", step=24, at_most=40)

    Attributes:
        metric: Name of a metric, such as `AUC` or `TopKAccuracy(k=3)`; see `Evaluator`.
        at_least: The least value that is good enough.
        at_most: The greatest value that is good enough.
        not_worse_than_baseline_by: How much worse than the baseline's value it may be, 0 or more.
        better_than_baseline_by: How much better than the baseline's value it must be, 0 or more.
        relative: Whether these two are shares of the baseline's value (0.02 is 2 %) instead of amounts.
        higher_is_better: Which way is better; needed only against a baseline, for a metric where neither is by nature.
        slices: Where it is judged: each item names features, and the bounds hold for each value, or each combination of values,
            that they have. The default, one empty item, is all rows together.
        beyond_chance: Whether the whole 95 % confidence interval of the difference must keep the bound against the baseline, and not only
            the difference. Both models are judged on the same rows, and the interval is that of their difference on these: so
            `better_than_baseline_by=0` lets only a model through that is better by more than chance, and
            `not_worse_than_baseline_by=0.01` one that is surely not worse by more than 0.01.
        class_: The class that is judged, by its name, or else its number; `*` for each. Of several classes without it, their macro
            average.
        step: The step of a forecast's horizon that is judged, from 1; `*` for each. Without it all steps together.

    Raises:
        DefinitionError: If a name is not known, a bound is missing, not a number, or contradicts another.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    not_worse_than_baseline_by: float | None = None
    better_than_baseline_by: float | None = None
    relative: bool = False
    higher_is_better: bool | None = None
    slices: tuple[Slice, ...] = (OVERALL,)
    beyond_chance: bool = False
    class_: str | int | None = None
    step: int | str | None = None

    def __post_init__(self) -> None:
        name = self.of.name
        object.__setattr__(self, "slices", normalise_slices(self.slices, f"Threshold('{self.metric}')"))
        if self.higher_is_better is None:
            lower = name in LOWER_IS_BETTER | OWN_LOWER_IS_BETTER
            by_nature = name in HIGHER_IS_BETTER | OWN_HIGHER_IS_BETTER or (False if lower else None)
            object.__setattr__(self, "higher_is_better", by_nature)
        problem = self._problem_of_values() or self._problem_of_baseline()
        if problem:
            raise DefinitionError(f"Threshold('{self.metric}'): {problem}")

    @property
    def of(self) -> Metric:
        """The metric, and the class or step that it is of."""
        metric = parse_metric(self.metric, METRICS)
        given = {option: value for option, value in vars(metric).items() if option != "name" and value is not None}
        for option in ("class_", "step"):
            beside = getattr(self, option)
            if beside is not None and given.setdefault(option, beside) != beside:
                raise DefinitionError(f"Threshold('{self.metric}'): {option} is {given[option]!r} in the name and {beside!r} beside it.")
        return checked(metric.name, given)

    @property
    def change(self) -> float | None:
        """The least, or where lower is better the greatest, difference to the baseline that is good enough; None if not given."""
        if self.better_than_baseline_by is None and self.not_worse_than_baseline_by is None:
            return None
        gain = self.better_than_baseline_by if self.better_than_baseline_by is not None else -(self.not_worse_than_baseline_by or 0.0)
        return gain if self.higher_is_better else -gain

    def _problem_of_values(self) -> str | None:
        bounds = {name: getattr(self, name) for name in _BOUNDS if getattr(self, name) is not None}
        if not bounds:
            return f"it has no bound. Expected one or more of {', '.join(_BOUNDS)}."
        for name, value in bounds.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                return f"{name} must be a number. Received: {value!r}."
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            return f"no value is at least {self.at_least} and at most {self.at_most}."
        return None

    def _problem_of_baseline(self) -> str | None:
        given = [name for name in _BOUNDS[2:] if getattr(self, name) is not None]
        if len(given) == 2:
            return f"give {given[0]} or {given[1]}, not both."
        if not given:
            flag = "relative" if self.relative else "beyond_chance" if self.beyond_chance else None
            return None if flag is None else f"{flag}=True needs a bound against the baseline."
        if getattr(self, given[0]) < 0:
            return f"{given[0]} must be 0 or more. Received: {getattr(self, given[0])}."
        if self.higher_is_better is None:
            return f"neither higher nor lower is better by nature; with {given[0]} say which: higher_is_better=True or False."
        if self.relative and self.of.name in MAY_BE_NEGATIVE:
            return "its value may be negative, where a share of it means nothing. Use an amount: relative=False."
        return None


_BOUNDS = ("at_least", "at_most", "not_worse_than_baseline_by", "better_than_baseline_by")


def check_plot(name: str) -> None:
    """Raises a `DefinitionError` with the nearest known name if there is no such plot."""
    if name not in PLOTS:
        raise DefinitionError(
            f"There is no plot '{name}'.{did_you_mean(name, PLOTS)}",
            hint="A plot with options, or one of your own, is named in a TFMA EvalConfig: eval_config='eval.pbtxt'.",
        )


def normalise_slices(slices: object, owner: str) -> tuple[Slice, ...]:
    """Returns slices as tuples of features in alphabetical order; a feature alone stands for a slice of one.

    Raises:
        DefinitionError: If an item is neither a feature nor a list of features, or names a feature twice.
    """
    if isinstance(slices, str) or not isinstance(slices, list | tuple):
        raise DefinitionError(f"{owner}: slices must be a list of features or of lists of features. Received: {slices!r}.")
    result = []
    for item in slices:
        features = (item,) if isinstance(item, str) else item
        if not isinstance(features, list | tuple) or not all(isinstance(name, str) and name for name in features):
            raise DefinitionError(f"{owner}: a slice must be a feature or a list of features. Received: {item!r}.")
        if len({name.partition("=")[0] for name in features}) != len(features):
            raise DefinitionError(f"{owner}: a slice names a feature twice: {item!r}.")
        result.append(tuple(sorted(features)))
    return tuple(dict.fromkeys(result))
