"""From encoded images to squares of bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from archspace.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image, Transpose

Bytes = NDArray[np.uint8]
_ORIENTATION = 0x0112
"""The EXIF tag that says how a camera was held."""
_DEEPEST = 65535
_DIGEST = 16


@dataclass(frozen=True)
class Look:
    """What every image of a task is brought to: a square of `side` pixels, in colour or grey."""

    side: int
    colour: Literal["rgb", "grey"] = "rgb"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return (3 if self.colour == "rgb" else 1, self.side, self.side)


@dataclass(frozen=True)
class Decoded:
    """Images in order (n, channels, side, side), digests of what each was read from, the bytes of all that, and why
    some are broken."""

    images: Bytes
    digests: Sequence[bytes]
    read: int
    broken: dict[int, str] = field(default_factory=dict)


def decode_files(paths: Sequence[str], look: Look) -> Decoded:
    """Images from files."""
    return _decode((_contents(path) for path in paths), len(paths), look)


def decode_bytes(blobs: Sequence[bytes | None], look: Look) -> Decoded:
    """Images from encoded files that are in memory already; None is a broken one."""
    return _decode(blobs, len(blobs), look)


def decode_arrays(images: Bytes, look: Look) -> Decoded:
    """Images (n, channels, height, width) that were never encoded; 1 channel or 3, as `look` has."""
    digests = [_digest(image.tobytes()) for image in images]
    if images.shape[2:] == look.shape[1:]:
        return Decoded(images, digests, images.nbytes)
    from PIL import Image

    squares = np.empty((len(images), *look.shape), np.uint8)
    for square, image in zip(squares, images, strict=True):
        pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        square[:] = _planes(_square(Image.fromarray(pixels), look.side))
    return Decoded(squares, digests, images.nbytes)


def size_of(blob: bytes | Path) -> tuple[int, int] | None:
    """Width and height of an encoded image, None where it cannot be read; nothing is decoded."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # decoding it will tell
        try:
            with Image.open(blob if isinstance(blob, Path) else io.BytesIO(blob)) as image:
                return image.size
        except Exception:
            return None


def _contents(path: str) -> bytes | str:
    """The bytes of a file, or why there are none; only of a file, since a pipe would be waited for.

    Raises UserError for what may pass, such as too many open files: an image that is left out stays left out.
    """
    try:
        return Path(path).read_bytes() if Path(path).is_file() else "there is no such file"
    except PermissionError as error:
        return str(error.strerror)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); try again, or remove it") from None


def _decode(blobs: Iterable[bytes | str | None], number: int, look: Look) -> Decoded:
    """A text instead of bytes says why there are none."""
    squares = np.zeros((number, *look.shape), np.uint8)
    digests, broken, read = [], {}, 0
    for index, blob in enumerate(blobs):
        digests.append(_digest(blob if isinstance(blob, bytes) else b""))
        if not isinstance(blob, bytes):
            broken[index] = blob or "there are no bytes"
            continue
        read += len(blob)
        try:
            squares[index] = _read(blob, look)
        except MemoryError:
            raise UserError("memory ended while images were decoded; free some and try again") from None
        except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
            broken[index] = _reason(error)
    return Decoded(squares, digests, read, broken)


def _reason(error: Exception) -> str:
    if type(error).__name__ == "UnidentifiedImageError":
        return "not an image that Pillow knows"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _read(blob: bytes, look: Look) -> Bytes:
    from PIL import Image

    with Image.open(io.BytesIO(blob)) as image:
        if image.format == "EPS":
            raise ValueError("EPS is a program, not an image; convert it")
        image.draft(image.mode, (2 * look.side, 2 * look.side))  # JPEGs alone: decodes fewer pixels where they are many
        # Not ImageOps.exif_transpose, which writes the other tags anew and fails where one of them is odd.
        turn = _upright().get(image.getexif().get(_ORIENTATION, 1))
        upright = image if turn is None else image.transpose(turn)
        return _planes(_square(_converted(upright, "RGB" if look.colour == "rgb" else "L"), look.side))


def _upright() -> Mapping[int, Transpose]:
    """What makes an image upright, by its EXIF orientation (EXIF 2.32, tag 274)."""
    from PIL.Image import Transpose

    flips = Transpose.FLIP_LEFT_RIGHT, Transpose.ROTATE_180, Transpose.FLIP_TOP_BOTTOM, Transpose.TRANSPOSE
    return dict(enumerate((*flips, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90), start=2))


def _converted(image: Image, mode: str) -> Image:
    """An image as RGB or L: what is transparent becomes white, 16 bits are scaled to 8."""
    from PIL import Image

    if image.mode == "F":
        raise ValueError("pixels are floating-point numbers of no known range; convert it to 8 bits")
    if image.mode.startswith("I"):
        deep = np.clip(np.asarray(image).astype(np.int64), 0, _DEEPEST)
        image = Image.fromarray(((deep + 128) // 257).astype(np.uint8))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == mode else image.convert(mode)


def _square(image: Image, side: int) -> Image:
    """The middle of an image, brought to `side` pixels: means of blocks where they fit, else bilinear, antialiased."""
    from PIL.Image import Resampling

    shorter = min(image.size)
    left, top = ((length - shorter) // 2 for length in image.size)
    box = (left, top, left + shorter, top + shorter)
    if shorter == side:
        return image if image.size == (side, side) else image.crop(box)
    if shorter % side == 0:
        return image.reduce(shorter // side, box)  # exact where Resampling.BOX rounds twice, and brightens
    return image.resize((side, side), Resampling.BILINEAR, box)


def _planes(image: Image) -> Bytes:
    """Channels first."""
    pixels: Bytes = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _digest(blob: bytes) -> bytes:
    return blake2b(blob, digest_size=_DIGEST).digest()
