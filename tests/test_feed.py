"""Batches on their way to a network."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made import made_task
from torch import Tensor

from archspace.data.tasks import Split, Task
from archspace.training.augment import chance, cropped
from archspace.training.feed import AHEAD, SHARE, Feed, feed
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe

CPU = Mode("cpu", bf16=False, channels_last=False)
COUNT, SHAPE = 50, (3, 6, 5)
SIZE = COUNT * 3 * 6 * 5


def drawn() -> Split:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (COUNT, *SHAPE), generator=generator, dtype=torch.uint8)
    images[:, 1] //= 3  # channels of unlike means
    return Split(images, torch.randint(10, (COUNT,), generator=generator))


def mapped(folder: Path) -> Split:
    """The same images in a file that is mapped."""
    split, file = drawn(), folder / "images"
    file.write_bytes(split.images.numpy().tobytes())
    images = torch.from_file(str(file), shared=False, size=SIZE, dtype=torch.uint8).view(COUNT, *SHAPE)
    return Split(images, split.labels)


def task_of(split: Split) -> Task:
    pixels = split.images.float()
    mean, std = pixels.mean((0, 2, 3)).tolist(), pixels.std((0, 2, 3)).tolist()
    return replace(made_task(SHAPE, 10, split, split, split), mean=tuple(mean), std=tuple(std))


def feeds(split: Split) -> tuple[Feed, Feed]:
    """One whose images fit into memory, one whose images do not."""
    task = task_of(split)
    return feed(split, task, CPU, free=100 * SIZE), feed(split, task, CPU, free=0)


def places_of(size: int) -> list[Tensor]:
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(1))
    return list(torch.split(order, size))


def assert_same(one: Iterator[tuple[Tensor, Tensor]], other: Iterator[tuple[Tensor, Tensor]]) -> None:
    pairs = list(zip(one, other, strict=True))
    assert pairs
    for first, second in pairs:
        assert torch.equal(first[0], second[0])
        assert torch.equal(first[1], second[1])


def test_images_are_resident_where_they_take_a_share_of_free_memory() -> None:
    split, least = drawn(), round(SIZE / SHARE)
    assert feed(split, task_of(split), CPU, free=least).resident
    assert not feed(split, task_of(split), CPU, free=least - 1).resident


@pytest.mark.parametrize("size", [1, 7, 25, COUNT, 2 * COUNT])
def test_batches_are_the_same_wherever_the_images_lie(size: int, tmp_path: Path) -> None:
    resident, from_memory = feeds(drawn())
    _, from_file = feeds(mapped(tmp_path))
    assert (resident.resident, from_memory.resident, from_file.resident) == (True, False, False)
    places = places_of(size)
    wanted = [(drawn().images[some], drawn().labels[some]) for some in places]
    wanted_in_order = list(zip(torch.split(drawn().images, size), torch.split(drawn().labels, size), strict=True))
    for each in (resident, from_memory, from_file):
        assert_same(each.batches(places), iter(wanted))
        assert_same(each.in_order(size), iter(wanted_in_order))


def test_no_places_give_no_batches() -> None:
    assert [list(each.batches([])) for each in feeds(drawn())] == [[], []]


def test_in_order_covers_all_once() -> None:
    split = replace(drawn(), labels=torch.arange(COUNT))
    for each in feeds(split):
        labels = [labels for _, labels in each.in_order(16)]
        assert [len(some) for some in labels] == [16, 16, 16, 2]
        assert torch.cat(labels).tolist() == list(range(COUNT)) == list(range(len(each)))


@pytest.mark.parametrize("last", [False, True])
def test_normalised_images_have_mean_0_and_variance_1_in_each_channel(last: bool) -> None:
    split = drawn()
    each = feed(split, task_of(split), replace(CPU, channels_last=last))
    pixels = each.normalised(split.images)
    assert pixels.dtype == torch.float32
    torch.testing.assert_close(pixels.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(pixels.std((0, 2, 3)), torch.ones(3), rtol=0, atol=1e-5)
    assert pixels.is_contiguous(memory_format=torch.channels_last) == last
    assert pixels.is_contiguous() != last


class Watched(Feed):
    """A feed that keeps what is fetched, and fails at the batch that asks for a missing place."""

    def _fetched(self, places: Tensor) -> tuple[Tensor, Tensor]:
        fetched.append(int(places[0]))
        if int(places[0]) < 0:
            raise OSError("the file is gone")
        return super()._fetched(places)


fetched: list[int] = []


@pytest.fixture
def watched() -> Feed:
    fetched.clear()
    _, each = feeds(drawn())
    return Watched(each.images, each.labels, each.mean, each.std, each.mode, each.resident)


def test_batches_are_fetched_ahead_and_not_all_at_once(watched: Feed) -> None:
    coming = watched.batches([torch.tensor([place]) for place in range(20)])
    for taken in range(1, 21):
        next(coming)
        assert taken <= len(fetched) <= taken + AHEAD
    assert fetched == list(range(20))


def test_what_fails_while_fetching_is_raised_at_its_batch(watched: Feed) -> None:
    coming = watched.batches([torch.tensor([place]) for place in (0, 1, -1, 3)])
    assert [int(labels) for _, labels in (next(coming), next(coming))] == drawn().labels[:2].tolist()
    with pytest.raises(OSError, match="the file is gone"):
        next(coming)


def test_fetching_ends_where_no_more_is_asked_for(watched: Feed) -> None:
    coming = watched.batches([torch.tensor([place]) for place in range(20)])
    next(coming)
    coming.close()  # type: ignore[attr-defined]
    assert len(fetched) <= 1 + AHEAD


@pytest.mark.parametrize("last", [False, True])
def test_grey_images_have_the_strides_of_the_mode_whatever_they_come_as(last: bool) -> None:
    one = Split(torch.randint(256, (4, 1, 6, 5), dtype=torch.uint8), torch.zeros(4, dtype=torch.long))
    data = feed(one, made_task((1, 6, 5), 10, one, one, one), replace(CPU, channels_last=last))
    for images in (one.images, cropped(one.images, Recipe(crop=1), chance(0, "cpu"))):
        assert data.normalised(images).stride() == ((30, 1, 5, 1) if last else (30, 30, 5, 1))
