"""Images of one's own: folders and parquet files, of all sizes and modes, some of them broken."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from datafiles import pixels, png, sizes, write_images, write_parquet
from PIL import Image

from archspace.data.decode import _write
from archspace.data.images import Look, decode_arrays, decode_bytes
from archspace.data.tasks import load_task
from archspace.errors import UserError


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def _saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)  # type: ignore[arg-type]
    return file.getvalue()


def _one(blob: bytes, side: int = 2, colour: str = "rgb") -> list[int]:
    """The first pixel of an image, all channels; a broken one fails."""
    decoded = decode_bytes([blob], Look(side, colour))  # type: ignore[arg-type]
    assert decoded.broken == {}
    return decoded.images[0, :, 0, 0].tolist()


GREY16 = np.full((2, 2), 257 * 100, np.uint16)


@pytest.mark.parametrize(
    ("image", "pixel"),
    [
        (Image.new("L", (2, 2), 90), [90, 90, 90]),
        (Image.new("1", (2, 2), 1), [255, 255, 255]),
        (Image.new("RGBA", (2, 2), (200, 0, 0, 0)), [255, 255, 255]),
        (Image.new("RGBA", (2, 2), (200, 0, 0, 255)), [200, 0, 0]),
        (Image.new("LA", (2, 2), (0, 51)), [204, 204, 204]),
        (Image.new("RGB", (2, 2), (1, 2, 3)).convert("P", palette=Image.Palette.ADAPTIVE), [1, 2, 3]),
        (Image.fromarray(GREY16), [100, 100, 100]),
    ],
)
def test_every_mode_becomes_rgb(image: Image.Image, pixel: list[int]) -> None:
    assert _one(_saved(image)) == pixel


def test_more_modes() -> None:
    assert _one(_saved(Image.new("CMYK", (2, 2)), "TIFF")) == [255, 255, 255]
    assert _one(_saved(Image.fromarray(GREY16.astype(np.int32)), "TIFF")) == [100, 100, 100]
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([9, 9, 9, 8, 8, 8])
    assert _one(_saved(palette, transparency=0)) == [255, 255, 255]
    assert _one(_saved(Image.new("RGB", (2, 2), (255, 0, 0))), colour="grey") == [76]
    floats = decode_bytes([_saved(Image.new("F", (2, 2)), "TIFF")], Look(2))
    assert "floating-point" in floats.broken[0]


def test_the_middle_is_taken_and_photographs_are_upright() -> None:
    wide = np.zeros((4, 12, 3), np.uint8)
    wide[:, 4:8] = 200
    assert decode_bytes([_saved(Image.fromarray(wide))], Look(4)).images.min() == 200
    assert decode_bytes([_saved(Image.fromarray(wide))], Look(2)).images.min() == 200
    half = np.zeros((8, 8, 3), np.uint8)
    half[:4] = 255  # bright above; held upside down by orientation 3
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = decode_bytes([_saved(Image.fromarray(half), exif=exif)], Look(8)).images[0, 0]
    assert turned[0].max() == 0
    assert turned[-1].min() == 255


def test_whole_blocks_are_averaged() -> None:
    images = pixels(3, 3, 8)
    means = images.reshape(3, 3, 4, 2, 4, 2).mean(axis=(3, 5))
    decoded = decode_arrays(images, Look(4))
    assert np.abs(decoded.images - means).max() <= 0.5
    again = decode_bytes([png(image) for image in images], Look(4))
    assert np.array_equal(again.images, decoded.images)
    assert decode_arrays(images[:, :1], Look(12, "grey")).images.shape == (3, 1, 12, 12)


def test_a_folder_of_classes_is_split_in_proportion(tmp_path: Path) -> None:
    write_images(tmp_path / "pets", {"cat": 40, "dog": 20})
    task = load_task("folder:pets")
    assert task.name == f"folder:{tmp_path}/pets"
    assert (task.input, task.class_names, sizes(task)) == ((3, 8, 8), ("cat", "dog"), (42, 6, 12))
    assert [split.labels.bincount().tolist() for split in (task.train, task.val, task.test)] == [
        [28, 14],
        [4, 2],
        [8, 4],
    ]
    assert task.splits == "42 train, 6 val, 12 test images; val and test cut from train, stratified with seed 0"
    images = torch.cat([split.images for split in (task.train, task.val, task.test)])
    assert len({image.numpy().tobytes() for image in images}) == 60
    smaller = load_task("folder:pets size=4 train=21 val=0.2 test=3 seed=1 colour=grey")
    assert (smaller.input, sizes(smaller)) == ((1, 4, 4), (21, 12, 3))
    assert smaller.name == f"folder:{tmp_path}/pets colour=grey seed=1 size=4 test=3 train=21 val=0.2"
    assert "of 45 train images 21 are kept, stratified" in smaller.splits
    pictures = task.train.images.double()
    assert task.mean == pytest.approx(pictures.mean((0, 2, 3)).tolist())
    assert task.std == pytest.approx(pictures.std((0, 2, 3), correction=0).tolist())


def test_folders_of_splits(tmp_path: Path) -> None:
    for split, number in (("train", 20), ("valid", 5), ("test", 3)):
        write_images(tmp_path / "a b" / split, {"x": number, "y": number})
    task = load_task("'folder:a b'")
    assert (sizes(task), task.splits) == ((40, 10, 6), "40 train, 10 val, 6 test images; val and test as given")
    assert sizes(load_task(task.name)) == (40, 10, 6)
    with pytest.raises(UserError, match="it has val images of its own; leave val=4 out"):
        load_task("'folder:a b' val=4")
    write_images(tmp_path / "a b" / "test", {"z": 1})
    with pytest.raises(UserError, match=r"test/z: train has no class z; its classes are x, y"):
        load_task("'folder:a b'")


def test_classes_may_be_called_train_and_test(tmp_path: Path) -> None:
    write_images(tmp_path / "vehicles", {"train": 10, "car": 10, "test": 10})
    assert load_task("folder:vehicles").class_names == ("car", "test", "train")


def test_a_class_that_test_has_not_is_told(tmp_path: Path) -> None:
    write_images(tmp_path / "d" / "train", {"x": 10, "y": 10})
    write_images(tmp_path / "d" / "test", {"x": 3})
    assert "; test has no image of class y" in load_task("folder:d").splits


def test_folders_that_are_no_data_set(tmp_path: Path) -> None:
    write_images(tmp_path / "one", {"cat": 3})
    with pytest.raises(UserError, match=r"one: there is one class, cat; put the images of each class into a folder"):
        load_task("folder:one")
    (tmp_path / "one" / "dog").mkdir()
    (tmp_path / "one" / "dog" / "notes.txt").write_text("none")
    with pytest.raises(UserError, match=r"one/dog: there is no image in it; add images, or remove the folder"):
        load_task("folder:one")
    write_images(tmp_path / "none", {".": 3})
    with pytest.raises(UserError, match="none: there are no folders of classes; put the images"):
        load_task("folder:none")
    with pytest.raises(UserError, match="there is no such folder; check the name"):
        load_task("folder:nowhere")
    write_images(tmp_path / "few", {"cat": 1, "dog": 1})
    with pytest.raises(UserError, match="test would get 0 of 2 images"):
        load_task("folder:few")
    write_images(tmp_path / "rare", {"cat": 50, "dog": 1})
    assert "val has no image of class dog; test has no image of class dog" in load_task("folder:rare").splits
    with pytest.raises(UserError, match="no image of class dog is left for train; keep more images in train"):
        load_task("folder:rare train=2")
    with pytest.raises(UserError, match="train=50 is more than the 36 images that are left"):
        load_task("folder:rare train=50")


def test_broken_images_are_listed_and_left_out(tmp_path: Path) -> None:
    write_images(tmp_path / "pets", {"cat": 20, "dog": 20})
    cat = tmp_path / "pets" / "cat"
    (cat / "000.png").write_bytes((cat / "000.png").read_bytes()[:-60])
    (cat / "text.jpg").write_text("not an image")
    (cat / "empty.png").touch()
    (cat / "gone.png").symlink_to("nowhere")
    (cat / "script.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n")
    os.mkfifo(cat / "pipe.png")  # waiting for it would take for ever
    (cat / "read me").write_text("hello")
    (cat / ".hidden.png").touch()
    task = load_task("folder:pets size=8")
    assert sum(sizes(task)) == 39
    assert task.splits.count("files that are no images by their names are passed over") == 1
    assert "; 5 of 44 images could not be read: " in task.splits
    listed = Path(task.splits.rpartition("(reasons in ")[2].rstrip(")")).read_text().splitlines()
    assert listed[-1] == "cat/text.jpg: not an image that Pillow knows"
    assert [line.partition(":")[0] for line in listed[:2]] == ["cat/000.png", "cat/empty.png"]
    images = {image.numpy().tobytes() for split in (task.train, task.val, task.test) for image in split.images}
    assert len(images) == 39
    assert decode_bytes([(tmp_path / "pets/dog/003.png").read_bytes()], Look(8)).images[0].tobytes() in images


def test_a_class_of_broken_images_is_refused(tmp_path: Path) -> None:
    write_images(tmp_path / "pets", {"cat": 20, "dog": 0})
    (tmp_path / "pets" / "dog" / "a.png").touch()
    with pytest.raises(UserError, match="no image of class dog can be read for training"):
        load_task("folder:pets")


def test_decompression_bombs_are_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "pets", {"cat": 10, "dog": 10})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for name, side in (("a", 12), ("b", 40)):  # a little too large, and far too large
        (tmp_path / "pets" / "dog" / f"{name}.png").write_bytes(png(pixels(1, 3, side)[0]))
    task = load_task("folder:pets size=8")
    assert "2 of 22 images could not be read: dog/a.png, dog/b.png" in task.splits


def test_sizes_that_differ_become_64(tmp_path: Path) -> None:
    write_images(tmp_path / "pets", {"cat": 10}, side=20)
    write_images(tmp_path / "pets", {"dog": 10}, side=30)
    assert load_task("folder:pets").input == (3, 64, 64)


def test_a_changed_folder_is_noticed(tmp_path: Path) -> None:
    write_images(tmp_path / "pets", {"cat": 10, "dog": 10})
    told: list[tuple[str, int, int]] = []
    first = load_task("folder:pets", lambda *step: told.append(step))
    assert told[-1] == ("decoding folder train", 20, 20)
    told.clear()
    assert load_task("folder:pets", lambda *step: told.append(step)).fingerprint == first.fingerprint
    assert told == []  # mapped from the cache
    os.utime(tmp_path / "pets" / "cat" / "000.png", (1, 1))
    assert load_task("folder:pets", lambda *step: told.append(step)).fingerprint == first.fingerprint
    assert told  # read again, and found to be the same
    write_images(tmp_path / "pets", {"cat": 1}, seed=9)
    changed = load_task("folder:pets")
    assert changed.fingerprint != first.fingerprint
    (tmp_path / "pets" / "cat" / "000.png").unlink()
    assert load_task("folder:pets").fingerprint not in (first.fingerprint, changed.fingerprint)


def test_parquet_files_of_one_split_are_cut(tmp_path: Path) -> None:
    blobs = [png(image) for image in pixels(30, 3, 10)]
    write_parquet(tmp_path / "set" / "a.parquet", blobs[:15], ["no", "yes", "yes"] * 5)
    write_parquet(tmp_path / "set" / "b.parquet", [*blobs[15:29], None], ["no", "yes", "yes"] * 5)
    task = load_task("parquet:set")
    assert (task.name, task.input) == (f"parquet:{tmp_path}/set", (3, 10, 10))
    assert (task.class_names, sizes(task)) == (("no", "yes"), (20, 3, 6))
    assert "1 of 30 images could not be read: train image 29" in task.splits
    assert sizes(load_task("parquet:set/a.parquet test=3 val=2")) == (10, 2, 3)


def test_parquet_files_of_splits_and_named_classes(tmp_path: Path) -> None:
    blobs = [png(image) for image in pixels(20, 3, 10)]
    for split in ("train", "validation", "test"):
        write_parquet(tmp_path / "set" / f"{split}-00000-of-00001.parquet", blobs, [0, 1] * 10)
    path = tmp_path / "set" / "train-00000-of-00001.parquet"
    names = {"info": {"features": {"label": {"names": ["left", "right"], "_type": "ClassLabel"}}}}
    pq.write_table(pq.read_table(path).replace_schema_metadata({"huggingface": json.dumps(names)}), path)
    task = load_task("parquet:set")
    assert (task.class_names, sizes(task)) == (("left", "right"), (20, 20, 20))
    write_parquet(tmp_path / "set" / "test-00000-of-00001.parquet", blobs, [0, 2] * 10)
    with pytest.raises(UserError, match="image 1 has label 2, and the 2 classes are 0 to 1"):
        load_task("parquet:set")


def test_parquet_files_are_for_what_folders_of_such_names_are_for(tmp_path: Path) -> None:
    blobs = [png(image) for image in pixels(20, 3, 10)]
    for name in ("Training.parquet", "testing_0.parquet"):
        write_parquet(tmp_path / "set" / name, blobs, [0, 1] * 10)
    assert sizes(load_task("parquet:set")) == (18, 2, 20)


@pytest.mark.parametrize(("name", "word"), [("mnist_test.parquet", "test"), ("my.validation-0.parquet", "validation")])
def test_files_that_may_be_no_train_images_are_never_taken_for_them(tmp_path: Path, name: str, word: str) -> None:
    for file in ("mnist_train.parquet", name):
        write_parquet(tmp_path / "set" / file, [png(image) for image in pixels(20, 3, 10)], [0, 1] * 10)
    with pytest.raises(UserError, match=f"{name}: is it for .*[?] Then let its name begin with {word}"):
        load_task("parquet:set")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 2] * 5, "no image of class 1 can be read for training"),
        ([0, -1] * 5, "image 1 has label -1"),
        ([0, None] * 5, "5 labels are missing"),
        ([0.5, 1.5] * 5, "labels are of type float64"),
        ([0] * 10, "there is one class, 0; a task needs two"),
    ],
)
def test_bad_labels_in_parquet_files(tmp_path: Path, labels: list[object], message: str) -> None:
    write_parquet(tmp_path / "a.parquet", [png(image) for image in pixels(10, 3, 8)], labels)
    with pytest.raises(UserError, match=message):
        load_task("parquet:a.parquet")


def test_bad_parquet_files(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(UserError, match=r"bad.parquet: cannot be read as parquet .*; fetch it again"):
        load_task("parquet:bad.parquet")
    pq.write_table(pa.table({"picture": [1], "label": [1]}), tmp_path / "odd.parquet")
    with pytest.raises(UserError, match=r"odd.parquet: no column of images \(img or image\) among picture, label"):
        load_task("parquet:odd.parquet")
    with pytest.raises(UserError, match="there is no such folder"):
        load_task("parquet:nowhere")
    write_parquet(tmp_path / "set" / "train.parquet", [], [])
    write_parquet(tmp_path / "set" / "other.parquet", [], [])
    with pytest.raises(UserError, match=r"other.parquet: is neither train, validation nor test by its name"):
        load_task("parquet:set")
    (tmp_path / "set" / "other.parquet").unlink()
    with pytest.raises(UserError, match=r"train.parquet: holds no rows"):
        load_task("parquet:set")
    write_parquet(tmp_path / "set" / "more" / "train.parquet", [], [])
    with pytest.raises(UserError, match="parquet files lie in several folders"):
        load_task("parquet:set")


def test_data_sets_that_look_alike_from_outside_are_kept_apart(tmp_path: Path) -> None:
    """The same names, sizes and times of writing, as archives made to be reproducible have them."""
    for seed, name in enumerate(("clean", "noisy")):
        for offset, kind in enumerate(("cat", "dog")):
            (tmp_path / name / kind).mkdir(parents=True)
            for index, image in enumerate(pixels(20, 3, 8, 2 * seed + offset)):
                path = tmp_path / name / kind / f"{index:03}.bmp"
                Image.fromarray(image.transpose(1, 2, 0)).save(path)
                os.utime(path, (0, 0))
    clean, noisy = load_task("folder:clean"), load_task("folder:noisy")
    assert clean.fingerprint != noisy.fingerprint
    assert not torch.equal(clean.train.images, noisy.train.images)
    for path in (tmp_path / "noisy").rglob("*.bmp"):
        other = tmp_path / "clean" / path.relative_to(tmp_path / "noisy")
        other.write_bytes(path.read_bytes())
        os.utime(other, (0, 0))
    assert load_task("folder:clean").fingerprint == noisy.fingerprint


@pytest.mark.parametrize("names", [("Train", "Test"), ("training", "testing"), ("TRAIN", "Dev")])
def test_folders_of_splits_in_other_spellings(tmp_path: Path, names: tuple[str, str]) -> None:
    for name, number in zip(names, (20, 5), strict=True):
        write_images(tmp_path / "set" / name, {"x": number, "y": number})
    task = load_task("folder:set")
    assert task.class_names == ("x", "y")
    assert sum(sizes(task)) == 50


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("train", "test", "unlabeled"), "unlabeled: is neither train, val nor test by its name"),
        (("train", "val", "valid"), "valid: is val by its name, and so is val beside it; keep one"),
        (("test", "val"), "has test and val, and no folder train in it"),
    ],
)
def test_splits_that_are_not_whole_are_never_taken_for_classes(
    tmp_path: Path, names: tuple[str, ...], message: str
) -> None:
    for name in names:
        write_images(tmp_path / "set" / name, {"x": 10, "y": 10})
    with pytest.raises(UserError, match=message):
        load_task("folder:set")


def test_a_given_split_without_an_image_is_refused(tmp_path: Path) -> None:
    write_images(tmp_path / "set" / "train", {"x": 10, "y": 10})
    write_images(tmp_path / "set", {"test": 3})  # no folders of classes in it
    with pytest.raises(UserError, match=r"set/test: there are no folders of classes with images; put the images"):
        load_task("folder:set")
    for path in (tmp_path / "set" / "test").iterdir():
        path.unlink()
    (tmp_path / "set" / "test" / "x").mkdir()
    (tmp_path / "set" / "test" / "x" / "a.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="none of its test images can be read; add some, or remove all"):
        load_task("folder:set")


def test_what_may_pass_is_no_broken_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "pets", {"cat": 20, "dog": 20})
    read = Path.read_bytes

    def too_many(path: Path) -> bytes:
        if path.name == "003.png":
            raise OSError(24, "Too many open files")
        return read(path)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", too_many)
        with pytest.raises(UserError, match=r"cat/003.png: cannot be read \(Too many open files\); try again"):
            load_task("folder:pets")
    assert sum(sizes(load_task("folder:pets"))) == 40


def test_odd_tags_break_no_photograph() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x0128] = 6, "inch"  # upright by a quarter turn; a unit that should be a number
    decoded = decode_bytes([_saved(Image.new("RGB", (4, 4), (9, 9, 9)), "JPEG", exif=exif)], Look(4))
    assert decoded.broken == {}


def test_room_for_a_part_of_an_image_is_no_room() -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            return super().write(bytes(data)[:10])  # type: ignore[call-overload,no-any-return]

    with pytest.raises(OSError, match="No space left"):
        _write(Full(), np.zeros((1, 8, 8), np.uint8))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (["a", "b"] * 5, [0, 1] * 5, "labels are whole numbers, and those of the first file are texts; convert one"),
        ([0, 1] * 5, ["a", "b"] * 5, "labels are texts, and those of the first file are whole numbers"),
        ([[0, 1], [1]] * 5, [[0]] * 10, "labels are of type list<.*>; a whole number or a text an image"),
        ([0, 10**9] * 5, [0, 1] * 5, "has label 1000000000 and 10 images; labels count classes from 0"),
    ],
)
def test_labels_of_files_must_be_of_one_kind(
    tmp_path: Path, first: list[object], second: list[object], message: str
) -> None:
    blobs = [png(image) for image in pixels(10, 3, 8)]
    write_parquet(tmp_path / "set" / "train.parquet", blobs, first)
    write_parquet(tmp_path / "set" / "test.parquet", blobs, second)
    with pytest.raises(UserError, match=message):
        load_task("parquet:set")


def test_columns_of_files_must_be_the_same(tmp_path: Path) -> None:
    blobs = [png(image) for image in pixels(10, 3, 8)]
    write_parquet(tmp_path / "set" / "train.parquet", blobs, [0, 1] * 5)
    write_parquet(tmp_path / "set" / "test.parquet", blobs, [0, 1] * 5, "img")
    with pytest.raises(UserError, match=r"test.parquet: its columns are not image and label; rename them"):
        load_task("parquet:set")
    table = pq.read_table(tmp_path / "set" / "train.parquet")
    twice = pa.Table.from_arrays([*table.columns, table.column("label")], ["image", "label", "label"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(UserError, match="two columns are called label; rename one"):
        load_task("parquet:twice.parquet")
