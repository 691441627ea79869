"""Makes the pictures: small JPEGs in a folder per class, and the same in one archive."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

COUNT = 50_000
_CLASSES = 10
_SIDE = 32


def pictures(folder: Path) -> tuple[Path, Path]:
    """Returns a folder with 50,000 different JPEGs of 32 x 32 pixels, about 900 bytes each as those of CIFAR-10, and an archive of them."""
    target, archive = folder / "pictures", folder / "pictures.tar.gz"
    if not archive.is_file():
        shutil.rmtree(target, ignore_errors=True)
        unfinished = archive.with_suffix(".part")
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(unfinished, "w:gz", compresslevel=1) as packed:
            for number in range(COUNT):
                name, content = f"{number % _CLASSES}/{number:05d}.jpg", _jpeg(number)
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (target / name).write_bytes(content)
                member = tarfile.TarInfo(name)
                member.size = len(content)
                packed.addfile(member, io.BytesIO(content))
        unfinished.replace(archive)
    return target, archive


def _jpeg(number: int) -> bytes:
    """Smooth blots of colour, which compress as photographs do."""
    coarse = np.random.default_rng(number).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(coarse).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=85)
    return stream.getvalue()
