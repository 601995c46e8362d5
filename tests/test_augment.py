"""What is done to images."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from archspace.training.augment import Chance, Mixed, chance, cropped, cut_out, mixed
from archspace.training.recipe import Recipe

PLAIN = Recipe()


def recipe(**changes: float) -> Recipe:
    return PLAIN.model_copy(update=changes)


def rng(seed: int = 0) -> Chance:
    return chance(seed, "cpu")


def pictures(count: int = 40, channels: int = 3, height: int = 9, width: int = 7) -> Tensor:
    return torch.randint(256, (count, channels, height, width), generator=torch.Generator().manual_seed(9)).byte()


def moves(image: Tensor, moved: Tensor, pad: int) -> list[tuple[int, int, bool]]:
    """Every row, column and flip of the padded image at which it is `moved`."""
    padded = F.pad(image[None].float(), (pad,) * 4, mode="reflect")[0].byte()
    height, width = image.shape[1:]
    steps = range(2 * pad + 1)
    windows = [
        (row, column, padded[:, row : row + height, column : column + width]) for row in steps for column in steps
    ]
    return [
        (row, column, flipped)
        for row, column, window in windows
        for flipped in (False, True)
        if torch.equal(window.flip(2) if flipped else window, moved)
    ]


def test_without_crop_and_flip_images_are_as_they_were() -> None:
    images = pictures()
    assert cropped(images, PLAIN, rng()) is images


@pytest.mark.parametrize(("crop", "flip"), [(2, False), (0, True), (3, True)])
def test_every_image_is_a_shift_or_flip_of_its_own(crop: int, flip: bool) -> None:
    images = pictures()
    result = cropped(images, recipe(crop=crop, flip=flip), rng())
    assert (result.dtype, result.shape) == (torch.uint8, images.shape)
    found = [moves(image, moved, crop) for image, moved in zip(images, result, strict=True)]
    assert all(found)
    certain = [places[0] for places in found if len(places) == 1]  # a window may be its own mirror image
    assert {flipped for _, _, flipped in certain} == {False, flip}
    assert len({(row, column) for row, column, _ in certain}) > 1 or not crop


def test_images_move_by_all_of_their_width_but_a_pixel() -> None:
    images = pictures(width=7)
    result = cropped(images, recipe(crop=6), rng())
    assert all(moves(image, moved, 6) for image, moved in zip(images, result, strict=True))


def test_all_shifts_and_flips_are_equally_likely() -> None:
    image, pad, each = pictures(1), 2, 200
    count = (2 * pad + 1) ** 2 * 2 * each
    result = cropped(image.expand(count, -1, -1, -1), recipe(crop=pad, flip=True), rng())
    kinds, counts = torch.unique(result.flatten(1), dim=0, return_counts=True)
    assert len(kinds) == 50
    squares = float(((counts - each) ** 2 / each).sum())
    assert squares < 100  # chi-squared of 49 degrees of freedom: 85.4 is exceeded once in a thousand


def test_cropped_images_lie_in_channels_last_order() -> None:
    result = cropped(pictures(), recipe(crop=1), rng())
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert not result.is_contiguous()


def test_a_square_of_the_mean_is_cut_out_and_clipped_at_the_edges() -> None:
    images, side = torch.ones(4000, 2, 9, 7), 4
    result = cut_out(images, recipe(cutout=side), rng())
    assert int((images == 0).sum()) == 0
    holes = result == 0
    assert torch.equal(holes[:, 0], holes[:, 1])
    assert torch.equal(result[~holes], images[~holes])
    sizes = set()
    for hole in holes[:, 0]:
        rows, columns = hole.any(1), hole.any(0)
        assert torch.equal(hole, rows[:, None] & columns[None])
        places = [torch.nonzero(line).flatten() for line in (rows, columns)]
        assert all(len(place) == int(place[-1] - place[0]) + 1 for place in places)
        sizes.add((len(places[0]), len(places[1])))
    assert sizes == {(height, width) for height in (2, 3, 4) for width in (2, 3, 4)}


def test_each_pixel_is_the_middle_of_a_hole_equally_often() -> None:
    images = torch.ones(63 * 200, 1, 9, 7)
    counts = (cut_out(images, recipe(cutout=1), rng()) == 0).sum((0, 1))
    assert int(counts.sum()) == len(images)
    assert float(((counts - 200) ** 2 / 200).sum()) < 120  # chi-squared of 62 degrees of freedom: 102 in a thousand


def test_without_cutout_images_are_as_they_were() -> None:
    images = torch.ones(3, 1, 4, 4)
    assert cut_out(images, PLAIN, rng()) is images


def batch(count: int = 30) -> tuple[Tensor, Tensor]:
    """Images of which each is filled with its number, which is its label."""
    labels = torch.arange(count)
    return labels.float()[:, None, None, None].expand(count, 2, 8, 6).clone(), labels


def test_without_mixup_and_cutmix_a_batch_is_as_it_was() -> None:
    images, labels = batch()
    result = mixed(images, labels, PLAIN, rng())
    assert result.images is images
    assert result.labels is result.others is labels
    assert result.share == 1.0


def test_mixup_is_a_sum_of_two_images_in_the_shares_that_their_labels_get() -> None:
    images, labels = batch()
    shares = []
    for seed in range(20):
        result = mixed(images, labels, recipe(mixup=0.5), rng(seed))
        assert torch.equal(result.labels, labels)
        assert torch.equal(result.others.sort().values, labels)
        assert not torch.equal(result.others, labels)
        wanted = result.share * result.labels + (1 - result.share) * result.others
        torch.testing.assert_close(result.images, wanted[:, None, None, None].expand_as(images))
        shares.append(result.share)
    assert len(set(shares)) == 20


def test_cutmix_is_a_box_of_another_image_whose_area_its_label_gets() -> None:
    images, labels = batch()
    shares = []
    for seed in range(40):
        result = mixed(images, labels, recipe(cutmix=1.0), rng(seed))
        of_others = result.images == result.others[:, None, None, None]
        of_its_own = result.images == labels[:, None, None, None]
        assert bool((of_others | of_its_own).all())
        box = of_others[result.others != labels][:, 0]
        assert torch.equal(box, box[:1].expand_as(box))  # the same of all images
        assert torch.equal(box[0], box[0].any(1)[:, None] & box[0].any(0)[None])
        assert result.share == pytest.approx(1 - float(box[0].float().mean()))
        shares.append(result.share)
    assert torch.equal(images, batch()[0])
    assert min(shares) < 0.3
    assert max(shares) > 0.9


@pytest.mark.parametrize("changes", [{"mixup": 0.2}, {"mixup": 1.0}, {"mixup": 4.0}], ids=str)
def test_shares_of_mixup_are_of_the_beta_distribution(changes: dict[str, float]) -> None:
    images, labels = batch(2)
    source = rng()
    shares = np.array([mixed(images, labels, recipe(**changes), source).share for _ in range(4000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(1 / (4 * (2 * changes["mixup"] + 1)), rel=0.1)


def test_of_mixup_and_cutmix_each_batch_takes_one() -> None:
    images, labels = batch()

    def is_mixup(result: Mixed) -> bool:
        return bool((result.images == result.images[:, :, :1, :1]).all()) and result.share < 1

    both = recipe(mixup=1.0, cutmix=1.0)
    counted = sum(is_mixup(mixed(images, labels, both, rng(seed))) for seed in range(200))
    assert 70 < counted < 130


@pytest.mark.parametrize(
    "changes", [{"crop": 2}, {"flip": True}, {"cutout": 3}, {"mixup": 0.4}, {"cutmix": 1.0}], ids=str
)
def test_the_same_seed_gives_the_same_images(changes: dict[str, float]) -> None:
    some = recipe(**changes)

    def augmented(seed: int) -> Tensor:
        source, images = rng(seed), pictures()
        pixels = cut_out(cropped(images, some, source).float() + 1, some, source)
        return mixed(pixels, torch.arange(len(images)), some, source).images

    first = augmented(1)
    torch.rand(3)
    assert torch.equal(augmented(1), first)
    assert not torch.equal(augmented(2), first)
    assert not torch.equal(pictures().float() + 1, first)
