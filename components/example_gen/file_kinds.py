"""What pictures, texts and sounds say of themselves, and whether they decode: the whole file is decoded, not only its head."""

from __future__ import annotations

import codecs
import io
from collections.abc import Mapping
from dataclasses import dataclass, field

from components.example_gen.files_reader import BadContentError, FileKind, Value

_LARGE_SIDE = 512  # of JPEGs from here on an eighth of the resolution is decoded, which reads the file as far
_MOST_PIXELS = 1 << 26
_MARKER = 0xFF
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended and progressive
_BLOCK_FRAMES = 1 << 16


@dataclass(frozen=True)
class ImageKind(FileKind):
    """JPEG, PNG, BMP and GIF."""

    noun: str = "image"
    suffixes: tuple[str, ...] = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif")
    content: str = "image/encoded"
    content_type: str = "image"
    fields: Mapping[str, str] = field(
        default_factory=lambda: {"image/format": "bytes", "image/width": "int64", "image/height": "int64", "image/channels": "int64"}
    )
    alike: tuple[str, ...] = ("image/width", "image/height", "image/channels")

    def inspect(self, data: bytes) -> tuple[bytes, dict[str, Value]]:
        """Decodes a picture."""
        found = _decode_jpeg(data) or _decode(data)
        return data, dict(zip(self.fields, found, strict=True))


def _decode_jpeg(data: bytes) -> tuple[bytes, int, int, int] | None:
    """Decodes a common JPEG in half the time of `_decode`; None for any other, or if it fails."""
    from PIL import Image

    size = _jpeg_size(data)
    if size is None:
        return None
    width, height, channels = size
    scale = 8 if min(width, height) >= _LARGE_SIDE else 1
    mode = "RGB" if channels == 3 else "L"
    try:
        Image.frombytes(mode, (-(-width // scale), -(-height // scale)), data, "jpeg", mode, "", scale, 0)
    except (OSError, ValueError, SyntaxError):
        return None
    return b"jpeg", width, height, channels


def _jpeg_size(data: bytes) -> tuple[int, int, int] | None:
    """Returns width, height and channels of a JPEG of 8 bits in gray or colour, from its frame header (ITU T.81, B.2.2)."""
    if data[:3] != b"\xff\xd8\xff":
        return None
    place, end = 2, len(data) - 9
    while place < end and data[place] == _MARKER:
        marker = data[place + 1]
        if marker in _FRAMES:
            height, width = int.from_bytes(data[place + 5 : place + 7], "big"), int.from_bytes(data[place + 7 : place + 9], "big")
            usual = data[place + 4] == 8 and data[place + 9] in (1, 3) and 0 < width * height <= _MOST_PIXELS and height > 0
            return (width, height, data[place + 9]) if usual else None
        if marker < 0xC0 or 0xD0 <= marker <= 0xDA:
            return None
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None


def _decode(data: bytes) -> tuple[bytes, int, int, int]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "BMP", "GIF")) as image:
            (width, height), form = image.size, image.format or ""
            channels = len(image.getbands()) if image.mode != "P" else 3
            if form in ("JPEG", "MPO") and min(width, height) >= _LARGE_SIDE:
                image.draft(None, (width // 8, height // 8))
            image.load()
    except (OSError, SyntaxError, ValueError, ArithmeticError, IndexError, KeyError, TypeError, Image.DecompressionBombError) as error:
        raise BadContentError(_image_problem(data, error)) from error
    return (b"jpeg" if form == "MPO" else form.lower().encode()), width, height, channels


def _image_problem(data: bytes, error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if not data:
        return "it is empty"
    if isinstance(error, UnidentifiedImageError):
        return f"it is no JPEG, PNG, BMP or GIF: it begins with {data[:8]!r}"
    return f"it does not decode as an image: {str(error).splitlines()[0] if str(error) else type(error).__name__}"


@dataclass(frozen=True)
class TextKind(FileKind):
    """Text files; stored as UTF-8.

    Attributes:
        encoding: How the files are written.
    """

    encoding: str = "utf-8"
    noun: str = "text"
    suffixes: tuple[str, ...] = (".txt", ".text")
    content: str = "text"
    content_type: str = "text"
    fields: Mapping[str, str] = field(default_factory=lambda: {"text/characters": "int64"})
    alike: tuple[str, ...] = ()

    def inspect(self, data: bytes) -> tuple[bytes, dict[str, Value]]:
        """Decodes a text."""
        try:
            text = data.decode(self.encoding)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            name = codecs.lookup(self.encoding).name.upper()
            raise BadContentError(f"it is not {name}: byte 0x{data[error.start]:02x} in line {line}") from error
        text = text.removeprefix("\ufeff")
        if not text.strip():
            raise BadContentError("it is empty" if not text else "it holds nothing but spaces")
        return text.encode(), {"text/characters": len(text)}


@dataclass(frozen=True)
class AudioKind(FileKind):
    """WAV, FLAC and OGG."""

    noun: str = "audio"
    suffixes: tuple[str, ...] = (".wav", ".flac", ".ogg", ".oga")
    content: str = "audio/encoded"
    content_type: str = "audio"
    fields: Mapping[str, str] = field(
        default_factory=lambda: {
            "audio/format": "bytes",
            "audio/sample_rate": "int64",
            "audio/channels": "int64",
            "audio/seconds": "float32",
        }
    )
    alike: tuple[str, ...] = ("audio/sample_rate", "audio/channels", "audio/seconds")

    def inspect(self, data: bytes) -> tuple[bytes, dict[str, Value]]:
        """Decodes a sound."""
        import soundfile

        if not data:
            raise BadContentError("it is empty")
        try:
            with soundfile.SoundFile(io.BytesIO(data)) as sound:
                frames = 0
                while read := len(sound.read(_BLOCK_FRAMES, "int16")):
                    frames += read
                promised, said = sound.frames, sound.extra_info
                rate, channels, form = sound.samplerate, sound.channels, sound.format
        except soundfile.LibsndfileError as error:
            raise BadContentError(f"it does not decode as sound: {error.error_string}") from error
        if not frames:
            raise BadContentError("it holds no sound")
        if frames < promised or (form == "WAV" and "data : " in said and "(should be" in said.partition("data : ")[2].partition("\n")[0]):
            raise BadContentError(f"it is cut off after {frames / rate:.3g} seconds")
        form_name = {"WAVEX": "wav"}.get(form, form.lower())
        seconds = frames / rate
        return data, {
            "audio/format": form_name.encode(),
            "audio/sample_rate": rate,
            "audio/channels": channels,
            "audio/seconds": seconds,
        }
