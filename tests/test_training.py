"""The digits task, the recipe, the loop and its checkpoints."""

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from sklearn.datasets import load_digits
from torch import nn

from archspace.blueprint import draw
from archspace.data.tasks import Task, load_task
from archspace.errors import UserError
from archspace.genome import Genome, Survival
from archspace.network import Network, build
from archspace.training.checkpoint import WEIGHTS, Checkpoint, load_checkpoint, save_checkpoint
from archspace.training.device import Mode, choose_mode
from archspace.training.evaluation import evaluate
from archspace.training.feed import feed
from archspace.training.loop import Diverged, Epoch, train
from archspace.training.optimizer import learning_rate, make_optimizer
from archspace.training.recipe import Recipe, default_rungs, with_settings

CPU = Mode("cpu", bf16=False, channels_last=False)
GENOME = replace(tiny.genomes(1)[0], survival=Survival(0.5))
RECIPE = Recipe(epochs=3, rungs=(3,), batch=128, lr=0.1, norm_batches=2)


@pytest.fixture(scope="module")
def digits() -> Task:
    return load_task("digits")


def network(genome: Genome = GENOME) -> Network:
    return build(draw(genome, (1, 32, 32), 10), torch.Generator().manual_seed(0))


def trained(
    task: Task, start: Checkpoint | None = None, mode: Mode = CPU, recipe: Recipe = RECIPE, seed: int = 1
) -> tuple[list[Epoch], list[Checkpoint]]:
    steps = [(epoch, copy.deepcopy(state)) for epoch, state in train(network(), task, recipe, mode, seed, start)]
    return [replace(epoch, seconds=0, speed=0) for epoch, _ in steps], [state for _, state in steps]


def test_digits_are_split_by_class_without_overlap(digits: Task) -> None:
    assert [len(part.labels) for part in (digits.train, digits.val, digits.test)] == [1077, 360, 360]
    assert digits.input == tuple(digits.train.images.shape[1:]) == (1, 32, 32)
    shares = load_digits().target
    for part in (digits.train, digits.val, digits.test):
        counts = torch.bincount(part.labels, minlength=10)
        expected = [len(part.labels) * (shares == label).mean() for label in range(10)]
        assert all(abs(int(counts[label]) - expected[label]) <= 1 for label in range(10))
    images = torch.cat([part.images for part in (digits.train, digits.val, digits.test)])
    assert len(torch.unique(images.flatten(1), dim=0)) == len(images) == 1797


def test_digits_are_normalised_by_what_is_trained_on(digits: Task) -> None:
    pixels = digits.train.images.float()
    assert digits.mean == pytest.approx((float(pixels.mean()),))
    assert digits.std == pytest.approx((float(pixels.std()),))
    assert digits.train.images.dtype == torch.uint8
    assert int(digits.train.images.max()) == 255
    assert torch.equal(load_task("digits").test.images, digits.test.images)


def test_digits_are_those_of_scikit_learn(digits: Task) -> None:
    small = nn.functional.adaptive_avg_pool2d(digits.train.images[:50].float(), 8).flatten(1)
    originals = torch.from_numpy(load_digits().data).float()
    centred = (nn.functional.normalize(rows - rows.mean(1, keepdim=True)) for rows in (small, originals))
    likeness = next(centred) @ next(centred).T
    labels = torch.from_numpy(load_digits().target)[likeness.argmax(1)]
    assert torch.equal(labels, digits.train.labels[:50])


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown task 'digit' \(did you mean 'digits'\?\); known are .*digits"):
        load_task("digit")


def test_the_rate_warms_up_then_falls_by_half_a_cosine() -> None:
    recipe = Recipe(epochs=5, rungs=(5,), warmup=1, lr=0.2)
    rates = {0: 0.0, 0.5: 0.1, 1: 0.2, 2: 0.2 * (2 + math.sqrt(2)) / 4, 3: 0.1, 5: 0.0}
    assert {done: learning_rate(recipe, done) for done in rates} == pytest.approx(rates, abs=1e-12)
    assert learning_rate(Recipe(warmup=0), 0) == Recipe().lr


def test_weight_decay_spares_norms_and_biases() -> None:
    decayed, spared = make_optimizer(network(), Recipe(weight_decay=0.01), CPU).param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.01, 0.0)
    assert all(parameter.ndim == 4 or parameter.ndim == 2 for parameter in decayed["params"])
    assert len(decayed["params"]) + len(spared["params"]) == len(list(network().parameters()))


def test_the_same_seed_gives_the_same_curve_to_the_last_bit(digits: Task) -> None:
    first, states = trained(digits)
    assert [epoch.epoch for epoch in first] == [1, 2, 3]
    torch.rand(7)
    again, same = trained(digits)
    assert again == first
    assert all(torch.equal(states[-1].weights[key], same[-1].weights[key]) for key in states[-1].weights)
    assert trained(digits, seed=2)[0] != first


def test_every_epoch_has_an_order_of_its_own(digits: Task) -> None:
    model, seen = network(), []
    model.register_forward_hook(lambda module, inputs, _: seen.append(inputs[0]) if module.stem.training else None)
    list(train(model, digits, Recipe(epochs=2, rungs=(2,), batch=512), CPU, 1))
    batches = len(seen) // 2
    assert [len(images) for images in seen] == [512, 512, 53] * 2
    assert not torch.equal(seen[0], seen[batches])
    assert len(torch.unique(torch.cat(seen[:batches]).flatten(1), dim=0)) == 1077


@pytest.mark.parametrize("mode", [CPU, Mode("cpu", bf16=False, channels_last=True), Mode("cpu", True, False)], ids=str)
def test_a_resumed_training_goes_on_as_it_would_have(digits: Task, tmp_path: Path, mode: Mode) -> None:
    whole, states = trained(digits, mode=mode)
    for state in states[:-1]:
        folder = tmp_path / str(state.epoch)
        folder.mkdir()
        save_checkpoint(state, folder)
        rest, after = trained(digits, load_checkpoint(folder), mode)
        assert rest == whole[state.epoch :]
        assert all(torch.equal(after[-1].weights[key], states[-1].weights[key]) for key in after[-1].weights)


def test_training_learns(digits: Task) -> None:
    genome = replace(GENOME, survival=Survival())
    recipe = Recipe(epochs=4, rungs=(4,), batch=32, lr=0.1)
    model = network(genome)
    start, _ = evaluate(model, feed(digits.val, digits, CPU))
    *_, (epoch, _) = train(model, digits, recipe, CPU, 0)
    assert start > 0.8
    assert epoch.error < 0.6
    assert (epoch.error, epoch.cross_entropy) == evaluate(model, feed(digits.val, digits, CPU))


def test_evaluation_counts_what_is_wrong(digits: Task) -> None:
    class Always(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.one_hot(torch.full((len(x),), 3), 10).float()

    error, nats = evaluate(Always(), feed(digits.val, digits, CPU))
    right = float((digits.val.labels == 3).float().mean())
    assert error == pytest.approx(1 - right)
    log_sum = math.log(math.e + 9)
    assert nats == pytest.approx(log_sum - right, rel=1e-5)


def test_a_rate_that_is_too_high_is_told_with_its_epoch(digits: Task) -> None:
    recipe = RECIPE.model_copy(update={"lr": 1e30})
    with pytest.raises(Diverged, match=r"^the (training loss|val cross-entropy) became (nan|inf) in epoch 1$"):
        list(train(network(), digits, recipe, CPU, 1))


@pytest.fixture
def saved(digits: Task, tmp_path: Path) -> Path:
    for state in trained(digits, recipe=Recipe(epochs=2, rungs=(2,), batch=512))[1]:
        save_checkpoint(state, tmp_path)
    return tmp_path


def test_one_checkpoint_is_kept(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == ["optimizer-2.pt", WEIGHTS]
    state = load_checkpoint(saved)
    assert state is not None
    assert state.epoch == 2


@pytest.mark.parametrize("name", [WEIGHTS, "optimizer-2.pt"])
def test_a_checkpoint_that_is_not_whole_is_none(saved: Path, name: str) -> None:
    path = saved / name
    whole = path.read_bytes()
    spoilt = [whole[: len(whole) * share // 10] for share in range(10)] + [bytes(len(whole)), b"nonsense", whole[:-1]]
    for content in spoilt:
        path.write_bytes(content)
        assert load_checkpoint(saved) is None, (len(content), content[:20])
    path.unlink()
    assert load_checkpoint(saved) is None
    path.write_bytes(whole)
    assert load_checkpoint(saved) is not None


def test_a_crash_between_the_two_files_leaves_the_earlier_checkpoint(saved: Path) -> None:
    whole = (saved / "optimizer-2.pt").read_bytes()
    (saved / "optimizer-3.pt").write_bytes(whole)
    (saved / f"{WEIGHTS}.part").write_bytes(b"half")
    state = load_checkpoint(saved)
    assert state is not None
    assert state.epoch == 2


def test_the_precision_may_be_chosen() -> None:
    assert choose_mode(Recipe(precision="bf16"), "cpu") == Mode("cpu", True, True)
    assert choose_mode(Recipe(precision="fp32"), "cpu") == Mode("cpu", False, False)
    assert str(CPU) == "cpu, fp32, contiguous"


def test_settings_change_the_recipe() -> None:
    assert with_settings(Recipe(), []) == Recipe()
    recipe = with_settings(Recipe(), ["recipe.epochs=30", "recipe.lr = 0.1", "recipe.precision=fp32"])
    assert (recipe.epochs, recipe.lr, recipe.precision) == (30, 0.1, "fp32")
    assert recipe.rungs == (1, 3, 10, 30)
    assert with_settings(Recipe(), ["recipe.epochs=9", "recipe.rungs=2,9"]).rungs == (2, 9)
    assert with_settings(Recipe(), ["recipe.rungs=[2, 3]"]).rungs == (2, 3)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("recipe.lr", "--set recipe.lr: expected recipe.KEY=VALUE with one of recipe.epochs, recipe.rungs"),
        ("lr=0.1", "--set lr=0.1: expected recipe.KEY=VALUE"),
        ("recipe.rate=0.1", "--set recipe.rate=0.1: expected recipe.KEY=VALUE"),
        ("recipe.lr=fast", "--set recipe.lr: Input should be a valid number"),
        ("recipe.lr=0", "--set recipe.lr: Input should be greater than 0"),
        ("recipe.lr=inf", "--set recipe.lr: Input should be a finite number"),
        ("recipe.lr=nan", "--set recipe.lr: Input should be a finite number"),
        ("recipe.batch=1", "--set recipe.batch: Input should be greater than or equal to 2"),
        ("recipe.epochs=1.5", "--set recipe.epochs: Input should be a valid integer"),
        ("recipe.rungs=2", "--set recipe: rungs [2] must rise and end at epochs = 3"),
        ("recipe.rungs=3,1", "--set recipe: rungs [3, 1] must rise and end at epochs = 3"),
        ("recipe.warmup=3", "--set recipe: warmup of 3.0 epochs must be shorter than epochs = 3"),
        ("recipe.precision=fp8", "--set recipe.precision: Input should be 'auto', 'fp32' or 'bf16'"),
    ],
)
def test_a_setting_that_makes_no_recipe_is_refused(setting: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        with_settings(Recipe(), [setting])
    assert str(caught.value).startswith(message)


def test_every_wrong_setting_is_told() -> None:
    with pytest.raises(UserError) as caught:
        with_settings(Recipe(), ["recipe.lr=0", "recipe.batch=1"])
    assert len(caught.value.messages) == 2


@pytest.mark.parametrize(
    ("epochs", "rungs"), [(1, (1,)), (2, (2,)), (3, (1, 3)), (10, (1, 3, 10)), (30, (1, 3, 10, 30))]
)
def test_default_rungs_lie_a_factor_of_three_apart(epochs: int, rungs: tuple[int, ...]) -> None:
    assert default_rungs(epochs) == rungs
    changes: dict[str, Any] = {"epochs": epochs, "rungs": default_rungs(epochs)}
    assert Recipe(**changes).rungs == rungs
