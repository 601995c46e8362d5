"""Which test images a trained network gets wrong, one bit each, beside its metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = "wrong.npz"


def keep_wrong(folder: Path, wrong: NDArray[np.bool_]) -> None:
    """Write the bits, whole or not at all."""
    part = folder / f"{FILE}.part"
    with part.open("wb") as file:
        np.savez_compressed(file, bits=np.packbits(wrong), images=np.array(len(wrong)))
    part.replace(folder / FILE)


def read_wrong(folder: Path) -> NDArray[np.bool_] | None:
    """The bits of a trial that has looked at the test split, None of another: bool (images)."""
    try:
        with np.load(folder / FILE, allow_pickle=False) as held:
            bits: Any = np.unpackbits(held["bits"], count=int(held["images"])).astype(bool)
            return np.asarray(bits)
    except (FileNotFoundError, NotADirectoryError):
        return None
