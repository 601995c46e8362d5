"""The closed form against what torch and fvcore count, and the counters against known layers."""

import dataclasses
import logging
import warnings

import pytest
import torch
from torch import nn

from archspace.blocks.basic import BasicGenes
from archspace.blocks.bottleneck import BottleneckGenes
from archspace.blueprint import draw
from archspace.closed_form import cost
from archspace.genome import Genome, Shape, Stage, Stem, Survival
from archspace.measure.count import Difference, counted_params, differences, hooked_acts, hooked_macs, traced_flops
from archspace.network import build
from archspace.plan import Part


def imagenet(block: str, depths: tuple[int, ...], widths: tuple[int, ...], genes: list[object]) -> Genome:
    rows = zip(depths, widths, (1, 2, 2, 2), genes, strict=True)
    return Genome(tuple(Stage(block, d, w, s, g) for d, w, s, g in rows))  # type: ignore[arg-type]


def cifar(depth: int, shortcut: str = "A", survival: Survival | None = None) -> Genome:
    stages = tuple(
        Stage("basic", depth, width, 1 if width == 16 else 2, BasicGenes(shortcut))  # type: ignore[arg-type]
        for width in (16, 32, 64)
    )
    return Genome(stages, Stem("cifar", 16), survival=survival or Survival())


RESNEXT50 = imagenet(
    "bottleneck", (3, 4, 6, 3), (256, 512, 1024, 2048), [BottleneckGenes(width, 32) for width in (4, 8, 16, 32)]
)
RESNET18_A = imagenet("basic", (2, 2, 2, 2), (64, 128, 256, 512), [BasicGenes("A")] * 4)


@pytest.mark.parametrize(
    ("genome", "input", "classes"),
    [
        pytest.param(RESNEXT50, (3, 224, 224), 1000, id="resnext50_32x4d"),
        pytest.param(RESNET18_A, (3, 224, 224), 1000, id="resnet18-A"),
        pytest.param(RESNET18_A, (1, 65, 47), 7, id="resnet18-A-odd-size"),
        pytest.param(cifar(3), (3, 32, 32), 10, id="resnet20"),
        pytest.param(cifar(9, "B"), (3, 32, 32), 100, id="resnet56-B"),
        pytest.param(cifar(3, "C", Survival(0.5)), (3, 33, 31), 10, id="survival-batch"),
        pytest.param(cifar(3, "B", Survival(0.7, "uniform", "sample")), (3, 32, 32), 10, id="survival-sample"),
    ],
)
def test_closed_form_is_what_is_counted(genome: Genome, input: Shape, classes: int) -> None:
    assert differences(draw(genome, input, classes)) == ()


def test_resnext50_counts_as_published() -> None:
    # Xie et al. 2017, Table 1: 25.0 million parameters and 4.2 billion multiply-adds.
    network = build(draw(RESNEXT50))
    assert counted_params(network) == 25_028_904
    assert round(hooked_macs(network, (3, 224, 224)) / 1e9, 1) == 4.2


def test_a_wrong_cost_is_reported() -> None:
    blueprint = draw(cifar(1), (3, 32, 32), 10)
    right = blueprint.head.part
    wrong = Part(right.module, lambda x, num_classes, **_: x.adaptive_pool().linear(num_classes).linear(num_classes))
    broken = dataclasses.replace(blueprint, head=blueprint.head._replace(part=wrong))
    true = cost(blueprint)
    assert differences(broken) == (
        Difference("params", true.params + 110, true.params),
        Difference("macs", true.macs + 100, true.macs),
        Difference("flops", true.flops + 100, true.flops),
    )


def test_counters_on_known_layers() -> None:
    network = nn.Sequential(
        nn.Conv2d(4, 6, kernel_size=3, padding=1, stride=2, groups=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 5),
    )
    network[3].bias.requires_grad_(False)
    conv = 6 * 2 * 9 * 4 * 3
    assert hooked_acts(network, (4, 8, 6)) == 6 * 4 * 3
    assert hooked_macs(network, (4, 8, 6)) == conv + 30
    assert traced_flops(network, (4, 8, 6)) == conv + 6 * 4 * 3 + 30
    assert counted_params(network) == 6 * 2 * 9 + 6 + 30


def test_counting_leaves_no_trace(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    network = build(draw(cifar(1, "B"), (3, 16, 16), 10))
    network.stem.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    with warnings.catch_warnings(), caplog.at_level(logging.DEBUG):
        warnings.simplefilter("error")
        traced_flops(network, (3, 16, 16))
        hooked_macs(network, (3, 16, 16))
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
    assert torch.is_grad_enabled()
