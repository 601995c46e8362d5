"""The five orderings of a residual unit, traced operation by operation (He et al. 2016, 1603.05027, Figure 4)."""

from typing import get_args

import pytest
import torch
from small import network_of
from torch import fx, nn

from archspace.blocks.basic import BasicGenes
from archspace.blocks.bottleneck import BottleneckGenes
from archspace.blueprint import draw
from archspace.errors import GenomeError
from archspace.genome import Genome, Stage, Stem
from archspace.network import build
from archspace.parts.convolution import NormReLU
from archspace.parts.ordering import Order

FIGURE_4 = {
    "original": "conv norm relu conv norm add relu",
    "norm-after-addition": "conv norm relu conv add norm relu",
    "relu-before-addition": "conv norm relu conv norm relu add",
    "relu-only-preactivation": "relu conv norm relu conv norm add",
    "full-preactivation": "norm relu conv norm relu conv add",
}


class Tracer(fx.Tracer):
    """Follows into every module of ours, down to torch's own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002  # torch calls it so
        return isinstance(m, nn.Conv2d | nn.BatchNorm2d)


def operations(block: nn.Module) -> tuple[list[tuple[str, fx.Node]], fx.Node]:
    """Names of a block's operations in the order in which they are computed, with their nodes; and its input."""
    names = {nn.Conv2d: "conv", nn.BatchNorm2d: "norm"}
    graph = Tracer().trace(block)
    found = []
    for node in graph.nodes:
        if node.op == "call_module":
            found.append((names[type(block.get_submodule(str(node.target)))], node))
        elif node.op == "call_function":
            found.append((getattr(node.target, "__name__", str(node.target)), node))
    return found, next(iter(graph.nodes))


def unit(name: str, order: Order, stride: int = 1) -> nn.Module:
    genes = BasicGenes(order=order) if name == "basic" else BottleneckGenes(4, order=order)
    block: nn.Module = network_of(Stage(name, 1, 8, stride, genes)).stages[0][0]
    return block


@pytest.mark.parametrize("name", ["basic", "bottleneck"])
@pytest.mark.parametrize("order", FIGURE_4)
def test_a_unit_computes_in_the_order_of_figure_4(order: Order, name: str) -> None:
    found, start = operations(unit(name, order))
    layer = "relu conv norm" if order == "relu-only-preactivation" else "conv norm relu"
    layer = "norm relu conv" if order == "full-preactivation" else layer
    expected = f"{layer} {FIGURE_4[order]}" if name == "bottleneck" else FIGURE_4[order]
    assert " ".join(kind for kind, _ in found) == expected
    addition = next(node for kind, node in found if kind == "add")
    assert start in addition.args  # the shortcut is the input itself


@pytest.mark.parametrize("name", ["basic", "bottleneck"])
@pytest.mark.parametrize("order", FIGURE_4)
def test_a_projection_reads_what_the_branch_reads(order: Order, name: str) -> None:
    """The input; in full pre-activation the activation that both share (Section 4.1)."""
    found, start = operations(unit(name, order, stride=2))
    (addition,) = (node for kind, node in found if kind == "add")
    source = addition.args[1]
    while source.target not in ("shortcut.conv", "shortcut"):  # a projection with its norm, or the 1x1 alone
        source = source.args[0]
    reads = source.args[0]
    if order == "full-preactivation":
        assert [kind for kind, _ in found][:2] == ["norm", "relu"]
        assert reads is found[1][1]
        first = next(node for kind, node in found if kind == "conv")
        assert first.args[0] is reads
    else:
        assert reads is start


def test_every_ordering_is_in_the_figure() -> None:
    assert set(FIGURE_4) == set(get_args(Order))


def test_what_a_last_sum_lacks_stands_behind_it() -> None:
    def exits(order: Order) -> list[type[nn.Module]]:
        stages = (Stage("basic", 1, 8, 1, BasicGenes(order=order)), Stage("basic", 1, 8, 2, BasicGenes(order=order)))
        return [type(stage[-1]) for stage in network_of(*stages).stages if len(stage) > 1]

    assert exits("full-preactivation") == [NormReLU]
    assert exits("relu-only-preactivation") == [nn.ReLU]
    assert exits("original") == exits("norm-after-addition") == exits("relu-before-addition") == []
    mixed = Stage("basic", 1, 8, 1, BasicGenes(order="full-preactivation")), Stage("basic", 1, 8, 2, BasicGenes())
    assert [len(stage) for stage in network_of(*mixed).stages] == [2, 1]


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize("order", get_args(Order))
def test_branches_of_every_ordering_learn(order: Order, block: str) -> None:
    """Also where other stages begin as their shortcuts: a norm at zero before a ReLU would never leave zero."""
    genes = BottleneckGenes(4, 2, order=order) if block == "bottleneck" else BasicGenes(order=order)
    usual = BottleneckGenes(4, 2) if block == "bottleneck" else BasicGenes()
    for stages in ((genes,), (usual, genes)):
        genome = Genome(tuple(Stage(block, 2, 8, 1, own) for own in stages), Stem("cifar", 8))
        try:
            blueprint = draw(genome, (3, 8, 8), 3)
        except GenomeError:
            continue  # some orderings do not follow one another
        network = build(blueprint, torch.Generator().manual_seed(0)).train()
        steps = torch.optim.SGD(network.parameters(), 0.1)
        images = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(1))
        for _ in range(3):  # the first moves what began at zero
            steps.zero_grad()
            nn.functional.cross_entropy(network(images), torch.arange(8) % 3).backward()
            steps.step()
        still = [name for name, weight in network.named_parameters() if not weight.grad.abs().max() > 0]  # type: ignore[union-attr]
        assert still == []
