"""What pictures, texts and sounds say of themselves, and whether they decode: the whole file is decoded, not only its head."""

from __future__ import annotations

import codecs
import io
from collections.abc import Mapping
from dataclasses import dataclass, field

from components.example_gen.files_reader import BadContentError, FileKind, Value

_LARGE_SIDE = 512  # of JPEGs from here on an eighth of the resolution is decoded, which reads the file as far
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
        form = "jpeg" if form == "MPO" else form.lower()
        return data, {"image/format": form.encode(), "image/width": width, "image/height": height, "image/channels": channels}


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
    suffixes: tuple[str, ...] = (".txt", ".text", ".md")
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
