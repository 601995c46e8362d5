"""What papers say of highway, plain, inception and squeezed blocks and of stochastic depth, held to what is built."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from small import images, network_of, used
from torch import Tensor, nn
from torch.nn import functional as F

from archspace.blocks.basic import BasicGenes
from archspace.blocks.bottleneck import BottleneckGenes
from archspace.blocks.highway import Highway, HighwayGenes
from archspace.blocks.inception import Inception, InceptionGenes
from archspace.blocks.plain import PlainGenes
from archspace.blueprint import draw
from archspace.closed_form import cost
from archspace.errors import GenomeError
from archspace.genome import Genome, Stage, Stem, Survival
from archspace.network import Network, build
from archspace.parts.convolution import ConvNormReLU
from archspace.parts.squeeze import SqueezeExcitation

# Highway (Srivastava et al. 2015)


def open_highway(residual: Network) -> Network:
    """A network of uncoupled highway blocks with the weights of these residual blocks and both gates fully open."""
    genes = HighwayGenes(transform_layers=2, gates="uncoupled")
    highway = network_of(Stage("highway", 3, 8, 1, genes))
    weights = {}
    for name, tensor in residual.state_dict().items():
        for number, layer in enumerate(("first", "second"), start=1):
            for kind in ("conv", "norm"):
                name = name.replace(f"branch.branch.{kind}{number}", f"branch.transform.{layer}.{kind}")
        weights[name] = tensor
    for name, tensor in highway.state_dict().items():
        if ".gate." in name or ".carry." in name:
            # sigmoid(40) is 1 less 4e-18, which is 1.
            weights[name] = torch.full_like(tensor, 40.0 if name.endswith("bias") else 0.0)
    highway.load_state_dict(weights)
    return highway


def test_a_residual_block_is_a_highway_block_with_open_gates() -> None:
    """y = ReLU(B(x)) + x is y = H(x) T(x) + x C(x) with H = ReLU(B), T = C = 1 (1505.00387, Section 2)."""
    residual = used(network_of(Stage("basic", 3, 8, 1, BasicGenes(order="relu-before-addition"))))
    highway = open_highway(residual)
    x = images(6)
    for training in (False, True):
        expected, found = (network.train(training)(x) for network in (residual, highway))
        assert torch.equal(found, expected)
    gradients = []
    for network in (residual, highway):
        network(x).square().sum().backward()
        gradients.append(network.stem.conv.weight.grad)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-12, atol=1e-12)


def highway_block(**genes: Any) -> Highway:
    (block,) = used(network_of(Stage("highway", 1, 8, 1, HighwayGenes(**genes)))).eval().stages[0]
    assert isinstance(block, Highway)
    return block


def gate_by_hand(gate: nn.Module, x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-F.conv2d(x, gate.conv.weight, gate.conv.bias, padding=1)))


@pytest.mark.parametrize("layers", [1, 2])
def test_gates_mix_transform_and_input(layers: int) -> None:
    x = images(3, 8, 5, 5)
    coupled = highway_block(transform_layers=layers)
    h, t = coupled.branch.transform(x), gate_by_hand(coupled.branch.gate, x)
    torch.testing.assert_close(coupled(x), h * t + x * (1 - t), rtol=1e-12, atol=1e-12)
    assert sum(isinstance(module, ConvNormReLU) for module in coupled.modules()) == layers

    uncoupled = highway_block(transform_layers=layers, gates="uncoupled")
    branch = uncoupled.branch
    h, t, c = branch.transform(x), gate_by_hand(branch.gate, x), gate_by_hand(branch.carry, x)
    torch.testing.assert_close(uncoupled(x), h * t + x * c, rtol=1e-12, atol=1e-12)
    assert (t + c - 1).abs().max() > 0.01


def test_a_highway_block_begins_by_carrying() -> None:
    (block,) = network_of(Stage("highway", 1, 8, 1, HighwayGenes(gate_bias=-3.0, gates="uncoupled"))).stages[0]
    assert torch.equal(block.branch.gate.conv.bias, torch.full((8,), -3.0, dtype=torch.float64))
    assert torch.equal(block.branch.carry.conv.bias, torch.full((8,), 3.0, dtype=torch.float64))
    x = images(4, 8, 6, 6)
    assert 0.01 < block.branch.gate(x).mean().item() < 0.3
    assert 0.7 < block.branch.carry(x).mean().item() < 0.99


@pytest.mark.parametrize("mode", ["batch", "sample"])
@pytest.mark.parametrize("gates", ["coupled", "uncoupled"])
def test_a_dropped_highway_block_is_the_identity(gates: Any, mode: Any) -> None:
    survival = Survival(1e-12, "uniform", mode)
    (block,) = network_of(Stage("highway", 1, 8, 1, HighwayGenes(gates=gates)), survival=survival).stages[0]
    x = images(4, 8, 6, 6)
    assert torch.equal(block.train()(x), x)
    assert not torch.equal(block.branch.branch(x) + x, x)


# Plain and inception


@pytest.mark.parametrize(
    ("downsample", "shape"), [("conv", (2, 8, 4, 4)), ("pool2", (2, 8, 4, 4)), ("pool3", (2, 8, 4, 4))]
)
def test_a_plain_stage_pools_before_it_or_strides_with_its_first_convolution(downsample: Any, shape: Any) -> None:
    network = used(network_of(Stage("plain", 2, 8, 2, PlainGenes(downsample=downsample)))).eval()
    layers = list(network.stages[0])
    strides = [layer.conv.stride for layer in layers if isinstance(layer, ConvNormReLU)]
    x = images(2, 8, 8, 8)
    assert layers[0](x).shape == network.stages[0](x).shape == shape
    if downsample == "conv":
        assert len(layers) == 2
        assert strides == [(2, 2), (1, 1)]
    else:
        kernel = int(downsample[-1])
        assert strides == [(1, 1), (1, 1)]
        assert torch.equal(layers[0](x), F.max_pool2d(x, kernel, 2, ceil_mode=True))


def test_vgg_needs_no_stem() -> None:
    genes = PlainGenes(norm="none", downsample="pool2")
    network = network_of(Stage("plain", 2, 6, 1, genes), Stage("plain", 1, 8, 2, genes), stem=Stem("none"))
    first, second = network.stages
    assert [type(layer).__name__ for layer in (*first, *second)] == [
        *("BiasedConvReLU",) * 2,
        "MaxPool2d",
        "BiasedConvReLU",
    ]
    assert first[0].conv.in_channels == 2
    x = images(2)
    y = F.relu(F.conv2d(F.relu(F.conv2d(x, first[0].conv.weight, padding=1)), first[1].conv.weight, padding=1))
    y = F.relu(F.conv2d(F.max_pool2d(y, 2), second[1].conv.weight, padding=1))
    torch.testing.assert_close(network.stages(x), y)


INCEPTION = InceptionGenes(reduce_small=3, small=5, reduce_large=2, large=4, project=6)


def test_inception_puts_its_branches_side_by_side_in_the_papers_order() -> None:
    """1x1, 3x3, 5x5, pooling (1409.4842, Figure 2b and Table 1); the 1x1 has what the others leave."""
    block = used(network_of(Stage("inception", 1, 22, 1, INCEPTION))).eval().stages[0][0]
    assert isinstance(block, Inception)
    x = images(2, 8, 7, 7)
    branches = (
        block.point(x),
        block.small(block.reduce_small(x)),
        block.large(block.reduce_large(x)),
        block.project(F.max_pool2d(x, 3, stride=1, padding=1)),
    )
    assert [branch.shape[1] for branch in branches] == [22 - 5 - 4 - 6, 5, 4, 6]
    assert torch.equal(block(x), torch.cat(branches, 1))
    kernels = [m.conv.kernel_size[0] for m in (block.point, block.reduce_small, block.small, block.reduce_large)]
    assert [*kernels, block.large.conv.kernel_size[0], block.project.conv.kernel_size[0]] == [1, 1, 3, 1, 5, 1]


def test_inception_refuses_a_width_that_leaves_none_for_the_1x1() -> None:
    message = r"^stage 1: small 5 \+ large 4 \+ project 6 channels leave none of width 15 for the 1x1 branch"
    with pytest.raises(GenomeError, match=message):
        network_of(Stage("inception", 1, 15, 1, INCEPTION))
    assert network_of(Stage("inception", 1, 16, 1, INCEPTION)).stages[0][0].point.conv.out_channels == 1


# Squeeze-and-excitation (Hu et al. 2018)


def test_squeeze_gates_each_channel_by_the_whole_map() -> None:
    network = used(network_of(Stage("bottleneck", 2, 16, 1, BottleneckGenes(4, 3, squeeze=0.25)))).eval()
    gates = [module for module in network.modules() if isinstance(module, SqueezeExcitation)]
    # The reduction counts from the block's input width: 8 from the stem, then 16.
    assert [(gate.squeeze.out_channels, gate.excite.out_channels) for gate in gates] == [(2, 12), (4, 12)]
    x = images(3, 12, 5, 5)
    gate = gates[1]
    hidden = F.relu(x.mean((2, 3)) @ gate.squeeze.weight[:, :, 0, 0].T + gate.squeeze.bias)
    by_hand = torch.sigmoid(hidden @ gate.excite.weight[:, :, 0, 0].T + gate.excite.bias)
    torch.testing.assert_close(gate(x), x * by_hand[:, :, None, None], rtol=1e-12, atol=1e-12)


# Stochastic depth: expected training flops (Huang et al. 2016)

RESNET_110 = Genome(
    tuple(Stage("basic", 18, width, stride, BasicGenes("A")) for width, stride in ((16, 1), (32, 2), (64, 2))),
    Stem("cifar", 16),
)
"""54 blocks of two layers, for 3x32x32 images."""


def training_flops(survival: Survival) -> int:
    return cost(draw(replace(RESNET_110, survival=survival), (3, 32, 32), 10)).training_flops


def by_hand(ps: list[float]) -> float:
    """Expected flops of a forward pass, block by block: 3x3 convolutions, two per element for each norm."""
    sides, widths = (32, 16, 8), (16, 32, 64)
    total = 9 * 3 * 16 * 32**2 + 2 * 16 * 32**2  # stem
    before = 16
    for block, p in enumerate(ps):
        width, area = widths[block // 18], sides[block // 18] ** 2
        branch = 9 * before * width * area + 9 * width * width * area + 2 * 2 * width * area
        total += p * branch
        before = width
    return total + 64 * 8**2 + 64 * 10  # pooling, classifier


def test_expected_training_flops_are_those_of_the_series() -> None:
    ps = [1 - block / 54 * 0.5 for block in range(1, 55)]
    assert sum(ps) == pytest.approx(40.25)  # Section 3
    whole = cost(draw(RESNET_110, (3, 32, 32), 10))
    assert whole.training_flops == 3 * whole.flops == 3 * by_hand([1.0] * 54)
    halved = training_flops(Survival(0.5))
    assert halved == pytest.approx(3 * by_hand(ps), rel=1e-9)
    assert halved / whole.training_flops == pytest.approx(1 - 0.255, abs=0.005)
    assert training_flops(Survival(0.5, "uniform")) == pytest.approx(3 * by_hand([0.5] * 54), rel=1e-9)


def test_flops_at_test_time_are_those_of_the_whole_network() -> None:
    for mode in ("batch", "sample"):
        survival = Survival(0.5, mode=mode)  # type: ignore[arg-type]
        costs = cost(draw(replace(RESNET_110, survival=survival), (3, 32, 32), 10))
        assert costs.flops == by_hand([1.0] * 54)
        assert costs.layers == 110


def test_dropping_images_one_by_one_saves_no_computation() -> None:
    assert training_flops(Survival(0.5, mode="sample")) == training_flops(Survival())


def test_survival_is_built_as_it_is_counted() -> None:
    network = build(draw(replace(RESNET_110, survival=Survival(0.5)), (3, 32, 32), 10))
    ps = [block.branch.p for stage in network.stages for block in stage]
    assert ps == pytest.approx([1 - block / 54 * 0.5 for block in range(1, 55)])
    assert (ps[0], ps[-1]) == (pytest.approx(1 - 0.5 / 54), 0.5)
