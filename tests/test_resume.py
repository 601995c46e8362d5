"""Checkpoints, and trainings that go on from them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from trainings import CPU, RECIPE, few, same, trained

from archspace.training.checkpoint import BEFORE, WEIGHTS, load_checkpoint, save_checkpoint
from archspace.training.mode import Mode
from archspace.training.optimizer import make_optimizer, resume_optimizer
from archspace.training.recipe import Recipe

MODES = {
    "plain": CPU,
    "channels_last": Mode("cpu", bf16=False, channels_last=True),
    "bf16": Mode("cpu", bf16=True, channels_last=False),
    "fused": Mode("cpu", bf16=False, channels_last=False, fused=True),
    "fused, channels_last": Mode("cpu", bf16=False, channels_last=True, fused=True),
}
RECIPES: dict[str, dict[str, Any]] = {
    "crop, flip and cutout": {"crop": 3, "flip": True, "cutout": 8},
    "mixup and cutmix": {"mixup": 0.2, "cutmix": 1.0},
    "ema": {"ema": 0.9},
    "clip": {"clip": 0.05},
    "steps": {"schedule": "steps", "milestones": (0.4, 0.7)},
    "all": {"crop": 2, "flip": True, "cutout": 4, "mixup": 0.2, "ema": 0.9, "clip": 0.5, "decay_all": True},
}


def assert_goes_on_as_it_would_have(folder: Path, recipe: Recipe, mode: Mode) -> None:
    """Interrupt after any epoch, with a checkpoint written and read, and compare with a training that was not."""
    whole, states = trained(few(), recipe, mode)
    for state in states[:-1]:
        save_checkpoint(state, folder)
        rest, after = trained(few(), recipe, mode, start=load_checkpoint(folder))
        assert rest == whole[state.epoch :]
        assert [later.epoch for later in after] == list(range(state.epoch + 1, recipe.epochs + 1))
        assert same(after[-1].weights, states[-1].weights)
        assert same(after[-1].average, states[-1].average)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_a_resumed_training_goes_on_as_it_would_have(tmp_path: Path, mode: Mode) -> None:
    assert_goes_on_as_it_would_have(tmp_path, RECIPE, mode)


@pytest.mark.parametrize("last", [False, True])
def test_momentum_moves_its_own_weights_whichever_order_it_was_kept_in(last: bool) -> None:
    """A fused step goes through the memory of weights and momentum side by side."""
    orders = torch.contiguous_format, torch.channels_last
    conv = nn.Conv2d(4, 8, 3, bias=False).to(memory_format=orders[last])
    recipe = Recipe(lr=0.5, momentum=0.5, nesterov=False, weight_decay=0.0)
    optimizer = make_optimizer(conv, recipe, MODES["fused"])
    state, momentum = optimizer.state_dict(), torch.rand(8, 4, 3, 3)
    state["state"][0]["momentum_buffer"] = momentum.clone(memory_format=orders[not last])
    resume_optimizer(optimizer, state)
    before = conv.weight.detach().clone()
    conv.weight.grad = torch.zeros_like(conv.weight)
    optimizer.step()
    torch.testing.assert_close(conv.weight.detach(), before - recipe.peak * 0.5 * momentum)


@pytest.mark.parametrize("name", RECIPES)
def test_so_it_does_whatever_the_recipe(tmp_path: Path, name: str) -> None:
    assert_goes_on_as_it_would_have(tmp_path, Recipe.model_validate(RECIPE.model_dump() | RECIPES[name]), CPU)


@pytest.mark.parametrize("name", RECIPES)
def test_each_of_these_recipes_trains_in_a_way_of_its_own(name: str) -> None:
    _, plain = trained(few())
    _, states = trained(few(), Recipe.model_validate(RECIPE.model_dump() | RECIPES[name]))
    assert not same(plain[-1].weights, states[-1].weights)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    for state in trained(few())[1]:
        save_checkpoint(state, tmp_path)
    return tmp_path


def epoch_in(folder: Path) -> int | None:
    state = load_checkpoint(folder)
    return None if state is None else state.epoch


def spoilt(whole: bytes) -> list[bytes]:
    """A file cut off at any tenth, one of zeros, one of something else."""
    cut = [whole[: len(whole) * share // 10] for share in range(10)]
    return [*cut, whole[:-1], bytes(len(whole)), b"nonsense"]


def test_two_checkpoints_are_kept(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == ["optimizer-2.pt", "optimizer-3.pt", BEFORE, WEIGHTS]
    assert epoch_in(saved) == 3


@pytest.mark.parametrize("name", [WEIGHTS, "optimizer-3.pt"])
def test_of_a_checkpoint_that_is_not_whole_the_one_before_is_taken(saved: Path, name: str) -> None:
    whole = (saved / name).read_bytes()
    for content in spoilt(whole):
        (saved / name).write_bytes(content)
        assert epoch_in(saved) == 2, (len(content), content[:20])
    (saved / name).unlink()
    assert epoch_in(saved) == 2
    (saved / name).write_bytes(whole)
    assert epoch_in(saved) == 3


@pytest.mark.parametrize("before", [BEFORE, "optimizer-2.pt"])
@pytest.mark.parametrize("name", [WEIGHTS, "optimizer-3.pt"])
def test_where_neither_is_whole_there_is_none(saved: Path, name: str, before: str) -> None:
    for path in (saved / name, saved / before):
        path.write_bytes(path.read_bytes()[:-1])
    assert epoch_in(saved) is None
    (saved / before).unlink()
    assert epoch_in(saved) is None


@pytest.mark.parametrize("name", [WEIGHTS, "optimizer-3.pt"])
def test_a_training_goes_on_from_the_checkpoint_before_and_keeps_two_whole_ones_again(saved: Path, name: str) -> None:
    whole = (saved / WEIGHTS).read_bytes()
    (saved / name).write_bytes(b"nonsense")
    _, (state,) = trained(few(), start=load_checkpoint(saved))
    save_checkpoint(state, saved)
    assert epoch_in(saved) == 3
    assert (saved / WEIGHTS).read_bytes() == whole
    (saved / WEIGHTS).unlink()
    assert epoch_in(saved) == 2


def test_a_crash_between_the_two_files_leaves_the_earlier_checkpoint(saved: Path) -> None:
    (saved / "optimizer-4.pt").write_bytes((saved / "optimizer-3.pt").read_bytes())
    (saved / f"{WEIGHTS}.part").write_bytes(b"half")
    assert epoch_in(saved) == 3


def test_a_crash_before_the_new_weights_have_their_name_leaves_the_earlier_checkpoint(saved: Path) -> None:
    (saved / WEIGHTS).replace(saved / BEFORE)
    assert epoch_in(saved) == 3


def test_a_folder_without_a_checkpoint_has_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None
    assert load_checkpoint(tmp_path / "missing") is None


def test_a_flipped_bit_of_the_optimiser_gives_a_checkpoint_or_none_but_no_error(saved: Path) -> None:
    file = saved / "optimizer-3.pt"
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    for place in rng.integers(len(whole) * 8, size=150):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << (place % 8)
        file.write_bytes(flipped)
        assert epoch_in(saved) in (2, 3)
