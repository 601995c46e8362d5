"""Names, options, splits and the cache of tasks."""

import os
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from datafiles import sizes, write_images
from hypothesis import given, settings
from hypothesis import strategies as st
from made import made_task

import archspace.data.tasks as tasks
from archspace.data.normalisation import mean_and_deviation, sums_of
from archspace.data.options import FileOptions, NamedOptions, read_options, written
from archspace.data.split import stratified_order
from archspace.data.tasks import Progress, Split, Task, load_task, task_name
from archspace.errors import UserError


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHSPACE_CACHE", str(tmp_path / "cache"))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.integers(0, 5), st.data())
@settings(max_examples=60, deadline=None)
def test_every_stretch_has_each_class_in_proportion(labels: list[int], seed: int, data: st.DataObject) -> None:
    held = np.array(labels)
    order = stratified_order(held, seed)
    assert sorted(order) == list(range(len(held)))
    stop = data.draw(st.integers(0, len(held)))
    start = data.draw(st.integers(0, stop))
    got = np.bincount(held[order[start:stop]], minlength=5)
    wanted = np.bincount(held, minlength=5) * (stop - start) / len(held)
    assert np.abs(got - wanted).max() <= 5
    assert np.array_equal(order, stratified_order(held, seed))


def test_equal_classes_are_split_exactly() -> None:
    labels = np.arange(5000) % 10
    order = stratified_order(labels, 3)
    assert np.bincount(labels[order[:500]]).tolist() == [50] * 10
    assert not np.array_equal(order, stratified_order(labels, 4))


def test_options_are_read_and_written_in_one_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = read_options(NamedOptions, "cifar10", {"val": "0.10", "size": "16", "seed": "0", "path": "7"})
    assert (options.val, options.size, options.train) == (0.1, 16, None)
    assert written(options) == [f"path={tmp_path}/7", "size=16", "val=0.1"]
    assert read_options(NamedOptions, "cifar10", {"path": "007"}).path == f"{tmp_path}/007"
    with pytest.raises(UserError, match="expected a number of images"):
        read_options(NamedOptions, "cifar10", {"val": "nan"})


def test_mistakes_in_options_are_told_together() -> None:
    wrong = {"siz": "4", "train": "x", "val": "2.0", "test": "-1", "size": "3.5", "seed": "-1", "colour": "gray"}
    with pytest.raises(UserError) as caught:
        read_options(FileOptions, "folder", wrong)
    told = {message.removeprefix("task folder: option ") for message in caught.value.messages}
    assert told == {
        "siz: unknown key (did you mean 'size'?); known keys are colour, seed, size, test, train, val",
        "train: expected a whole number, found 'x'",
        "val: expected a number of images (5000) or a fraction below 1 (0.1), found 2.0",
        "test: expected a number of images (5000) or a fraction below 1 (0.1), found -1",
        "size: expected a whole number, found 3.5",
        "seed: must be at least 0, not -1",
        "colour: expected 'rgb' or 'grey', found 'gray' (did you mean 'grey'?)",
    }


def test_names_that_are_no_tasks() -> None:
    for name, message in {
        "": "no task is named; name one of cifar10, cifar100",
        "cifr10": r"unknown task 'cifr10' \(did you mean 'cifar10'\?\)",
        "digits size=16": "task digits takes no options",
        "cifar10 size": "task option 'size': expected KEY=VALUE",
        "cifar10 size=16 size=8": "task option size is given twice",
        "folder:'": "No closing quotation",
        "folder:my pictures": r"'pictures': expected KEY=VALUE, such as size=64, or 'folder:...' in quotes where",
        "folder:~nobody-at-all/x": "there is no such folder",
        f"folder:{'a' * 300}": "File name too long",
    }.items():
        with pytest.raises(UserError, match=message):
            load_task(name)
    assert task_name("folder:/a", ["size=16"]) == "folder:/a size=16"


def test_the_splits_of_a_seed_are_the_same_whatever_their_sizes(tmp_path: Path) -> None:
    write_images(tmp_path / "pets", {"cat": 50, "dog": 50})
    name = f"folder:{tmp_path}/pets"
    whole, part = load_task(name), load_task(f"{name} train=20")
    assert torch.equal(part.train.images, whole.train.images[:20])
    assert torch.equal(part.val.images, whole.val.images)
    assert not torch.equal(load_task(f"{name} seed=1").val.images, whole.val.images)


def test_the_cache_is_mapped_and_made_anew_where_damaged(tmp_path: Path) -> None:
    write_images(tmp_path / "pets", {"cat": 50, "dog": 50})
    name = f"folder:{tmp_path}/pets"
    first = load_task(name)
    (folder,) = (tmp_path / "cache" / "images").iterdir()
    assert {path.name for path in folder.iterdir()} == {"meta.json", "train.npy", "train-labels.npy", "train-sums.npy"}
    assert np.load(folder / "train.npy").shape == (100, 3, 8, 8)
    first.train.images.zero_()  # pages of this process alone
    assert load_task(name).train.images.max() > 0
    os.truncate(folder / "train.npy", 300)
    assert load_task(name).train.images.max() > 0
    (folder / "meta.json").unlink()
    assert load_task(name).fingerprint == first.fingerprint


def test_several_may_fill_the_cache_at_once(tmp_path: Path) -> None:
    write_images(tmp_path / "pets", {"cat": 50, "dog": 50})
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(load_task, [f"folder:{tmp_path}/pets"] * 4))
    assert len({task.fingerprint for task in loaded}) == 1
    assert [path.name.count(".part") for path in (tmp_path / "cache" / "images").iterdir()] == [0]


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "pets", {"cat": 50, "dog": 50})
    (tmp_path / "file").touch()
    monkeypatch.setenv("ARCHSPACE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"file/images: decoded images cannot be written there .*set ARCHSPACE_CACHE"):
        load_task(f"folder:{tmp_path}/pets")


def _install(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    point = EntryPoint(name, value, tasks.GROUP)
    monkeypatch.setattr(tasks, "entry_points", lambda group: [point] if group == tasks.GROUP else [])


def loader(argument: str, options: dict[str, str], progress: Progress) -> Task:
    """A third party's."""
    split = Split(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.tensor([0, 1]))
    progress(argument + str(options), 1, 1)
    return made_task((1, 4, 4), 2, split, split, split)


def no_task(*_: object) -> str:
    """What is not a loader."""
    return "task"


def test_installed_packages_add_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, "spirals", f"{__name__}:loader")
    told: list[str] = []
    assert load_task("spirals:a b=c", lambda what, *_: told.append(what)).name == "made"
    assert told == ["a{'b': 'c'}"]
    assert "spirals" in tasks.known_tasks()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("digits", "x:y", "archspace.tasks: digits = x:y: there is a task 'digits' already; give yours another name"),
        ("spirals", "nowhere:y", "archspace.tasks: spirals = nowhere:y cannot be loaded: ModuleNotFoundError"),
        ("spirals", "os:sep", "archspace.tasks: spirals = os:sep is not a function; see docs/add-a-task.md"),
        ("spirals", f"{__name__}:no_task", "gave no Task; see docs/add-a-task.md"),
    ],
)
def test_bad_entry_points_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    _install(monkeypatch, name, value)
    with pytest.raises(UserError, match=message):
        load_task("spirals")


MEANS = (125.3, 123.0, 113.9)
"""Of CIFAR-10's train images, as usually given: 0.4914, 0.4822 and 0.4465 of 255."""


def _real_cifar10() -> Path:
    folder = Path(os.environ.get("ARCHSPACE_DATA", "nowhere"), "data", "cifar10")
    if not folder.is_dir():
        pytest.skip("ARCHSPACE_DATA names no folder that has data/cifar10")
    return folder


def test_a_tenth_of_cifar10(tmp_path: Path) -> None:
    for path in _real_cifar10().glob("*.parquet"):
        rows = pq.read_table(path)
        (tmp_path / "tenth").mkdir(exist_ok=True)
        pq.write_table(rows.slice(0, len(rows) // 10), tmp_path / "tenth" / path.name)
    task = load_task(f"cifar10 path={tmp_path}/tenth val=500")
    assert (task.input, task.classes, task.class_names[3], sizes(task)) == ((3, 32, 32), 10, "cat", (4500, 500, 1000))
    assert min(task.val.labels.bincount()) >= 40
    assert task.mean == pytest.approx(MEANS, abs=2)


@pytest.mark.slow
def test_all_of_cifar10() -> None:
    _real_cifar10()
    task = load_task("cifar10 size=16")
    assert (task.input, task.classes, sizes(task)) == ((3, 16, 16), 10, (45000, 5000, 10000))
    for split, each in ((task.train, 4500), (task.val, 500), (task.test, 1000)):
        assert split.labels.bincount().tolist() == [each] * 10
    assert task.mean == pytest.approx(MEANS, abs=0.3)


def test_what_normalises_does_not_hang_on_the_number_of_threads() -> None:
    images = np.random.default_rng(0).integers(256, size=(3000, 2, 16, 16), dtype=np.uint8)
    threads, found = torch.get_num_threads(), []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            told = [(task.mean, task.std) for task in map(load_task, ("digits", "hierarchy train=300 val=9 test=9"))]
            found.append([mean_and_deviation(sums_of(images), 256), *told])
    finally:
        torch.set_num_threads(threads)
    assert found[0] == found[1] == found[2]
    for ours, theirs in zip(found[0][0], (images.mean((0, 2, 3)), images.std((0, 2, 3))), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-12)
