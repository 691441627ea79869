"""Logs of served requests: read as spans, and joined with labels that come later."""

from components.serving_logs.join import LabelJoin
from components.serving_logs.logs import ServingLogExampleGen

__all__ = ["LabelJoin", "ServingLogExampleGen"]
