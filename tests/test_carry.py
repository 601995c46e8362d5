"""Weights carried between the three forms of a ResNeXt block: the same function at the same cost."""

from dataclasses import replace
from itertools import permutations
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from archspace.blocks.basic import BasicGenes
from archspace.blocks.bottleneck import BottleneckGenes, Form
from archspace.blueprint import draw
from archspace.carry import carried
from archspace.closed_form import Cost, cost
from archspace.errors import GenomeError
from archspace.genome import Genome, Stage, Stem, Survival
from archspace.network import Network, build

INPUT, CLASSES = (2, 9, 8), 5
FORMS = get_args(Form)
PAIRS = list(permutations(FORMS, 2))


def genome(form: Form = "grouped", survival: Survival | None = None, **genes: Any) -> Genome:
    """Two cardinalities, both strides, and stages that have no forms."""
    first = BottleneckGenes(group_width=3, cardinality=4, form=form, **genes)
    stages = (
        Stage("bottleneck", 2, 20, 1, first),
        Stage("bottleneck", 2, 24, 2, replace(first, group_width=1, cardinality=12)),
        Stage("bottleneck", 1, 24, 1, BottleneckGenes(group_width=6)),
        Stage("basic", 1, 24, 1, BasicGenes()),
    )
    return Genome(stages, Stem("cifar", 8), survival=survival or Survival(), initialisation="he")


def images(count: int) -> Tensor:
    return torch.randn(count, *INPUT, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def network_of(some: Genome, state: dict[str, Tensor] | None = None) -> Network:
    network = build(draw(some, INPUT, CLASSES), torch.Generator().manual_seed(0)).double()
    if state is not None:
        network.load_state_dict(state)
    return network


def used(some: Genome) -> Network:
    """A network whose norms differ from channel to channel, in scale, shift and running statistics."""
    network = network_of(some)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    torch.manual_seed(0)
    for _ in range(3):
        network.train()(images(6))
    return network


def assert_same_function(one: Network, other: Network, tolerance: float = 1e-10) -> None:
    for training in (False, True):
        outputs = []
        for network in (one, other):
            torch.manual_seed(5)  # of the survival's draws
            outputs.append(network.train(training)(images(6)))
        assert (outputs[0] - outputs[1]).abs().max() <= tolerance
        assert outputs[0].abs().max() > 0.1


@pytest.mark.parametrize("genes", [{}, {"shortcut": "A"}, {"shortcut": "C", "stride_on": "1x1"}], ids=str)
@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_outputs_agree(before: Form, after: Form, genes: dict[str, Any]) -> None:
    start = used(genome(before, **genes))
    moved, state = carried(start.state_dict(), genome(before, **genes), after)
    assert moved == genome(after, **genes)
    assert_same_function(start, network_of(moved, state))


WRAPPED: list[dict[str, Any]] = [
    {"survival": Survival(0.6, "uniform", "batch")},
    {"survival": Survival(0.6, "linear", "sample")},
    {"order": "relu-before-addition"},
    {"order": "relu-only-preactivation"},
    {"order": "relu-before-addition", "survival": Survival(0.7)},
]


@pytest.mark.parametrize("wrapping", WRAPPED, ids=str)
@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_outputs_agree_in_whatever_a_branch_is_wrapped(before: Form, after: Form, wrapping: dict[str, Any]) -> None:
    start = used(genome(before, **wrapping))
    moved, state = carried(start.state_dict(), genome(before, **wrapping), after)
    assert_same_function(start, network_of(moved, state))


def test_gradients_agree() -> None:
    """So a training may change form half-way: the gradient carried over is the gradient there."""
    start = used(genome())
    gradients: dict[str, dict[str, Tensor]] = {}
    for form in FORMS:
        moved, state = carried(start.state_dict(), genome(), form)
        network = network_of(moved, state).train()
        network(images(6)).square().sum().backward()
        grads = network.state_dict() | {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
        gradients[form] = carried(grads, moved, "grouped")[1]
    for form in FORMS[1:]:
        for name, gradient in gradients["grouped"].items():
            torch.testing.assert_close(gradients[form][name], gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("before", "after"), [*PAIRS, ("grouped", "grouped"), ("separate", "separate")])
def test_there_and_back_gives_the_same_tensors(before: Form, after: Form) -> None:
    start = used(genome(before)).state_dict()
    there, state = carried(start, genome(before), after)
    back, again = carried(state, there, before)
    assert back == genome(before)
    assert set(again) == set(start)
    for name, tensor in start.items():
        assert torch.equal(again[name], tensor), name
        assert again[name].dtype == tensor.dtype


def test_what_is_carried_is_a_copy() -> None:
    start = used(genome())
    before = {name: tensor.clone() for name, tensor in start.state_dict().items()}
    for form in FORMS:
        state = carried(start.state_dict(), genome(), form)[1]
        storages = [tensor.untyped_storage().data_ptr() for tensor in state.values()]
        assert len(set(storages)) == len(storages)
        for name, tensor in state.items():
            if name not in before or name.startswith(("stages.0.0.branch.", "stages.1.0.branch.")):
                tensor.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in start.state_dict().items())


@pytest.mark.parametrize("wrapping", [{}, {"survival": Survival(0.5)}, {"order": "relu-only-preactivation"}], ids=str)
def test_costs_are_equal(wrapping: dict[str, Any]) -> None:
    """Separate paths each write an output of their own 1x1, so their acts alone are more; nothing else differs."""
    costs: dict[str, Cost] = {form: cost(draw(genome(form, **wrapping), INPUT, CLASSES)) for form in FORMS}
    for figure in ("params", "macs", "flops", "layers", "training_flops"):
        assert len({getattr(found, figure) for found in costs.values()}) == 1, figure
    assert costs["grouped"].acts == costs["concatenated"].acts
    more = 2 * (4 - 1) * 20 * 9 * 8 + 2 * (12 - 1) * 24 * 5 * 4
    assert costs["separate"].acts == costs["grouped"].acts + more


def test_stages_without_forms_stay_as_they_are() -> None:
    plain = replace(genome(), stages=genome().stages[2:])
    start = used(plain).state_dict()
    for form in FORMS:
        moved, state = carried(start, plain, form)
        assert moved == plain
        assert all(state[name] is tensor for name, tensor in start.items())


@pytest.mark.parametrize("genes", [{"squeeze": 0.25}, {"order": "full-preactivation"}], ids=str)
def test_what_has_no_other_form_says_where(genes: dict[str, Any]) -> None:
    with pytest.raises(GenomeError, match=r"^stage 1: form separate and .* do not go together; keep one of them$"):
        carried({}, genome(**genes), "separate")
