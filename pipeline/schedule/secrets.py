"""Secrets: named as `env:NAME` or `file:PATH`, read when they are needed, and never kept or shown."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import UsageError

HIDDEN = "***"


def check_reference(text: str, what: str) -> None:
    """Checks that a secret is named and not given.

    Raises:
        UsageError: If it is not; the message does not repeat what may be the secret itself.
    """
    kind, _, name = text.partition(":")
    if kind not in ("env", "file") or not name:
        raise UsageError(
            f"{what} expects where a secret is: env:NAME or file:PATH. Received: something else, which is not shown.",
            hint="Put it into the environment of the daemon, or into a file that only it may read. See docs/scheduling.md",
        )


def secret(reference: str) -> str:
    """Returns a secret; white space around it is no part of it.

    Raises:
        UsageError: If it is not there, naming where it was looked for.
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        if name not in os.environ:
            raise UsageError(f"The environment has no variable {name}, which a schedule takes a secret from.")
        return os.environ[name].strip()
    try:
        return Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The secret in {name} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def is_there(reference: str) -> bool:
    """Returns whether a secret can be read, and is not empty."""
    try:
        return bool(secret(reference))
    except UsageError:
        return False


def without(text: str, references: Iterable[str]) -> str:
    """Returns a text without the secrets, should something that was called repeat one: a server's answer, a command's output."""
    for reference in references:
        try:
            found = secret(reference)
        except UsageError:
            continue
        text = text.replace(found, HIDDEN) if found else text
    return text


def variables(references: Iterable[str]) -> set[str]:
    """Returns the names of the variables that hold secrets: runs, which are the user's code, do not get them."""
    return {reference.removeprefix("env:") for reference in references if reference.startswith("env:")}
