"""The exception tree of cauce: every error that a user may see, with its exit code and its next step."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CauceError(Exception):
    """Base of all errors of cauce.

    Args:
        message: What is wrong, what was expected, what was received.
        hint: The next step, as a sentence or as a command to type.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.hint, self.__dict__))


def _rebuild(kind: type[CauceError], message: str, hint: str | None, state: dict[str, object]) -> CauceError:
    error = kind.__new__(kind)
    CauceError.__init__(error, message, hint=hint)
    error.__dict__.update(state)
    return error


class UsageError(CauceError):
    """The command line, the configuration or an argument is wrong; nothing was started."""

    exit_code = 2


class DefinitionError(CauceError):
    """A pipeline or a component is put together wrongly; raised while it is built."""

    exit_code = 2


class MetadataError(CauceError):
    """The metadata store cannot be opened, read or written."""


class ResolutionError(CauceError):
    """An input of a node could not be found."""


class DataError(CauceError):
    """Input data are missing or damaged; the message names file, line and field."""


class StorageError(CauceError):
    """An artifact's files are missing, damaged or cannot be written."""


class ExecutionError(CauceError):
    """A node's executor failed. The log file holds the whole traceback."""


class UserCodeError(ExecutionError):
    """A function of the user raised, or returned what it must not; the message names node and function."""


class ProcessDiedError(ExecutionError):
    """The process of an executor ended without a result: killed, crashed in native code, or left by `os._exit`."""


class NodeTimeoutError(ExecutionError):
    """An executor ran longer than its node's `timeout`."""


class InterruptedRunError(CauceError):
    """The run was stopped by the user; `cauce resume` goes on from there."""

    exit_code = 130


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns ` Did you mean 'x'?` when a known word is close, else a list of the known words."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f" Did you mean '{close[0]}'?"
    return f" Known: {', '.join(names)}." if names else ""
