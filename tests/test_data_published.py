"""Published data sets: layouts, checksums, damaged files, downloads."""

import hashlib
import io
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from datafiles import (
    cifar10_binary,
    cifar10_python,
    idx,
    mnist_files,
    pixels,
    png,
    sizes,
    tar,
    unpack,
    write_parquet,
    zipped,
)

import archspace.data.cifar as cifar
import archspace.data.fetch as fetch
import archspace.data.idx as idx_files
from archspace.data.fetch import Remote
from archspace.data.tasks import load_task
from archspace.errors import UserError


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ARCHSPACE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def _expect(monkeypatch: pytest.MonkeyPatch, layout: int, url: str, md5: str) -> None:
    """Let one of CIFAR-10's archives have this address and checksum."""
    layouts = list(cifar.CIFAR10_LAYOUTS)
    layouts[layout] = replace(layouts[layout], archive=Remote(url, md5))
    monkeypatch.setattr(cifar, "CIFAR10_LAYOUTS", tuple(layouts))


PYTHON, BINARY = "cifar-10-python.tar.gz", "cifar-10-binary.tar.gz"


def test_cifar10_is_the_same_in_all_its_layouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, (name, files) in enumerate(((PYTHON, cifar10_python()), (BINARY, cifar10_binary()))):
        md5 = tar(tmp_path / f"packed{number}" / name, files)
        unpack(tmp_path / f"unpacked{number}", files)
        _expect(monkeypatch, number, f"https://nowhere.invalid/{name}", md5)
    folders = ["packed0", "packed1", "unpacked0", "unpacked1", f"packed0/{PYTHON}", "unpacked1/cifar-10-batches-bin"]
    tasks = [load_task(f"cifar10 path={folder} val=20") for folder in folders]
    for task in tasks:
        assert (task.input, task.classes, sizes(task)) == ((3, 32, 32), 10, (80, 20, 20))
        assert task.class_names == tuple(f"class{label}" for label in range(10))
        assert task.fingerprint == tasks[0].fingerprint
        assert torch.equal(task.val.images, tasks[0].val.images)
        assert torch.equal(task.train.labels, tasks[0].train.labels)
    image = torch.from_numpy(pixels(20, 3, 32, 5)[3])
    at = [bool(torch.equal(image, other)) for other in tasks[0].test.images].index(True)
    assert tasks[0].test.labels[at] == 3


def test_cifar100_reads_the_fine_labels(tmp_path: Path) -> None:
    names = [f"fine{label:02}" for label in range(100)]
    batch = {
        b"data": pixels(200, 3, 32).reshape(200, -1),
        b"fine_labels": [*range(100)] * 2,
        b"coarse_labels": [0] * 200,
    }
    unpack(
        tmp_path / "data" / "cifar100" / "cifar-100-python",
        {
            "train": pickle.dumps(batch, protocol=2),
            "test": pickle.dumps(batch, protocol=2),
            "meta": pickle.dumps({"fine_label_names": names, "coarse_label_names": ["c"]}, protocol=2),
        },
    )
    task = load_task("cifar100 val=100 size=8")
    assert (task.classes, task.class_names, sizes(task)) == (100, tuple(names), (100, 100, 200))
    records = b"".join(bytes([7, label % 100]) + bytes(3072) for label in range(200))
    listed = {"train.bin": records, "test.bin": records, "fine_label_names.txt": "\n".join(names).encode()}
    unpack(tmp_path / "binary", listed)
    assert load_task("cifar100 path=binary val=0.5").test.labels.bincount().tolist() == [2] * 100


def test_a_name_loads_the_same_task_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpack(tmp_path / "data" / "cifar10", cifar10_python())
    task = load_task("cifar10 val=20")
    assert task.name == f"cifar10 path={tmp_path}/data/cifar10 val=20"
    monkeypatch.chdir("/")
    assert torch.equal(load_task(task.name).val.images, task.val.images)
    monkeypatch.setenv("ARCHSPACE_DATA", str(tmp_path))
    assert load_task("cifar10 val=20").name == "cifar10 val=20"


def test_an_archive_of_another_checksum_is_refused(tmp_path: Path) -> None:
    md5 = tar(tmp_path / "cifar" / PYTHON, cifar10_python(10))
    with pytest.raises(
        UserError, match=rf"{PYTHON}: has the checksum \(MD5\) {md5}.*c58f30108f.*fetch it again from http"
    ):
        load_task("cifar10 path=cifar")


def test_a_damaged_archive_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cifar" / PYTHON
    tar(path, cifar10_python(10))
    path.write_bytes(path.read_bytes()[:-2000])
    _expect(monkeypatch, 0, f"x/{PYTHON}", hashlib.md5(path.read_bytes()).hexdigest())
    with pytest.raises(UserError, match=r"the archive is damaged .*; delete it and fetch it again"):
        load_task("cifar10 path=cifar")
    files = cifar10_python(10)
    del files["cifar-10-batches-py/data_batch_3"]
    _expect(monkeypatch, 0, f"x/{PYTHON}", tar(path, files))
    with pytest.raises(UserError, match=r"lacks data_batch_3; fetch it again"):
        load_task("cifar10 path=cifar")


class _Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("ran",)


class _Forged:
    """An array whose type says after its making that its bytes are addresses of objects."""

    def __reduce__(self) -> tuple[object, ...]:
        array = np.zeros(2, np.uint8).__reduce__()
        state = (1, (1,), _ForgedKind(), False, b"\x01" * 8)
        return array[0], array[1], state


class _ForgedKind:
    def __reduce__(self) -> tuple[object, ...]:
        return np.dtype, ("O8", False, True), (3, "|", None, None, None, -1, -1, 0)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (pickle.dumps({b"data": _Malicious()}), r"it names posix.mkdir, which data have no need of"),
        (pickle.dumps({b"data": _Malicious()}, protocol=0), r"it names posix.mkdir"),
        (b"nonsense", "cannot be unpickled"),
        (pickle.dumps([1, 2]), "holds no mapping"),
        (pickle.dumps({b"data": np.zeros((2, 5), np.uint8), b"labels": [0, 1]}), "not images of 3072 bytes"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]}), "not one label for each of 2 images"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 10]}), "image 1 has label 10"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, "x"]}), "labels are of type"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [[0], [1, 2]]}), "labels are of type list"),
        (pickle.dumps({b"data": np.array([None])}), "an array of type .O8, which data have no need of"),
        (pickle.dumps({b"data": _Forged()}), "cannot be unpickled"),
    ],
)
def test_a_bad_batch_is_told_and_never_run(tmp_path: Path, batch: bytes, message: str) -> None:
    unpack(tmp_path / "cifar", cifar10_python(10) | {"cifar-10-batches-py/data_batch_2": batch})
    with pytest.raises(UserError, match=f"data_batch_2: .*{message}"):
        load_task("cifar10 path=cifar")
    assert not (tmp_path / "ran").exists()


def test_a_binary_batch_that_is_cut_short_is_told(tmp_path: Path) -> None:
    files = cifar10_binary(10)
    files["cifar-10-batches-bin/test_batch.bin"] = files["cifar-10-batches-bin/test_batch.bin"][:-1]
    unpack(tmp_path / "cifar", files)
    with pytest.raises(UserError, match=r"test_batch.bin: 30729 bytes are no whole number of images"):
        load_task("cifar10 path=cifar")


def test_parquet_files_of_a_published_set_need_a_test_split(tmp_path: Path) -> None:
    blobs, labels = [png(image) for image in pixels(40, 3, 32)], [*range(10)] * 4
    write_parquet(tmp_path / "cifar10" / "train-00000-of-00001.parquet", blobs, labels, "img")
    with pytest.raises(UserError, match="the test files of cifar10 are missing"):
        load_task("cifar10 path=cifar10 val=10")
    write_parquet(tmp_path / "cifar10" / "test-00000-of-00001.parquet", blobs, [*range(1, 11)] * 4, "img")
    with pytest.raises(UserError, match="image 9 has label 10, and the 10 classes are 0 to 9"):
        load_task("cifar10 path=cifar10 val=10")
    write_parquet(tmp_path / "cifar10" / "test-00000-of-00001.parquet", blobs[:20], labels[:20], "img")
    task = load_task("cifar10 path=cifar10 val=10")
    assert (sizes(task), task.class_names[0]) == ((30, 10, 20), "airplane")


def test_mnist_is_read_plain_and_zipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = mnist_files()
    unpack(tmp_path / "mnist" / "raw", files)
    unpack(tmp_path / "zipped", zipped(files))
    plain = load_task("mnist path=mnist val=10")
    assert (plain.input, sizes(plain), len(plain.mean)) == ((1, 28, 28), (30, 10, 40), 1)
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte.gz: has the checksum .* published file has f68b3c2d"):
        load_task("mnist path=zipped val=10")
    md5s = [hashlib.md5(data).hexdigest() for data in zipped(files).values()]
    monkeypatch.setattr(idx_files, "FASHION_MNIST", idx_files._remotes("http://nowhere.invalid/", *md5s))
    assert load_task("fashion-mnist path=zipped val=10").fingerprint == plain.fingerprint
    (tmp_path / "zipped" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UserError, match=r"lacks t10k-labels-idx1-ubyte \(or .gz\); put it beside"):
        load_task("fashion-mnist path=zipped")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("train-images-idx3-ubyte", b"", "not an IDX file"),
        ("train-images-idx3-ubyte", idx(pixels(4, 1, 28)), "not an IDX file of bytes in 3 dimensions"),
        (
            "train-images-idx3-ubyte",
            idx(pixels(4, 1, 28)[:, 0])[:-1],
            "says 4x28x28 bytes and has 3135; it is cut short",
        ),
        ("train-labels-idx1-ubyte", idx(np.zeros(3, np.uint8)), "has 3 labels, and train-images-idx3-ubyte has 40"),
        ("t10k-labels-idx1-ubyte", idx(np.full(40, 11, np.uint8)), "image 0 has label 11"),
    ],
)
def test_a_bad_idx_file_is_told(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    unpack(tmp_path / "mnist", mnist_files() | {name: data})
    with pytest.raises(UserError, match=f"{name}: .*{message}"):
        load_task("mnist path=mnist val=10")


def test_a_broken_gz_file_is_told(tmp_path: Path) -> None:
    files = mnist_files()
    del files["train-images-idx3-ubyte"]
    unpack(
        tmp_path / "mnist",
        files | {"train-images.idx3-ubyte.gz": zipped(mnist_files())["train-images-idx3-ubyte.gz"][:-9]},
    )
    with pytest.raises(UserError, match=r"idx3-ubyte.gz: cannot be read \(.*\); fetch it again"):
        load_task("mnist path=mnist val=10")


def test_what_is_nowhere_is_downloaded_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, told = tmp_path / "server" / PYTHON, []
    md5 = tar(server, cifar10_python())
    _expect(monkeypatch, 0, server.as_uri(), "0" * 32)
    with pytest.raises(UserError, match=rf"has the checksum \(MD5\) {md5}, and the published file has 0000"):
        load_task("cifar10 val=20")
    assert list((tmp_path / "cache" / "data" / "cifar10").iterdir()) == []
    _expect(monkeypatch, 0, server.as_uri(), md5)
    task = load_task("cifar10 val=20", lambda *step: told.append(step))
    assert (task.name, sizes(task)) == ("cifar10 val=20", (80, 20, 20))
    size = server.stat().st_size
    assert told[0] == (f"downloading {PYTHON}", size, size)
    assert told[-1] == ("decoding cifar10 test", 20, 20)


def test_without_a_network_the_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _expect(monkeypatch, 0, (tmp_path / "no server" / PYTHON).as_uri(), "abc")
    with pytest.raises(UserError) as caught:
        load_task("cifar10")
    first, second = caught.value.messages
    assert "found in none of data/cifar10, " in first
    assert f"put these files into {tmp_path}/cache/data/cifar10, or name the folder that has them" in first
    assert second.endswith(f"{PYTHON} (MD5 abc)")


def test_a_path_that_holds_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"path=.*empty: holds no files of cifar10; expected cifar-10-python.tar.gz"):
        load_task("cifar10 path=empty")
    with pytest.raises(UserError, match="there is no such folder"):
        load_task("cifar10 path=nowhere")
    with pytest.raises(UserError, match=r"name the folder as an option: cifar10 path=empty"):
        load_task("cifar10:empty")


def test_too_few_images_for_the_usual_val_split_are_told(tmp_path: Path) -> None:
    unpack(tmp_path / "cifar", cifar10_python())
    with pytest.raises(
        UserError, match="val would get 5000 of 100 images, and train needs two at least; give val=NUMBER"
    ):
        load_task("cifar10 path=cifar")


def test_a_download_that_was_interrupted_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, home = zipped(mnist_files()), tmp_path / "server"
    unpack(home, files)
    md5s = [hashlib.md5(data).hexdigest() for data in files.values()]
    monkeypatch.setattr(idx_files, "MNIST", idx_files._remotes(f"{home.as_uri()}/", *md5s))
    first, *_ = files
    unpack(tmp_path / "cache" / "data" / "mnist", {first: files[first]})
    assert sizes(load_task("mnist val=10")) == (30, 10, 40)


def test_a_part_of_a_data_set_is_told_where_nothing_can_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idx_files, "MNIST", idx_files._remotes((tmp_path / "none").as_uri() + "/", *"abcd"))
    first, *_ = files = mnist_files()
    unpack(tmp_path / "data" / "mnist", {first: files[first]})
    with pytest.raises(UserError) as caught:
        load_task("mnist")
    assert "data/mnist: lacks train-labels-idx1-ubyte" in caught.value.messages[0]
    assert "found in none of" in caught.value.messages[1]


def test_a_connection_that_ends_early_is_no_damaged_file(monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer(io.BytesIO):
        headers: ClassVar[dict[str, str]] = {"Content-Length": "1000"}

    _expect(monkeypatch, 0, f"https://nowhere.invalid/{PYTHON}", "abc")
    monkeypatch.setattr(fetch, "urlopen", lambda *_, **__: Answer(b"x" * 10))
    with pytest.raises(UserError, match=r"cannot be downloaded \(https://.* ended after 10 of 1000 bytes\)"):
        load_task("cifar10")
