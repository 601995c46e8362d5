"""What only a GPU can show: feeds, modes, recorded steps, checkpoints, memory that ends, timings.

Run it on a machine with one as `python -m pytest -n 0 -rA tests/test_cuda.py`; what is reported rather than asserted
is printed.
"""

import copy
import gc
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from trainings import GENOME, RECIPE, digits, few, network, same, trained

import archspace
from archspace.genome import Survival, genome_data
from archspace.parts.survival import BatchSurvival
from archspace.searching.trial import TrialSpec, epochs_of
from archspace.training.augment import chance, cropped, cut_out
from archspace.training.checkpoint import load_checkpoint, save_checkpoint
from archspace.training.device import choose_mode
from archspace.training.evaluation import evaluate
from archspace.training.fastest import candidates, fastest
from archspace.training.feed import feed
from archspace.training.loop import Epoch, train
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe
from archspace.training.step import Replay, is_steady

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

STEADY = replace(GENOME, survival=Survival())
PLAIN = Mode("cuda", bf16=False, channels_last=False)
USUAL = Mode("cuda", bf16=True, channels_last=True, fused=True, tf32=True)
MODES = {
    "fp32": PLAIN,
    "TF32": replace(PLAIN, tf32=True),
    "channels_last": replace(PLAIN, channels_last=True, fused=True),
    "bf16": replace(PLAIN, bf16=True),
    "usual": USUAL,
    "graphs": replace(USUAL, compiled="graphs"),
    "graphs in fp32": replace(PLAIN, fused=True, compiled="graphs"),
}
ALL = {"crop": 2, "flip": True, "cutout": 4, "mixup": 0.2, "cutmix": 1.0, "clip": 1.0, "ema": 0.9}


@pytest.fixture(autouse=True)
def _exact() -> Iterator[None]:
    """Nothing of one test stays for the next: no products in TF32, no memory, no limit of it."""
    yield
    torch.backends.cudnn.allow_tf32 = True
    gc.collect()
    torch.cuda.empty_cache()


def learnt(mode: Mode, seed: int = 0, **changes: Any) -> list[Epoch]:
    """Four epochs of a network that learns the digits; what it made of them agrees with the CPU's passes."""
    model = network(STEADY)
    recipe = Recipe(epochs=4, rungs=(4,), batch=32, lr=0.1, **changes)
    both = [(epoch, copy.deepcopy(state)) for epoch, state in train(model, digits(), recipe, mode, seed)]
    on_cpu = network(STEADY)
    on_cpu.load_state_dict(both[-1][1].weights)
    error, _ = evaluate(on_cpu, feed(digits().val, digits(), Mode("cpu", False, False)))
    assert error == pytest.approx(both[-1][0].error, abs=0.03)
    return [epoch for epoch, _ in both]


def test_batches_are_the_same_wherever_the_images_lie() -> None:
    task = few(150)
    places = list(torch.randperm(150, generator=torch.Generator().manual_seed(0)).split(32))  # type: ignore[no-untyped-call]
    resident, fetched = feed(task.train, task, USUAL), feed(task.train, task, USUAL, free=0)
    assert (resident.resident, fetched.resident) == (True, False)
    for each in (resident, fetched):
        got: list[tuple[Tensor, Tensor]] = [*each.batches(places), *each.in_order(64)]
        wanted = [*places, *torch.arange(150).split(64)]  # type: ignore[no-untyped-call]
        for (images, labels), some in zip(got, wanted, strict=True):
            assert images.device.type == labels.device.type == "cuda"
            assert torch.equal(images.cpu(), task.train.images[some])
            assert torch.equal(labels.cpu(), task.train.labels[some])
        assert each.normalised(got[0][0]).is_contiguous(memory_format=torch.channels_last)


def test_augmented_images_are_windows_of_mirrored_ones() -> None:
    recipe = Recipe(crop=3, flip=True, cutout=6)
    images = few(40).train.images
    moved = cropped(images.cuda(), recipe, chance(0, "cuda")).cpu()
    padded = torch.nn.functional.pad(images.float(), (3, 3, 3, 3), mode="reflect").to(torch.uint8)
    for before, after in zip(padded, moved, strict=True):
        windows = [before[:, y : y + 32, x : x + 32] for y in range(7) for x in range(7)]
        assert any(torch.equal(after, each) or torch.equal(after, each.flip(2)) for each in windows)
    holes = (cut_out(torch.ones(40, 1, 32, 32, device="cuda"), recipe, chance(0, "cuda")) == 0).sum((1, 2, 3))
    assert int(holes.min()) >= 9
    assert int(holes.max()) <= 36


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_every_mode_learns(mode: Mode) -> None:
    epochs = learnt(mode)
    assert epochs[-1].train_loss < 0.8 * epochs[0].train_loss
    assert epochs[-1].error < 0.6


def test_all_that_a_recipe_may_ask_for_learns() -> None:
    for mode in (USUAL, replace(USUAL, compiled="graphs")):
        epochs = learnt(mode, **{**ALL, "cutout": 0, "ema": 0.5})
        assert epochs[-1].train_loss < epochs[0].train_loss


@pytest.mark.parametrize("changes", [{}, {"mixup": 0.2, "cutmix": 1.0, "clip": 0.5}, {"ema": 0.9}])
def test_recorded_steps_learn_what_plain_ones_do(changes: dict[str, float]) -> None:
    """As far as kernels whose sums have no fixed order allow: a few steps, by a small rate."""
    recipe = RECIPE.model_copy(update={"epochs": 1, "rungs": (1,), "lr": 0.01, "batch": 20, "warmup": 0.1, **changes})
    plain = replace(PLAIN, fused=True)
    both = [trained(few(), recipe, mode, model=network(STEADY)) for mode in (plain, replace(plain, compiled="graphs"))]
    (one, (state,)), (other, (again,)) = both
    assert other[0].train_loss == pytest.approx(one[0].train_loss, rel=1e-3)
    for name, value in state.weights.items():
        torch.testing.assert_close(again.weights[name], value, rtol=1e-2, atol=1e-3, msg=name)
    assert all(isinstance(group["lr"], float) for group in again.optimizer["param_groups"])


def test_what_is_recorded_is_done_once_a_call() -> None:
    total = torch.zeros((), device="cuda")
    replay = Replay(lambda numbers: total.add_(numbers.sum()))
    for call in range(1, 9):
        replay(torch.full((4,), float(call), device="cuda"))
    replay(torch.ones(3, device="cuda"))
    assert float(total) == 4 * 36 + 3
    assert replay.graph is not None


def test_blocks_left_out_at_random_are_not_recorded() -> None:
    model = network()
    assert any(isinstance(module, BatchSurvival) for module in model.modules())
    assert is_steady(network(STEADY))
    assert not is_steady(model)
    trained(few(), RECIPE, replace(USUAL, compiled="graphs"), model=model)


def test_a_compiled_network_learns() -> None:
    epochs = learnt(replace(USUAL, compiled="on"))
    assert epochs[-1].train_loss < 0.8 * epochs[0].train_loss


def test_the_same_seed_twice() -> None:
    for name in ("fp32", "usual", "graphs"):
        curves = [learnt(MODES[name], **{**ALL, "cutout": 0}) for _ in range(2)]
        one, other = ([(epoch.train_loss, epoch.error) for epoch in curve] for curve in curves)
        print(f"the same seed twice, {name}: {'the same bits' if one == other else f'differs, {one} and {other}'}")
        assert one[0][0] == pytest.approx(other[0][0], rel=0.05)


@pytest.mark.parametrize("name", ["fp32", "usual", "graphs"])
def test_a_training_goes_on_from_its_checkpoint(name: str, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={**ALL, "cutout": 0})
    whole, states = trained(few(), recipe, MODES[name], model=network(STEADY))
    save_checkpoint(states[0], tmp_path)
    start = load_checkpoint(tmp_path)
    assert start is not None
    rest, after = trained(few(), recipe, MODES[name], start=start, model=network(STEADY))
    assert [epoch.epoch for epoch in rest] == [2, 3]
    print(f"gone on, {name}: {'the same bits' if same(after[-1].weights, states[-1].weights) else 'other bits'}")
    # The momenta are there: without them the first loss after the checkpoint would be another.
    assert rest[0].train_loss == pytest.approx(whole[1].train_loss, rel=0.05)


def test_where_memory_ends_halves_of_batches_are_tried(tmp_path: Path) -> None:
    genome = archspace.load_genome("ResNet-20_A_c10")
    recipe = Recipe(epochs=1, rungs=(1,), batch=1024, lr=0.1, warmup=0.0, norm_batches=1)

    def tried(folder: Path) -> list[dict[str, Any]]:
        folder.mkdir()
        spec = TrialSpec(0, genome_data(genome), 0, "digits", recipe, PLAIN, str(folder), 0.0)
        return list(epochs_of(spec, digits()))

    torch.cuda.reset_peak_memory_stats()
    (free,) = tried(tmp_path / "free")
    assert "parts" not in free
    assert "failed" not in free
    most, there = torch.cuda.max_memory_allocated(), torch.cuda.mem_get_info()[1]
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.75 * most / there)
    try:
        (limited,) = tried(tmp_path / "limited")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert limited.get("parts") == 2, limited
    print(f"a step of 1024 images: {most / 2**20:.0f} MiB; with three quarters of that, in {limited['parts']} parts")


def test_the_fastest_mode_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ARCHSPACE_CACHE", str(tmp_path))
    told: list[str] = []
    for compiled in ("off", "graphs"):
        recipe = Recipe(compile=compiled)
        mode = fastest(STEADY, digits(), recipe, "cuda", told.append)
        assert mode in candidates(recipe, "cuda")
        assert mode.compiled == compiled
        assert choose_mode(recipe, "cuda").bf16 == (torch.cuda.get_device_capability() >= (8, 0))
    print(*told, sep="\n")


def test_latency_and_memory_are_measured_on_the_gpu() -> None:
    from click.testing import CliRunner

    from archspace.cli.main import archspace as command

    said = CliRunner().invoke(command, ["profile", "resnet50", "--device", "cuda", "--batch", "32", "--noise", "0.5"])
    print(said.output)
    assert said.exit_code == 0, said.output
    assert torch.cuda.get_device_name() in said.output


def test_recorded_steps_take_less_time() -> None:
    genome = archspace.load_genome("ResNet-20_A_c10")
    speeds: dict[str, float] = {}
    for name in ("usual", "graphs"):
        model = archspace.build(genome, (1, 32, 32), 10)
        recipe = Recipe(epochs=6, rungs=(6,), batch=64, lr=0.05)
        speeds[name] = statistics.median(epoch.speed for epoch, _ in train(model, digits(), recipe, MODES[name], 0))
    print({name: f"{speed:,.0f} images/s" for name, speed in speeds.items()})
    assert speeds["graphs"] > speeds["usual"]
