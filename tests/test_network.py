"""Built networks: their counts, what every block family promises, stochastic depth, and where randomness comes from."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made import made_task
from strategies import blueprints
from torch import Tensor, nn

from archspace.blocks.basic import BasicGenes
from archspace.blocks.registry import Family, families
from archspace.blueprint import Blueprint, draw
from archspace.closed_form import cost
from archspace.data.tasks import Split
from archspace.errors import GenomeError
from archspace.genome import Genome, Stage, Stem, Survival
from archspace.measure.count import counted_params, differences, hooked_acts, hooked_macs, traced_flops
from archspace.network import Network, build
from archspace.parts.ordering import Residual
from archspace.parts.shortcut import Shortcut
from archspace.parts.survival import BatchSurvival, SampleSurvival
from archspace.training.loop import train
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe

shapes = st.tuples(st.integers(1, 4), st.integers(5, 20), st.integers(5, 20))
classes = st.integers(2, 12)


@settings(max_examples=120, deadline=None)
@given(blueprints(shapes, classes, max_depth=3, max_width=24))
def test_the_closed_form_is_what_is_built(drawn: tuple[Genome, Blueprint]) -> None:
    _, blueprint = drawn
    closed = cost(blueprint)
    network = build(blueprint)
    assert closed.params == counted_params(network)
    assert closed.macs == hooked_macs(network, blueprint.input)
    assert closed.acts == hooked_acts(network, blueprint.input)


@settings(max_examples=30, deadline=None)
@given(blueprints(shapes, classes, max_stages=2, max_depth=2, max_width=16))
def test_the_closed_form_is_what_fvcore_counts(drawn: tuple[Genome, Blueprint]) -> None:
    _, blueprint = drawn
    assert cost(blueprint).flops == traced_flops(build(blueprint), blueprint.input)


@settings(max_examples=40, deadline=None)
@given(blueprints(shapes, classes, max_width=24))
def test_stages_add_up_to_the_whole(drawn: tuple[Genome, Blueprint]) -> None:
    whole = cost(drawn[1])
    for figure in ("params", "macs", "flops", "acts"):
        assert sum(getattr(row, figure) for row in whole.stages) == getattr(whole, figure)


def follow(first: Family, second: Family, ends: tuple[int, int]) -> Genome:
    """A stage of one family behind a stage of another, each with its first (0) or last (-1) sample genes."""
    stages = tuple(
        Stage(kind.name, 2, None if kind.growth else 64, stride, kind.sample_genes[end])
        for kind, stride, end in zip((first, second), (1, 2), ends, strict=True)
    )
    return Genome(stages, Stem("cifar", 64))


@pytest.mark.parametrize("second", sorted(families()))
@pytest.mark.parametrize("first", sorted(families()))
def test_any_family_follows_any_other_or_says_why_not(first: str, second: str) -> None:
    for ends in ((0, -1), (-1, 0)):
        genome = follow(families()[first], families()[second], ends)
        try:
            blueprint = draw(genome, (1, 9, 7), 3)
        except GenomeError as error:
            if not str(error).removeprefix("stage 2: "):
                raise
        else:
            assert differences(blueprint) == ()


def images(count: int, *shape: int) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(1))


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
@given(blueprints(shapes, classes, max_stages=2, max_depth=2, max_width=16), st.integers(0, 2**63 - 1))
def test_weights_come_from_the_generator_alone(drawn: tuple[Genome, Blueprint], seed: int) -> None:
    _, blueprint = drawn
    before = torch.random.get_rng_state()
    one = build(blueprint, torch.Generator().manual_seed(seed)).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(3)
    other = build(blueprint, torch.Generator().manual_seed(seed)).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    different = build(blueprint, torch.Generator().manual_seed(seed ^ 1)).state_dict()
    assert not torch.equal(one["head.classifier.weight"], different["head.classifier.weight"])


def test_training_leaves_the_global_generator_alone() -> None:
    network = residual_network(2, Survival(0.5))
    split = Split(images(6, 1, 8, 8), torch.tensor([0, 1, 2, 0, 1, 2]))
    task = made_task((1, 8, 8), 3, split, split, split)
    before = torch.random.get_rng_state()
    recipe = Recipe(epochs=2, rungs=(2,), batch=2)
    assert len(list(train(network, task, recipe, Mode("cpu", False, False), seed=1))) == 2
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_zero_initialised_network_begins_as_its_shortcuts() -> None:
    stages = (Stage("basic", 3, 8, 1, BasicGenes()),)
    network = build(draw(Genome(stages, Stem("cifar", 8)), (1, 8, 8), 3)).eval()
    x = images(2, 8, 8, 8).relu()
    assert torch.equal(network.stages(x), x)


@pytest.mark.parametrize(
    ("shortcut", "widths", "chosen"),
    [("A", (8, 16), "he"), ("A", (8, 8), "he-zero-last-norm"), ("B", (8, 16), "he-zero-last-norm")],
)
def test_networks_that_pad_channels_with_zeros_do_not_begin_as_their_shortcuts(
    shortcut: Shortcut, widths: tuple[int, int], chosen: str
) -> None:
    genes = BasicGenes(shortcut)
    stages = tuple(Stage("basic", 1, width, stride, genes) for width, stride in zip(widths, (1, 2), strict=True))
    genome = Genome(stages, Stem("cifar", 8))
    assert draw(genome).initialisation == chosen
    named = replace(genome, initialisation="he-zero-last-norm")
    assert draw(named).initialisation == "he-zero-last-norm"


def test_genomes_that_cannot_be_drawn_say_where() -> None:
    narrowing = tuple(Stage("basic", 1, width, 1, BasicGenes("A")) for width in (16, 8))
    with pytest.raises(GenomeError, match=r"^stage 2: shortcut A .* cannot narrow 16 channels to 8; use B$"):
        draw(Genome(narrowing, Stem("cifar", 16)))
    with pytest.raises(GenomeError, match="classes must be at least 2, not 1"):
        draw(Genome(narrowing[:1], Stem("cifar", 16)), (3, 8, 8), 1)
    with pytest.raises(GenomeError, match="must be at least 1"):
        draw(Genome(narrowing[:1], Stem("cifar", 16)), (3, 0, 8))
