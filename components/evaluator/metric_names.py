"""The metrics that can be asked for by name, and which way each of them is better.

The names are those of TensorFlow Model Analysis and Keras for metrics that need no options; others are named in an `EvalConfig`.
Kept as data, so that a definition is checked without importing either library.
"""

from __future__ import annotations

from pipeline.errors import DefinitionError, did_you_mean

HIGHER_IS_BETTER = frozenset(
    {
        "AUC",
        "AUCPrecisionRecall",
        "Accuracy",
        "BalancedAccuracy",
        "BinaryAccuracy",
        "CategoricalAccuracy",
        "CoefficientOfDiscrimination",
        "CosineSimilarity",
        "DiagnosticOddsRatio",
        "ExactMatch",
        "F1Score",
        "FowlkesMallowsIndex",
        "Informedness",
        "Markedness",
        "MatthewsCorrelationCoefficient",
        "MaxRecall",
        "NPV",
        "NegativePredictiveValue",
        "PPV",
        "PositiveLikelihoodRatio",
        "Precision",
        "R2Score",
        "Recall",
        "RelativeCoefficientOfDiscrimination",
        "SparseCategoricalAccuracy",
        "SparseTopKCategoricalAccuracy",
        "Specificity",
        "SquaredPearsonCorrelation",
        "TN",
        "TNR",
        "TP",
        "TPR",
        "ThreatScore",
        "TopKCategoricalAccuracy",
        "TrueNegatives",
        "TruePositives",
    }
)

LOWER_IS_BETTER = frozenset(
    {
        "BinaryCrossentropy",
        "CategoricalCrossentropy",
        "CategoricalHinge",
        "FN",
        "FNR",
        "FP",
        "FPR",
        "FallOut",
        "FalseDiscoveryRate",
        "FalseNegatives",
        "FalseOmissionRate",
        "FalsePositives",
        "Hinge",
        "KLDivergence",
        "LogCoshError",
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "MeanSquaredError",
        "MeanSquaredLogarithmicError",
        "MissRate",
        "NegativeLikelihoodRatio",
        "Poisson",
        "RootMeanSquaredError",
        "SparseCategoricalCrossentropy",
        "SquaredHinge",
    }
)

NEITHER_IS_BETTER = frozenset(
    {
        "Calibration",
        "ExampleCount",
        "MeanLabel",
        "MeanPrediction",
        "PredictedPositiveRate",
        "Prevalence",
        "PrevalenceThreshold",
        "WeightedExampleCount",
    }
)

MAY_BE_NEGATIVE = frozenset(
    {
        "CoefficientOfDiscrimination",
        "CosineSimilarity",
        "Informedness",
        "Markedness",
        "MatthewsCorrelationCoefficient",
        "MeanLabel",
        "MeanPrediction",
        "Poisson",
        "R2Score",
        "RelativeCoefficientOfDiscrimination",
    }
)

PLOTS = frozenset({"CalibrationPlot", "ConfusionMatrixPlot", "MultiClassConfusionMatrixPlot", "MultiLabelConfusionMatrixPlot"})

METRICS = HIGHER_IS_BETTER | LOWER_IS_BETTER | NEITHER_IS_BETTER


def check_metric(name: str, known: frozenset[str] = METRICS, kind: str = "metric") -> None:
    """Raises a `DefinitionError` with the nearest known name if there is no such metric."""
    if name not in known:
        raise DefinitionError(
            f"There is no {kind} '{name}'.{did_you_mean(name, known)}",
            hint="A metric with options, or one of your own, is named in a TFMA EvalConfig: eval_config='eval.pbtxt'.",
        )


def higher_is_better(name: str) -> bool | None:
    """Returns whether more is better for a metric; None if neither is."""
    if name in HIGHER_IS_BETTER:
        return True
    return False if name in LOWER_IS_BETTER else None
