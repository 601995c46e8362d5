"""Grouped convolutions computed side by side: the same numbers, the same parameters, only where it helps."""

import copy

import pytest
import torch
from small import images
from torch import Tensor, nn

from archspace.training.groups import JOINED, NARROW, JoinedConv2d, groups_together
from archspace.training.mode import Mode
from archspace.training.place import place

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
