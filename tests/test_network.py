"""Built networks: their counts, what every block family promises, stochastic depth, and where randomness comes from."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import genomes
from torch import Tensor, nn

from archspace.blocks.registry import Family, families
from archspace.blocks.basic import BasicGenes
from archspace.parts.ordering import Residual
from archspace.blueprint import draw
from archspace.costs import cost
from archspace.data.tasks import Split, Task
from archspace.errors import GenomeError
from archspace.genome import Genome, Shape, Stage, Stem, Survival
from archspace.measure.count import counted_params, hooked_acts, hooked_macs, traced_flops
from archspace.network import Network, build
from archspace.parts.survival import BatchSurvival, SampleSurvival
from archspace.training.device import Mode
from archspace.training.loop import train
from archspace.training.recipe import Recipe

shapes = st.tuples(st.integers(1, 4), st.integers(5, 20), st.integers(5, 20))


@settings(max_examples=150, deadline=None)
@given(genomes(max_width=24), shapes, st.integers(2, 12))
def test_the_closed_form_is_what_is_built(genome: Genome, input: Shape, classes: int) -> None:
    closed = cost(draw(genome, input, classes))
    network = build(draw(genome, input, classes))
    assert closed.params == counted_params(network)
    assert closed.macs == hooked_macs(network, input)
    assert closed.acts == hooked_acts(network, input)


@settings(max_examples=8, deadline=None)
@given(genomes(max_stages=2, max_depth=2, max_width=16), shapes)
def test_the_closed_form_is_what_fvcore_counts(genome: Genome, input: Shape) -> None:
    blueprint = draw(genome, input, 3)
    assert cost(blueprint).flops == traced_flops(build(blueprint), input)


@settings(max_examples=40, deadline=None)
@given(genomes(max_width=24), shapes)
def test_stages_add_up_to_the_whole(genome: Genome, input: Shape) -> None:
    whole = cost(draw(genome, input, 10))
    for figure in ("params", "macs", "flops", "acts"):
        assert sum(getattr(row, figure) for row in whole.stages) == getattr(whole, figure)


def conforming() -> list[Any]:
    return [
        pytest.param(kind, genes, id=f"{name}-{number}")
        for name, kind in sorted(families().items())
        for number, genes in enumerate(kind.sample_genes)
    ]


def two_stages(kind: Family, genes: Any) -> Network:
    stages = (Stage(kind.name, 2, 64, 1, genes), Stage(kind.name, 2, 64, 2, genes))
    genome = Genome(stages, Stem("cifar", 64), initialisation="he")
    return build(draw(genome, (1, 9, 7), 5), torch.Generator().manual_seed(0))


def images(count: int, *shape: int) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("kind", "genes"), conforming())
def test_gradients_reach_every_parameter(kind: Family, genes: Any) -> None:
    network = two_stages(kind, genes)
    network(images(4, 1, 9, 7)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(("kind", "genes"), conforming())
def test_an_image_is_scored_alike_in_any_company_and_layout(kind: Family, genes: Any) -> None:
    network = two_stages(kind, genes)
    x = images(6, 1, 9, 7)
    network.train()(x)  # running statistics other than those at the start
    network.eval()
    with torch.no_grad():
        together = network(x)
        alone = torch.cat([network(x[index : index + 1]) for index in range(len(x))])
        last = network.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(alone, together)
    torch.testing.assert_close(last, together)


def residual_network(depth: int, survival: Survival) -> Network:
    stages = (Stage("basic", depth, 8, 1, BasicGenes()),)
    genome = Genome(stages, Stem("cifar", 8), survival=survival, initialisation="he")
    return build(draw(genome, (1, 8, 8), 3), torch.Generator().manual_seed(0))


def blocks_of(network: Network) -> list[Residual]:
    return [module for module in network.modules() if isinstance(module, Residual)]


@pytest.mark.parametrize("mode", [BatchSurvival, SampleSurvival])
def test_a_dropped_block_is_the_identity_on_what_is_not_negative(mode: type[nn.Module]) -> None:
    branch = blocks_of(residual_network(1, Survival()))[0].branch
    x = images(4, 8, 5, 5).relu()
    dropped = Residual(mode(branch, p=0.0), nn.Identity()).train()
    assert torch.equal(dropped(x), x)
    kept = Residual(mode(branch, p=1.0), nn.Identity()).train()
    assert not torch.equal(kept(x), x)


@pytest.mark.parametrize("mode", ["batch", "sample"])
def test_in_eval_a_branch_counts_by_its_survival(mode: Any) -> None:
    (block,) = blocks_of(residual_network(1, Survival(0.3, "uniform", mode)))
    branch = block.branch.branch
    assert isinstance(branch, nn.Module)
    block.eval()
    x = images(4, 8, 5, 5)
    torch.testing.assert_close(block(x), torch.relu(0.3 * branch(x) + x))


def test_survival_falls_linearly_from_the_first_block_on() -> None:
    network = residual_network(4, Survival(0.2))
    assert [block.branch.p for block in blocks_of(network)] == pytest.approx([0.8, 0.6, 0.4, 0.2])
    assert [block.branch.p for block in blocks_of(residual_network(1, Survival(0.2)))] == pytest.approx([0.2])


def test_survival_counts_blocks_across_stages() -> None:
    stages = tuple(Stage("basic", depth, 8, 1, BasicGenes()) for depth in (1, 3))
    network = build(draw(Genome(stages, Stem("cifar", 8), survival=Survival(0.2)), (1, 8, 8), 3))
    assert [block.branch.p for block in blocks_of(network)] == pytest.approx([0.8, 0.6, 0.4, 0.2])


def test_a_network_of_one_block_trains() -> None:
    network = residual_network(1, Survival(0.5)).train()
    torch.manual_seed(0)
    for _ in range(4):
        assert torch.isfinite(network(images(2, 1, 8, 8))).all()


def test_batch_mode_skips_the_computation_as_often_as_it_says() -> None:
    (block,) = blocks_of(residual_network(1, Survival(0.25, "uniform")))
    calls: list[int] = []
    block.branch.branch.register_forward_hook(lambda *_: calls.append(1))  # type: ignore[union-attr,operator]
    block.train()
    torch.manual_seed(0)
    x = images(1, 8, 2, 2).expand(2, 8, 2, 2)
    outputs = [block(x) for _ in range(200)]
    skipped = sum(torch.equal(out, x.relu()) for out in outputs)
    assert len(calls) == 200 - skipped
    assert 30 <= len(calls) <= 70  # 50 expected, standard deviation 6


def test_sample_mode_drops_images_one_by_one() -> None:
    (block,) = blocks_of(residual_network(1, Survival(0.5, "uniform", "sample")))
    torch.manual_seed(0)
    x = images(64, 8, 2, 2)
    same = (block.train()(x) == x.relu()).flatten(1).all(1)
    assert 16 <= int(same.sum()) <= 48  # 32 expected, standard deviation 4


@pytest.mark.parametrize("mode", ["batch", "sample"])
def test_survival_of_one_is_no_survival(mode: Any) -> None:
    plain, kept = residual_network(3, Survival()), residual_network(3, Survival(1.0, "uniform", mode))
    assert not any(isinstance(module, BatchSurvival | SampleSurvival) for module in kept.modules())
    assert list(plain.state_dict()) == list(kept.state_dict())
    x = images(3, 1, 8, 8)
    assert torch.equal(plain.train()(x), kept.train()(x))


@settings(max_examples=10, deadline=None)
@given(genomes(max_stages=2, max_depth=2, max_width=16), st.integers(0, 2**63 - 1))
def test_weights_come_from_the_generator_alone(genome: Genome, seed: int) -> None:
    blueprint = draw(genome, (1, 8, 8), 3)
    before = torch.random.get_rng_state()
    one = build(blueprint, torch.Generator().manual_seed(seed)).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(3)
    other = build(blueprint, torch.Generator().manual_seed(seed)).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    different = build(blueprint, torch.Generator().manual_seed(seed ^ 1)).state_dict()
    assert not torch.equal(one["stem.conv.weight"], different["stem.conv.weight"])


def test_training_leaves_the_global_generator_alone() -> None:
    network = residual_network(2, Survival(0.5))
    split = Split(images(6, 1, 8, 8), torch.tensor([0, 1, 2, 0, 1, 2]))
    task = Task("made", (1, 8, 8), 3, split, split, split)
    before = torch.random.get_rng_state()
    recipe = Recipe(epochs=2, rungs=(2,), batch=2)
    assert len(list(train(network, task, recipe, Mode("cpu", False, False), seed=1))) == 2
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_zero_initialised_network_begins_as_its_shortcuts() -> None:
    stages = (Stage("basic", 3, 8, 1, BasicGenes()),)
    network = build(draw(Genome(stages, Stem("cifar", 8)), (1, 8, 8), 3)).eval()
    x = images(2, 8, 8, 8).relu()
    assert torch.equal(network.stages(x), x)


def test_genomes_that_cannot_be_drawn_say_where() -> None:
    narrowing = tuple(Stage("basic", 1, width, 1, BasicGenes("A")) for width in (16, 8))
    with pytest.raises(GenomeError, match=r"^stage 2: shortcut A .* cannot narrow 16 channels to 8; use B$"):
        draw(Genome(narrowing, Stem("cifar", 16)))
    with pytest.raises(GenomeError, match="classes must be at least 2, not 1"):
        draw(Genome(narrowing[:1], Stem("cifar", 16)), (3, 8, 8), 1)
    with pytest.raises(GenomeError, match="must be at least 1"):
        draw(Genome(narrowing[:1], Stem("cifar", 16)), (3, 0, 8))
