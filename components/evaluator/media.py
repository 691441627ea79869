"""Pictures and sounds among the values of a feature, known by their first bytes."""

from __future__ import annotations

_BEGINNINGS = (
    ("jpeg", b"\xff\xd8\xff"),
    ("png", b"\x89PNG\r\n\x1a\n"),
    ("gif", b"GIF8"),
    ("bmp", b"BM"),
    ("flac", b"fLaC"),
    ("ogg", b"OggS"),
)
_BMP_HEADER = 54


def media_kind(value: bytes) -> str | None:
    """Returns `jpeg`, `png`, `gif`, `bmp`, `wav`, `flac` or `ogg`; None for anything else."""
    if value[:4] == b"RIFF" and value[8:12] == b"WAVE":
        return "wav"
    kind = next((kind for kind, beginning in _BEGINNINGS if value.startswith(beginning)), None)
    if kind == "bmp" and (len(value) < _BMP_HEADER or value[6:10] != bytes(4)):  # a text may begin with these two letters
        return None
    return kind
