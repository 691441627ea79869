"""ExampleValidator: compares statistics with a schema and with earlier statistics, and blocks the run where that was not agreed."""

from components.example_validator.component import ExampleValidator

__all__ = ["ExampleValidator"]
