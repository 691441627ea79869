"""The boundary around a function of the user: what it raises names the node, the function and the line."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import CauceError, UserCodeError


@contextmanager
def user_code(node: str, reference: str, folders: Sequence[Path]) -> Iterator[None]:
    """Turns what user code raises into a `UserCodeError`; errors of cauce pass unchanged.

    Args:
        node: Id of the node.
        reference: The function as the definition names it.
        folders: Where user code lies; the last line below one of them is named.
    """
    try:
        yield
    except CauceError:
        raise
    except Exception as error:
        text = str(error).strip() or "no message"
        raise UserCodeError(f"Node '{node}': {reference} raised {type(error).__name__}{_place(error, folders)}: {text}") from error


def _place(error: BaseException, folders: Sequence[Path]) -> str:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if any(Path(frame.filename).is_relative_to(folder) for folder in folders):
            return f" at {Path(frame.filename).name}, line {frame.lineno}"
    return ""
