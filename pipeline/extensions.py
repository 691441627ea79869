"""The one place where the engine reaches components.

The engine knows components only by their base class; some commands need what components own: `cauce schema` the review of schemas,
`cauce models` the folders that models are served from, `cauce schedule` the spans of a pattern. These modules are light, and are imported
when such a command is invoked.
"""

from __future__ import annotations

import importlib
from typing import Any

from pipeline.errors import UsageError


def _load(name: str, command: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"`cauce {command}` needs the package '{error.name}', which is not installed.", hint="Install it: pip install cauce"
        ) from error


def schema_review() -> Any:
    """Returns the module that compares schemas and writes accepted changes."""
    return _load("components.schema.review", "schema")


def schema_file() -> Any:
    """Returns the module that reads schema files."""
    return _load("components.schema.file", "schema")


def destination() -> Any:
    """Returns the module that knows what people decided about served models."""
    return _load("components.destination", "models")


def serving() -> Any:
    """Returns the module that knows served versions."""
    return _load("components.serving", "models")


def spans() -> Any:
    """Returns the module that lists the spans of a pattern."""
    return _load("components.example_gen.spans", "schedule")
