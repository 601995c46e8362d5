"""The training loop, what it measures and when it gives up."""

import math
import shutil
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from trainings import CPU, GENOME, RECIPE, digits, few, network, same, seen_in_training, trained

import archspace.training.feed
import archspace.training.loop
from archspace.genome import Survival
from archspace.network import Network
from archspace.training.device import choose_mode, cxx_compiler
from archspace.training.evaluation import evaluate
from archspace.training.feed import feed
from archspace.training.forward import Forward
from archspace.training.loop import HOPELESS, Diverged, train
from archspace.training.norms import estimate_norms
from archspace.training.optimizer import make_optimizer
from archspace.training.recipe import Recipe

ONCE = RECIPE.model_copy(update={"epochs": 1, "rungs": (1,), "warmup": 0.0})


def certain(logit: float) -> Network:
    """A network that says class 0 with `logit`, whatever it sees."""
    model = network()
    last = model.head.get_submodule("classifier")
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias[0] = logit
    return model


def without_norms() -> Network:
    """A network in which no image matters to another."""
    model = network(replace(GENOME, survival=Survival()))
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    return model


def test_weight_decay_spares_norms_and_biases_unless_it_is_for_all() -> None:
    decayed, spared = make_optimizer(network(), Recipe(weight_decay=0.01), CPU).param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.01, 0.0)
    assert all(parameter.ndim == 4 or parameter.ndim == 2 for parameter in decayed["params"])
    assert len(decayed["params"]) + len(spared["params"]) == len(list(network().parameters()))
    groups = make_optimizer(network(), Recipe(weight_decay=0.01, decay_all=True), CPU).param_groups
    assert [group["weight_decay"] for group in groups] == [0.01, 0.01]


def test_a_fused_step_spares_blocks_that_were_left_out_as_any_other_does() -> None:
    left_out = 0

    def count(optimizer: torch.optim.Optimizer, *_: object) -> None:
        nonlocal left_out
        left_out += sum(p.grad is None for group in optimizer.param_groups for p in group["params"])

    hook = register_optimizer_step_pre_hook(count)
    try:
        (_, plain), (_, fused) = (trained(few(), mode=mode) for mode in (CPU, replace(CPU, fused=True)))
    finally:
        hook.remove()
    assert left_out > 0
    for name, value in plain[0].weights.items():
        torch.testing.assert_close(fused[0].weights[name], value, rtol=1e-3, atol=1e-5)


def test_the_same_seed_gives_the_same_curve_to_the_last_bit() -> None:
    first, states = trained(few())
    assert [epoch.epoch for epoch in first] == [1, 2, 3]
    torch.rand(7)
    again, others = trained(few())
    assert again == first
    assert same(states[-1].weights, others[-1].weights)
    assert trained(few(), seed=2)[0] != first


def test_every_epoch_has_an_order_of_its_own() -> None:
    model = network()
    seen = seen_in_training(model)
    trained(few(200), RECIPE.model_copy(update={"batch": 90}), model=model)
    assert [len(images) for images in seen] == [90, 90, 20] * 3
    assert not torch.equal(seen[0], seen[3])
    assert len(torch.unique(torch.cat(seen[:3]).flatten(1), dim=0)) == 200


def test_a_task_smaller_than_a_batch_trains() -> None:
    model = network()
    seen = seen_in_training(model)
    _, (state,) = trained(few(50), ONCE.model_copy(update={"batch": 128}), model=model)
    assert [len(images) for images in seen] == [50]
    assert not same(state.weights, network().state_dict())


def test_a_single_image_behind_the_last_batch_is_left_out() -> None:
    model = network()
    seen = seen_in_training(model)
    trained(few(65), model=model)
    assert [len(images) for images in seen] == [64] * 3
    assert len(torch.unique(torch.cat(seen).flatten(1), dim=0)) == 65


def test_training_learns() -> None:
    model = network(replace(GENOME, survival=Survival()))
    held_out = feed(digits().val, digits(), CPU)
    start, _ = evaluate(model, held_out)
    *_, (epoch, _) = train(model, digits(), Recipe(epochs=4, rungs=(4,), batch=32, lr=0.1), CPU, 0)
    assert start > 0.8
    assert epoch.error < 0.6
    assert (epoch.error, epoch.cross_entropy) == evaluate(model, held_out)


def test_evaluation_counts_what_is_wrong() -> None:
    class Always(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.one_hot(torch.full((len(x),), 3), 10).float()

    error, nats = evaluate(Always(), feed(digits().val, digits(), CPU))
    right = float((digits().val.labels == 3).float().mean())
    assert error == pytest.approx(1 - right)
    assert nats == pytest.approx(math.log(math.e + 9) - right, rel=1e-5)


def test_a_rate_that_is_too_high_is_told_with_its_epoch() -> None:
    with pytest.raises(Diverged, match=r"^the (training loss|val cross-entropy) became (nan|inf) in epoch 1$"):
        trained(few(), RECIPE.model_copy(update={"lr": 1e30}))


def test_a_loss_far_above_that_of_guessing_is_given_up() -> None:
    recipe = ONCE.model_copy(update={"lr": 1e-9, "label_smoothing": 0.0})
    others = float((few().train.labels != 0).float().mean())
    limit = HOPELESS * math.log(10) / others  # images of other classes lose the logit each
    (epoch,), _ = trained(few(), recipe, model=certain(0.98 * limit))
    assert epoch.train_loss == pytest.approx(0.98 * HOPELESS * math.log(10), rel=0.01)
    with pytest.raises(Diverged, match=r"^the training loss became 23\.\d+ in epoch 1$"):
        trained(few(), recipe, model=certain(1.02 * limit))


def test_clipped_gradients_are_no_longer_than_the_recipe_says() -> None:
    lengths: list[float] = []

    def measure(optimizer: torch.optim.Optimizer, *_: object) -> None:
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
        lengths.append(float(torch.cat([each.flatten() for each in gradients if each is not None]).norm()))

    hook = register_optimizer_step_pre_hook(measure)
    try:
        for clip in (0.0, 0.05):
            trained(few(), ONCE.model_copy(update={"clip": clip}))
    finally:
        hook.remove()
    free, held = lengths[:4], lengths[4:]
    assert min(free) > 0.05
    assert held == pytest.approx([0.05] * 4, rel=1e-3)


@pytest.mark.parametrize("changes", [{}, {"crop": 2, "mixup": 0.5}], ids=["plain", "mixed"])
def test_parts_of_a_batch_add_up_to_it(changes: dict[str, float]) -> None:
    recipe = ONCE.model_copy(update={"lr": 0.01, **changes})
    whole, (states,) = trained(few(), recipe, model=without_norms())
    assert not same(states.weights, without_norms().state_dict())
    for parts in (2, 3):
        model = without_norms()
        seen = seen_in_training(model)
        epochs, (others,) = trained(few(), recipe, model=model, parts=parts)
        assert sum(map(len, seen)) == 200
        assert len(seen) == 4 * parts
        assert epochs[0].train_loss == pytest.approx(whole[0].train_loss, rel=1e-5)
        for name, value in states.weights.items():
            torch.testing.assert_close(others.weights[name], value, rtol=1e-4, atol=1e-6)


def test_no_part_is_a_single_image() -> None:
    model = network()
    seen = seen_in_training(model)
    trained(few(69), ONCE, model=model, parts=4)
    assert [len(images) for images in seen] == [16] * 4 + [3, 2]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU whose steps could be waited for")
@pytest.mark.parametrize("resident", [True, False])
def test_the_host_never_waits_for_a_step_of_the_gpu(resident: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archspace.training.loop, "TOGETHER", 1)  # each batch is augmented between steps
    if not resident:
        monkeypatch.setattr(archspace.training.feed, "free_bytes", lambda _: 0)
    changes = {"crop": 2, "flip": True, "cutout": 4, "mixup": 0.2, "cutmix": 1.0, "clip": 1.0, "ema": 0.9}
    recipe = RECIPE.model_copy(update={"batch": 20, **changes})
    done = 0

    def watch(*_: object) -> None:
        """From each epoch's first step to its last, between which nothing is measured."""
        nonlocal done
        done += 1
        torch.cuda.set_sync_debug_mode("error" if done % 10 else "default")

    hook = register_optimizer_step_post_hook(watch)
    try:
        trained(few(200), recipe, choose_mode(recipe, "cuda"))
        torch.cuda.set_sync_debug_mode("error")
        with pytest.raises(RuntimeError, match="synchronizing"):
            torch.ones((), device="cuda").item()
    finally:
        hook.remove()
        torch.cuda.set_sync_debug_mode("default")
    assert done == 3 * 10


def test_the_train_loss_counts_every_image_alike() -> None:
    """66 images in batches of 64: with weights that stand still, the loss of all is what both batches add up to."""
    task, model = few(66), without_norms()
    recipe = ONCE.model_copy(update={"lr": 1e-30, "label_smoothing": 0.0, "weight_decay": 0.0})
    (epoch,), _ = trained(task, recipe, model=model)
    _, cross_entropy = evaluate(model, feed(task.train, task, CPU))
    assert epoch.train_loss == pytest.approx(cross_entropy, rel=1e-5)


@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_compiled_network_trains_as_it_does_otherwise(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By torch's compiler, and by the part of it that needs no C++ compiler."""
    if backend == "inductor" and not shutil.which(cxx_compiler()):
        pytest.skip("torch.compile needs a C++ compiler")
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    task, recipe = few(50), ONCE.model_copy(update={"batch": 20})  # the last batch is smaller
    genome = replace(GENOME, survival=Survival())
    ((usual,), (as_usual,)), ((epoch,), (compiled,)) = (
        trained(task, recipe, mode, model=network(genome)) for mode in (CPU, replace(CPU, compiled="on"))
    )
    assert epoch.train_loss == pytest.approx(usual.train_loss, rel=1e-3)
    for name, value in as_usual.weights.items():
        torch.testing.assert_close(compiled.weights[name], value, rtol=1e-2, atol=1e-4)


def test_norms_are_estimated_from_whole_batches_alone() -> None:
    recipe, model = RECIPE.model_copy(update={"norm_batches": 8}), network(replace(GENOME, survival=Survival()))
    for images, batches in ((130, [64, 64]), (128, [64, 64]), (50, [50])):
        task, seen = few(images), []
        hook = model.register_forward_hook(lambda _, inputs, __, seen=seen: seen.append(len(inputs[0])))
        estimate_norms(model, Forward(CPU), feed(task.train, task, CPU), recipe)
        hook.remove()
        assert seen == batches
