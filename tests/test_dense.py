"""Dense blocks: what each layer sees, and what recomputation keeps and changes (Huang et al. 2017, 1608.06993)."""

from typing import Any

import pytest
import torch
from small import CLASSES, INPUT, images, network_of, used
from torch import Tensor, nn
from torch.nn import functional as F

from archspace.blocks.dense import DenseGenes, DenseStage, Transition
from archspace.blueprint import draw
from archspace.closed_form import StageCost, cost
from archspace.genome import Genome, Stage, Stem
from archspace.network import Network


def rows(network: tuple[Stage, ...], stem: Stem) -> dict[str, StageCost]:
    return {row.name: row for row in cost(draw(Genome(network, stem), INPUT, CLASSES)).stages}


def channels_seen(network: Network, block: DenseStage) -> list[int]:
    """How many channels each layer is given while an image passes."""
    seen: list[int] = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs: seen.append(sum(x.shape[1] for x in inputs[0])))
        for layer in block
    ]
    network(images(2))
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize("memory", ["usual", "frugal"])
@pytest.mark.parametrize("layer", ["basic", "bottleneck"])
def test_layer_l_sees_k0_and_k_maps_of_each_before_it(layer: Any, memory: Any) -> None:
    """k (l - 1) + k0 (Section 3): k0 is the stem's width in the first stage, then what the transition leaves."""
    k, stem, compression = 3, 10, 0.7
    genes = DenseGenes(k, layer, compression=compression, memory=memory)
    stages = (Stage("dense", 4, None, 1, genes), Stage("dense", 5, None, 2, genes))
    network = network_of(*stages, stem=Stem("cifar", stem))
    after_transition = int(compression * (stem + 4 * k))
    table = rows(stages, Stem("cifar", stem))
    blocks = [module for module in network.modules() if isinstance(module, DenseStage)]
    assert len(blocks) == 2
    for number, block, k0 in zip((1, 2), blocks, (stem, after_transition), strict=True):
        seen = channels_seen(network, block)
        built = [next(m for m in one.modules() if isinstance(m, nn.BatchNorm2d)).num_features for one in block]
        assert seen == built == [k * (place - 1) + k0 for place in range(1, len(block) + 1)]
        row = table[f"stage{number}"]
        assert (row.sees, row.sees_more, row.depth) == (k0, k, len(block))
        assert row.output[0] == k0 + len(block) * k
    (transition,) = (module for module in network.modules() if isinstance(module, Transition))
    assert transition.conv.weight.shape[:2] == (after_transition, stem + 4 * k)
    assert table["stage2.entry"].output[0] == after_transition
    assert network.stages[1](images(1, 22, 8, 8)).shape == (1, after_transition + 5 * k, 4, 4)


def test_maps_are_in_order_of_depth() -> None:
    network = used(network_of(Stage("dense", 3, None, 1, DenseGenes(4)))).eval()
    block = next(module for module in network.modules() if isinstance(module, DenseStage))
    x = images(2, 8, 6, 6)
    maps = [x]
    for layer in block:
        a = F.relu(layer.norm1(torch.cat(maps, 1)))
        maps.append(layer.conv(F.relu(layer.norm2(layer.narrow(a)))))
    torch.testing.assert_close(block(x), torch.cat(maps, 1), rtol=1e-12, atol=1e-12)


def dense_pair(layer: Any, depth: int = 3) -> list[Network]:
    pair = []
    for memory in ("usual", "frugal"):
        genes = DenseGenes(4, layer, memory=memory)  # type: ignore[arg-type]
        pair.append(network_of(Stage("dense", depth, None, 1, genes), Stage("dense", 2, None, 2, genes)))
    return pair


@pytest.mark.parametrize("layer", ["basic", "bottleneck"])
def test_recomputation_changes_nothing(layer: Any) -> None:
    """Outputs, gradients, running statistics and their counters, to the last bit, over three steps of training."""
    usual, frugal = dense_pair(layer)
    assert any("Frugal" in type(module).__name__ for module in frugal.modules())
    for step in range(3):
        outputs = []
        for network in (usual, frugal):
            network.train().zero_grad()
            outputs.append(network(images(4) + step))
            outputs[-1].square().sum().backward(retain_graph=True)
            outputs[-1].sum().backward()  # computed again from the same graph
            torch.optim.SGD(network.parameters(), lr=0.01).step()
        assert torch.equal(*outputs)
        gradients = ({name: p.grad for name, p in network.named_parameters()} for network in (usual, frugal))
        for one, other in zip(*(g.items() for g in gradients), strict=True):
            assert one[0] == other[0]
            assert torch.equal(one[1], other[1]), one[0]
        states = usual.state_dict(), frugal.state_dict()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    counters = [tensor for name, tensor in states[1].items() if name.endswith("num_batches_tracked")]
    assert [int(counter) for counter in counters] == [3] * len(counters)
    with torch.no_grad():
        assert torch.equal(usual.eval()(images(4)), frugal.eval()(images(4)))


def kept_bytes(layer: Any, memory: Any, depth: int) -> int:
    """Bytes that a dense block keeps from its forward pass to its backward pass, parameters and buffers aside.

    Counted are the storages that autograd saves, each once, and the layers' outputs: a recomputation holds on to the
    maps that it starts from, which autograd's hooks do not see.
    """
    genes = DenseGenes(4, layer, bottleneck=4 if layer == "basic" else 1, memory=memory)
    stage = network_of(Stage("dense", depth, None, 1, genes), stem=Stem("cifar", 1)).stages[0]
    own = {tensor.untyped_storage().data_ptr() for tensor in (*stage.parameters(), *stage.buffers())}
    kept: dict[int, tuple[int, Tensor]] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    def keep_output(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        keep(output)

    block = next(module for module in stage.modules() if isinstance(module, DenseStage))
    for one in block:
        one.register_forward_hook(keep_output)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        stage.train()(images(2, 1, 8, 8).requires_grad_())
    return sum(size for size, _ in kept.values())


@pytest.mark.parametrize("layer", ["basic", "bottleneck"])
def test_frugal_layers_keep_less_by_an_order_of_growth(layer: Any) -> None:
    """Four times the layers: concatenations take nearly 16 times the memory, recomputed ones about 4 times."""
    usual, frugal = ([kept_bytes(layer, memory, depth) for depth in (12, 48)] for memory in ("usual", "frugal"))
    assert 8 < usual[1] / usual[0] < 16.5
    assert 3 < frugal[1] / frugal[0] < 5
    assert frugal[1] < usual[1] / 4
