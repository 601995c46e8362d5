"""Short trainings of a tiny network."""

import copy
from dataclasses import replace
from functools import cache

import tiny
import torch

from archspace.blueprint import draw
from archspace.data.tasks import Split, Task, load_task
from archspace.genome import Genome, Survival
from archspace.network import Network, build
from archspace.training.checkpoint import Checkpoint
from archspace.training.loop import Epoch, train
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe

CPU = Mode("cpu", bf16=False, channels_last=False)
GENOME = replace(tiny.genomes(1)[0], survival=Survival(0.5))
RECIPE = Recipe(epochs=3, rungs=(3,), batch=64, lr=0.1, norm_batches=2)


def network(genome: Genome = GENOME) -> Network:
    return build(draw(genome, (1, 32, 32), 10), torch.Generator().manual_seed(0))


@cache
def digits() -> Task:
    return load_task("digits")


def few(train: int = 200, val: int = 60) -> Task:
    """The digits task with so many images."""
    whole = digits()
    trained_on, held_out = (
        Split(part.images[:count], part.labels[:count]) for part, count in ((whole.train, train), (whole.val, val))
    )
    return replace(whole, train=trained_on, val=held_out)


def trained(
    task: Task,
    recipe: Recipe = RECIPE,
    mode: Mode = CPU,
    seed: int = 1,
    start: Checkpoint | None = None,
    model: Network | None = None,
    parts: int = 1,
) -> tuple[list[Epoch], list[Checkpoint]]:
    """Each epoch, its times aside, and what was kept after it."""
    steps = train(model or network(), task, recipe, mode, seed, start, parts=parts)
    both = [(replace(epoch, seconds=0, speed=0), copy.deepcopy(state)) for epoch, state in steps]
    return [epoch for epoch, _ in both], [state for _, state in both]


def seen_in_training(model: Network) -> list[torch.Tensor]:
    """A list to which each batch that the network trains on is added."""
    seen: list[torch.Tensor] = []
    model.register_forward_hook(lambda module, inputs, _: seen.append(inputs[0]) if module.stem.training else None)
    return seen


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether tensors are the same to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
