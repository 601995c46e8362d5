"""Small data sets, written in the layouts in which large ones are published."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from archspace.data.tasks import Task


def pixels(number: int, channels: int, side: int, seed: int = 0) -> NDArray[np.uint8]:
    """Random images (number, channels, side, side)."""
    return np.random.default_rng(seed).integers(0, 256, (number, channels, side, side), dtype=np.uint8)


def tar(path: Path, members: Mapping[str, bytes]) -> str:
    """Write a .tar.gz; its MD5."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return hashlib.md5(path.read_bytes()).hexdigest()


def cifar10_python(per_batch: int = 20) -> dict[str, bytes]:
    """The files of cifar-10-python.tar.gz: image i of a batch is of class i % 10."""
    files = {"batches.meta": pickle.dumps({"label_names": [f"class{label}" for label in range(10)]}, protocol=2)}
    for number, name in enumerate([*(f"data_batch_{batch}" for batch in range(1, 6)), "test_batch"]):
        images = pixels(per_batch, 3, 32, number).reshape(per_batch, -1)
        labels = [index % 10 for index in range(per_batch)]
        files[name] = pickle.dumps({b"data": images, b"labels": labels}, protocol=2)
    return {f"cifar-10-batches-py/{name}": data for name, data in files.items()}


def cifar10_binary(per_batch: int = 20) -> dict[str, bytes]:
    """The files of cifar-10-binary.tar.gz, with the same images."""
    files = {"batches.meta.txt": "".join(f"class{label}\n" for label in range(10)).encode()}
    for number, name in enumerate([*(f"data_batch_{batch}" for batch in range(1, 6)), "test_batch"]):
        images = pixels(per_batch, 3, 32, number).reshape(per_batch, -1)
        records = (bytes([index % 10]) + image.tobytes() for index, image in enumerate(images))
        files[f"{name}.bin"] = b"".join(records)
    return {f"cifar-10-batches-bin/{name}": data for name, data in files.items()}


def unpack(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def idx(values: NDArray[np.uint8]) -> bytes:
    """An IDX file."""
    return struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def mnist_files(number: int = 40) -> dict[str, bytes]:
    """The four files, image i of class i % 10."""
    labels = (np.arange(number) % 10).astype(np.uint8)
    return {
        "train-images-idx3-ubyte": idx(pixels(number, 1, 28)[:, 0]),
        "train-labels-idx1-ubyte": idx(labels),
        "t10k-images-idx3-ubyte": idx(pixels(number, 1, 28, 1)[:, 0]),
        "t10k-labels-idx1-ubyte": idx(labels),
    }


def zipped(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Files as .gz."""
    return {f"{name}.gz": gzip.compress(data, mtime=0) for name, data in files.items()}


def png(image: NDArray[np.uint8]) -> bytes:
    """An image (channels, height, width) as the bytes of a PNG file."""
    held = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
    file = io.BytesIO()
    held.save(file, "PNG")
    return file.getvalue()


def write_parquet(
    path: Path, blobs: Sequence[bytes | None], labels: Sequence[Any], image: str = "image", label: str = "label"
) -> None:
    """A file as the Hugging Face Hub has them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    column = pa.array(
        [{"bytes": blob, "path": None} for blob in blobs], pa.struct({"bytes": pa.binary(), "path": pa.string()})
    )
    pq.write_table(pa.table({image: column, label: pa.array(labels)}), path)


def write_images(root: Path, classes: Mapping[str, int], side: int = 8, seed: int = 0) -> None:
    """A folder of so many PNG files for each class."""
    for offset, (name, number) in enumerate(classes.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for index, image in enumerate(pixels(number, 3, side, seed + offset)):
            (root / name / f"{index:03}.png").write_bytes(png(image))


def sizes(task: Task) -> tuple[int, int, int]:
    """Images in train, val, test."""
    return len(task.train.labels), len(task.val.labels), len(task.test.labels)
