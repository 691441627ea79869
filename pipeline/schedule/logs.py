"""The daemon's log: lines for people, or JSON; on stderr, or in files that are rotated."""

from __future__ import annotations

import json
import logging
import logging.handlers
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import UsageError

LOGGER = logging.getLogger("cauce.schedule")
_SIZE, _FILES = 10_000_000, 5


def say(event: str, text: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Logs an event: a sentence for people; its name and fields for programs."""
    LOGGER.log(level, text, extra={"event": event, "fields": fields})


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        own = {"time": _time(record), "level": record.levelname.lower(), "event": getattr(record, "event", record.name)}
        error = {"traceback": self.formatException(record.exc_info)} if record.exc_info else {}
        return json.dumps({**own, "message": record.getMessage(), **fields, **error}, default=str)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        mark = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        error = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{_time(record)} {mark}{record.getMessage()}{error}"


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def set_up(*, as_json: bool, file: Path | None) -> None:
    """Makes the daemon log to stderr, or to a file that is rotated at 10 MB; four earlier ones are kept.

    Raises:
        UsageError: If the file cannot be written.
    """
    handler: logging.Handler = logging.StreamHandler()
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handler = logging.handlers.RotatingFileHandler(file, maxBytes=_SIZE, backupCount=_FILES - 1, encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"The log file {file} cannot be written: {error.strerror}", hint="Name another one: --log-file FILE"
            ) from error
    handler.setFormatter(_Json() if as_json else _Text())
    for before in LOGGER.handlers:
        before.close()
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
