"""Evaluator: metrics of a model by slice, thresholds, and the blessing.

From `component` the way leads to `config` (what is asked, as TFMA's `EvalConfig`), `evaluation` (runs it: `rows` reads and predicts,
`engine` adds up by slice what `plan` and `columns` say), `results` (TFMA's files and the summary) and `verdict`.
"""

from components.evaluator.component import Evaluator
from components.evaluator.threshold import Threshold

__all__ = ["Evaluator", "Threshold"]
