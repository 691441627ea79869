"""Evaluator: metrics of a model by slice, thresholds, and the blessing."""

from components.evaluator.component import Evaluator
from components.evaluator.threshold import Threshold

__all__ = ["Evaluator", "Threshold"]
