"""Auxiliary classifiers: a gene of training alone, which a network, its cost and its export know nothing of."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from made import made_task
from torch import Tensor
from torch.nn import functional as F

from archspace.blocks.basic import BasicGenes
from archspace.blocks.dense import DenseGenes
from archspace.blocks.plain import PlainGenes
from archspace.blueprint import Blueprint, draw
from archspace.closed_form import cost
from archspace.data.tasks import Split, Task
from archspace.errors import GenomeError
from archspace.export.facts import Facts
from archspace.export.source import source_of
from archspace.genome import Auxiliary, Genome, Stage, Stem, Survival, genome_data
from archspace.genomefile import genome_from_data
from archspace.network import Network, build
from archspace.parts.survival import BatchSurvival
from archspace.searching.trial import TrialSpec, epochs_of
from archspace.training.auxiliary import AuxiliaryHeads, auxiliary_heads
from archspace.training.checkpoint import WEIGHTS, Checkpoint, load_checkpoint, save_checkpoint
from archspace.training.evaluation import evaluate
from archspace.training.feed import feed
from archspace.training.loop import Epoch, train
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe

CPU = Mode("cpu", bf16=False, channels_last=False)
RECIPE = Recipe(epochs=3, rungs=(3,), batch=8, lr=0.1, norm_batches=2, precision="fp32")
INPUT, CLASSES = (1, 8, 8), 3


def genome(auxiliary: Auxiliary | None = None, survival: Survival | None = None) -> Genome:
    stages = tuple(Stage("basic", 1, width, stride, BasicGenes()) for width, stride in ((4, 1), (6, 2), (8, 2)))
    return Genome(stages, Stem("cifar", 4), survival=survival or Survival(), auxiliary=auxiliary or Auxiliary())


PLAIN = genome()
GUIDED = genome(Auxiliary((1, 2), 0.3))


def drawn(some: Genome) -> Blueprint:
    return draw(some, INPUT, CLASSES)


def network_of(some: Genome) -> Network:
    return build(drawn(some), torch.Generator().manual_seed(0))


def heads_of(some: Genome, seed: int = 7) -> AuxiliaryHeads:
    heads = auxiliary_heads(drawn(some), seed)
    assert heads is not None
    return heads


def images(count: int) -> Tensor:
    return torch.randn(count, *INPUT, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def task() -> Task:
    """Which third of the image is bright."""
    labels = torch.arange(48) % CLASSES
    pictures = images(48)
    for index, label in enumerate(labels.tolist()):
        pictures[index, :, 3 * label : 3 * label + 2] += 2.0
    return made_task(INPUT, CLASSES, *(Split(pictures[a : a + 16], labels[a : a + 16]) for a in (0, 16, 32)))


def trained(
    task: Task, some: Genome, heads: AuxiliaryHeads | None = None, start: Checkpoint | None = None, mode: Mode = CPU
) -> tuple[list[Epoch], list[Checkpoint]]:
    steps = train(network_of(some), task, RECIPE, mode, 1, start, heads)
    epochs, states = zip(
        *((replace(epoch, seconds=0, speed=0), copy.deepcopy(state)) for epoch, state in steps), strict=True
    )
    return list(epochs), list(states)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


def test_one_pass_gives_the_networks_scores_and_those_of_each_head() -> None:
    network, heads = network_of(GUIDED).eval(), heads_of(GUIDED)
    x = images(5)
    scores, *others = heads(network, x)
    assert torch.equal(scores, network(x))
    first = network.stages[0](network.stem(x))
    for number, features, found in zip("12", (first, network.stages[1](first)), others, strict=True):
        by_hand = heads.heads[number].classifier(features.mean((2, 3)))
        torch.testing.assert_close(found, by_hand)
        assert found.shape == (5, CLASSES)


def test_the_gene_changes_neither_network_nor_cost_nor_source() -> None:
    assert cost(drawn(GUIDED)) == cost(drawn(PLAIN))
    assert same(network_of(GUIDED).state_dict(), network_of(PLAIN).state_dict())
    figures = cost(drawn(PLAIN))
    facts = Facts("network", PLAIN, figures, figures, "made", 0.1, 0.2, 0, {})
    assert source_of(drawn(GUIDED), facts) == source_of(drawn(PLAIN), facts)
    assert PLAIN.id != GUIDED.id
    assert genome_from_data(genome_data(GUIDED)) == GUIDED


def test_heads_train_and_change_the_training(task: Task) -> None:
    heads = heads_of(GUIDED)
    begun = copy.deepcopy(heads.state_dict())
    guided, states = trained(task, GUIDED, heads)
    plain, others = trained(task, PLAIN)
    assert guided != plain
    assert not same(states[-1].weights, others[-1].weights)
    assert list(states[-1].weights) == list(others[-1].weights)
    assert not any(torch.equal(states[-1].auxiliary[name], begun[name]) for name in begun)
    assert others[-1].auxiliary == {}


def test_the_loss_is_the_networks_and_the_weighted_sum_of_the_heads(task: Task) -> None:
    """One step of plain gradient descent by hand."""
    network, heads = network_of(GUIDED), heads_of(GUIDED)
    by_hand, beside = copy.deepcopy(network).train(), copy.deepcopy(heads)
    losses = [F.cross_entropy(s, task.train.labels, label_smoothing=0.1) for s in beside(by_hand, task.train.images)]
    (losses[0] + 0.3 * (losses[1] + losses[2])).backward()
    # The schedule ends at a rate of zero, where a step moves nothing: a second epoch is announced and not run.
    changes = {"epochs": 2, "rungs": (2,), "batch": 16, "warmup": 0, "momentum": 0, "weight_decay": 0}
    recipe = RECIPE.model_copy(update=changes)
    epoch, state = next(train(network, task, recipe, CPU, 1, heads=heads))
    assert epoch.train_loss == pytest.approx(losses[0].item(), rel=1e-5)
    rate = 0.05  # half-way down the cosine
    parameters = dict(by_hand.named_parameters())
    for name, parameter in parameters.items():
        assert parameter.grad is not None, name
        torch.testing.assert_close(
            state.weights[name], parameter.detach() - rate * parameter.grad, rtol=1e-4, atol=1e-6
        )
    for name, parameter in beside.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
        torch.testing.assert_close(
            state.auxiliary[name], parameter.detach() - rate * parameter.grad, rtol=1e-4, atol=1e-6
        )


def test_measured_is_the_network_alone(task: Task) -> None:
    network = network_of(GUIDED)
    for epoch, _ in train(network, task, RECIPE, CPU, 1, heads=heads_of(GUIDED)):
        assert (epoch.error, epoch.cross_entropy) == evaluate(network, feed(task.val, task, CPU))


@pytest.mark.parametrize("survival", [Survival(), Survival(0.5)], ids=["whole", "stochastic depth"])
def test_heads_of_no_weight_leave_a_training_as_it_is(task: Task, survival: Survival) -> None:
    """To the last bit: heads take nothing from the random numbers that order and survival are drawn from."""
    some = genome(survival=survival)
    without, states = trained(task, some)
    with_heads, others = trained(task, some, AuxiliaryHeads({1: 4, 2: 6}, CLASSES, 0.0))
    assert with_heads == without
    for one, other in zip(states, others, strict=True):
        assert same(one.weights, other.weights)


def test_no_gene_no_heads() -> None:
    assert auxiliary_heads(drawn(PLAIN), 1) is None


def test_heads_are_drawn_from_their_seed_alone() -> None:
    before = torch.random.get_rng_state()
    first = heads_of(GUIDED, 3).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(5)
    assert same(first, heads_of(GUIDED, 3).state_dict())
    assert not same(first, heads_of(GUIDED, 4).state_dict())
    assert all(torch.isfinite(tensor).all() for tensor in first.values())


@pytest.mark.parametrize("mode", [CPU, Mode("cpu", True, True)], ids=str)
def test_a_resumed_training_goes_on_as_it_would_have(task: Task, tmp_path: Path, mode: Mode) -> None:
    some = replace(GUIDED, survival=Survival(0.5))
    whole, states = trained(task, some, heads_of(some), mode=mode)
    for state in states[:-1]:
        folder = tmp_path / str(state.epoch)
        folder.mkdir()
        save_checkpoint(state, folder)
        read = load_checkpoint(folder)
        assert read is not None
        assert same(read.auxiliary, state.auxiliary)
        rest, after = trained(task, some, heads_of(some, seed=99), read, mode)
        assert rest == whole[state.epoch :]
        assert same(after[-1].weights, states[-1].weights)
        assert same(after[-1].auxiliary, states[-1].auxiliary)


def test_weights_on_disk_are_the_network_alone(task: Task, tmp_path: Path) -> None:
    state = trained(task, GUIDED, heads_of(GUIDED))[1][-1]
    save_checkpoint(state, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["optimizer-3.pt", WEIGHTS]
    read = load_checkpoint(tmp_path)
    assert read is not None
    assert set(read.weights) == set(network_of(PLAIN).state_dict())
    assert set(read.optimizer) == {"state", "param_groups"}


def test_a_checkpoint_without_heads_is_as_it_always_was(task: Task, tmp_path: Path) -> None:
    state = trained(task, PLAIN)[1][-1]
    save_checkpoint(state, tmp_path)
    assert set(torch.load(tmp_path / "optimizer-3.pt", weights_only=True)) == {"state", "param_groups"}
    read = load_checkpoint(tmp_path)
    assert read is not None
    assert read.auxiliary == {}


def spec(folder: Path, some: Genome) -> TrialSpec:
    return TrialSpec(0, genome_data(some), 5, "made", RECIPE, CPU, str(folder), 0.0)


def told(metrics: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(metrics[key] for key in ("epoch", "train_loss", "error", "cross_entropy"))


def test_a_trial_trains_with_its_heads_also_after_an_interruption(task: Task, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("whole", "plain", "broken")]
    for folder in folders:
        folder.mkdir()
    whole, plain = (
        [told(metrics) for metrics in epochs_of(spec(folder, some), task)]
        for folder, some in zip(folders, (GUIDED, PLAIN), strict=False)
    )
    assert whole != plain
    first = told(next(epochs_of(spec(folders[2], GUIDED), task)))
    assert [first, *(told(metrics) for metrics in epochs_of(spec(folders[2], GUIDED), task))] == whole
    ends = [load_checkpoint(folder) for folder in (folders[0], folders[2])]
    assert ends[0] is not None
    assert ends[1] is not None
    assert same(ends[0].weights, ends[1].weights)
    assert same(ends[0].auxiliary, ends[1].auxiliary)
    assert ends[0].auxiliary


STAGES: dict[str, tuple[Stage, ...]] = {
    "dense": tuple(Stage("dense", 2, None, stride, DenseGenes(4)) for stride in (1, 2, 2)),
    "frugal": tuple(Stage("dense", 2, None, stride, DenseGenes(4, memory="frugal")) for stride in (1, 2, 2)),
    "plain": tuple(Stage("plain", 1, 6, stride, PlainGenes(norm="none", downsample="pool2")) for stride in (1, 2, 2)),
    "full-preactivation": tuple(Stage("basic", 1, 6, s, BasicGenes(order="full-preactivation")) for s in (1, 2, 2)),
}


@pytest.mark.parametrize("name", STAGES)
def test_heads_fit_behind_stages_of_any_family(task: Task, name: str) -> None:
    stem = Stem("none") if name == "plain" else Stem("cifar", 6)
    some = Genome(STAGES[name], stem, auxiliary=Auxiliary((1, 2), 0.5))
    heads = heads_of(some)
    network = network_of(some)
    scores, *others = heads(network.eval(), images(2))
    assert torch.equal(scores, network(images(2)))
    assert len(others) == 2
    epochs, states = trained(task, some, heads)
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]
    assert set(states[-1].auxiliary) == set(heads.state_dict())


def test_stages_may_skip_their_branches() -> None:
    some = replace(GUIDED, survival=Survival(0.01, "uniform"))
    network, heads = network_of(some).train(), heads_of(some)
    assert any(isinstance(module, BatchSurvival) for module in network.modules())
    torch.manual_seed(0)
    sum(scores.square().sum() for scores in heads(network, images(4))).backward()
    assert all(parameter.grad is not None for parameter in heads.parameters())


@pytest.mark.parametrize(
    ("after", "weight", "message"),
    [
        ((1,), 0.0, "a weight above 0 and stages in `after` go together"),
        ((), 0.3, "a weight above 0 and stages in `after` go together"),
        ((1,), -0.3, "weight must be at least 0 and finite"),
        ((1,), float("inf"), "weight must be at least 0 and finite"),
        ((1,), float("nan"), "weight must be at least 0 and finite"),
        ((2, 1), 0.3, "must name stages in rising order"),
        ((1, 1), 0.3, "must name stages in rising order"),
        ((0,), 0.3, r"name middle stages, 1 to 2; behind the last stage stands the head"),
        ((3,), 0.3, r"name middle stages, 1 to 2; behind the last stage stands the head"),
    ],
)
def test_genes_that_make_no_heads_are_refused(after: tuple[int, ...], weight: float, message: str) -> None:
    with pytest.raises(GenomeError, match=message):
        genome(Auxiliary(after, weight))
