"""Convolutions computed in ways of our own on a CPU: the same numbers, the same parameters, only where it helps."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small import images
from torch import Tensor, nn

from archspace.training.groups import JOINED, NARROW, JoinedConv2d, groups_together
from archspace.training.mode import Mode
from archspace.training.place import place
from archspace.training.subsampled import FEW, SubsampledConv2d

CPU = Mode("cpu", bf16=False, channels_last=False)
LAST = Mode("cpu", bf16=False, channels_last=True)
SHAPES = [(24, 8, 24), (36, 9, 36), (12, 4, 24), (128, 32, 128), (64, 32, 64), (39, 13, 39), (6, 3, 12)]
"""Channels in, groups, channels out."""


def passed(conv: nn.Conv2d, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Output, and gradients of weights and input."""
    x = x.clone().requires_grad_()
    conv.weight.grad = None
    y = conv(x)
    y.square().sum().backward()
    assert conv.weight.grad is not None
    assert x.grad is not None
    return y.detach(), conv.weight.grad.clone(), x.grad


@pytest.mark.parametrize(("before", "groups", "after"), SHAPES)
@pytest.mark.parametrize("mode", [CPU, LAST])
@pytest.mark.parametrize("stride", [1, 2])
def test_joined_groups_compute_what_they_would_alone(
    before: int, groups: int, after: int, mode: Mode, stride: int
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(before, after, 3, stride, 1, groups=groups, bias=stride == 2).double()
    x = images(4, before, 9, 8)
    alone = passed(conv, x)
    weight, names = conv.weight, list(conv.state_dict())
    place(conv, mode)
    assert isinstance(conv, JoinedConv2d)
    assert list(conv.state_dict()) == names
    assert conv.weight is weight
    for one, other in zip(alone, passed(conv, x), strict=True):
        torch.testing.assert_close(one, other)
    again = copy.deepcopy(conv)
    assert torch.equal(again(x), conv(x))


@pytest.mark.parametrize(("channels", "groups"), [(64, 1), (64, 8), (68, 4), (93, 31), (16, 2), (32, 32)])
def test_wide_groups_and_those_that_nothing_fits_stay_alone(channels: int, groups: int) -> None:
    conv = nn.Conv2d(channels, channels, 3, padding=1, groups=groups)
    place(conv, CPU)
    assert type(conv) is nn.Conv2d


def test_a_network_that_moves_on_is_as_it_was() -> None:
    conv = nn.Conv2d(24, 24, 3, padding=1, groups=8)
    place(conv, CPU)
    assert type(conv) is JoinedConv2d
    place(conv, Mode("cpu", bf16=True, channels_last=True))
    assert type(conv) is nn.Conv2d


def test_the_number_of_groups_that_are_joined_divides_them_and_is_within_the_bounds() -> None:
    for groups in range(2, 65):
        for width in range(1, 20):
            together = groups_together(nn.Conv2d(groups * width, groups * width, 1, groups=groups))
            assert groups % together == 0
            if together > 1:
                assert width in NARROW
                assert together * width <= JOINED[1]
                assert together * width >= JOINED[0] or together == groups


@pytest.mark.parametrize(("before", "groups", "stride"), [(3, 1, 2), (7, 1, (2, 1)), (8, 2, 3)])
def test_strided_1x1_convolutions_of_few_channels_are_subsampled_in_channels_last(
    before: int, groups: int, stride: int | tuple[int, int]
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(before, 6, 1, stride, groups=groups).double()
    x = images(4, before, 9, 8)
    usual = passed(conv, x)
    weight = conv.weight
    place(conv, LAST)
    assert type(conv) is SubsampledConv2d
    assert conv.weight is weight
    for one, other in zip(usual, passed(conv, x), strict=True):
        torch.testing.assert_close(one, other)
    place(conv, CPU)
    assert type(conv) is not SubsampledConv2d


@pytest.mark.parametrize("conv", [nn.Conv2d(FEW, 4, 1, 2), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, 2, 1)])
def test_other_convolutions_are_not_subsampled(conv: nn.Conv2d) -> None:
    place(conv, LAST)
    assert type(conv) is nn.Conv2d


TRAIN = """
import sys, tiny, torch
from archspace.api import build
from archspace.data.tasks import Split
from archspace.training.augment import chance, cropped
from archspace.training.feed import feed
from archspace.training.mode import Mode
from archspace.training.place import place
from archspace.training.recipe import Recipe
from made import made_task

torch.set_num_threads(1)
mode = Mode("cpu", bf16=False, channels_last=sys.argv[1] == "channels_last")
recipe = Recipe(crop=2, flip=True) if sys.argv[2] == "cropped" else Recipe()
for genome in tiny.genomes(12):
    for side, batch in ((8, 64), (16, 32), (32, 16)):
        labels = torch.zeros(batch, dtype=torch.long)
        split = Split(torch.randint(256, (batch, 1, side, side), dtype=torch.uint8), labels)
        data = feed(split, made_task((1, side, side), 10, split, split, split), mode)
        network = build(genome, input=(1, side, side), classes=10).train()
        place(network, mode)
        for step in range(4):
            images = data.normalised(cropped(split.images, recipe, chance(step, "cpu")))
            torch.nn.functional.cross_entropy(network(images), labels).backward()
"""


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("images", ["as they are", "cropped"])
def test_small_networks_train_on_grey_images_within_their_memory(layout: str, images: str) -> None:
    """glibc ends a process whose heap is damaged; as torch computes these networks, it did so each time."""
    process = subprocess.run(
        [sys.executable, "-c", TRAIN, layout, images],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
