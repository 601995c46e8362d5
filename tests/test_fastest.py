"""Modes: which are tried, which is taken, what is remembered."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch

from archspace.data.tasks import Task, load_task
from archspace.measure.calibration import cache_folder
from archspace.training import fastest as module
from archspace.training.device import choose_mode, has_bf16
from archspace.training.fastest import (
    alike,
    candidates,
    fastest,
    fastest_of_each,
    kind_of,
    mode_for,
    modes_text,
    shared_mode,
)
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe
from archspace.training.shortage import forget_peak, out_of_memory, peak_memory

GENOME = tiny.genomes(1)[0]


@pytest.fixture(scope="module")
def digits() -> Task:
    return load_task("digits")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHSPACE_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "SECONDS", 0.01)


@pytest.fixture
def bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let bfloat16 be tried, which any CPU can compute, if slowly: with it alone a CPU has two modes."""
    _cpu(monkeypatch, avx512=False, bf16=True)


def _cpu(monkeypatch: pytest.MonkeyPatch, avx512: bool, bf16: bool, amx: bool = False) -> None:
    monkeypatch.setattr(module, "has_bf16", lambda _: bf16)
    monkeypatch.setattr("archspace.training.device.bf16_is_usual", lambda _: amx)
    for where in (module.__name__, "archspace.training.device"):
        monkeypatch.setattr(f"{where}.has_avx512", lambda: avx512)


LAST, CONTIGUOUS, BF16 = (False, True), (False, False), (True, True)
"""Whether in bfloat16, and in channels_last order."""


@pytest.mark.parametrize(
    ("avx512", "bf16", "amx", "tried"),
    [
        (False, False, False, [CONTIGUOUS]),
        (True, False, False, [LAST]),
        (True, True, False, [LAST, BF16]),
        (True, True, True, [BF16, LAST]),
        (False, True, True, [BF16, CONTIGUOUS]),  # AMX, but vectors are held to AVX2
    ],
)
def test_a_cpu_has_modes_by_its_instructions(
    monkeypatch: pytest.MonkeyPatch, avx512: bool, bf16: bool, amx: bool, tried: list[tuple[bool, bool]]
) -> None:
    _cpu(monkeypatch, avx512, bf16, amx)
    assert [(mode.bf16, mode.channels_last) for mode in candidates(Recipe(), "cpu")] == tried
    half = candidates(Recipe(precision="bf16"), "cpu")
    assert [(mode.bf16, mode.channels_last) for mode in half] == [BF16]


def test_the_usual_mode_comes_first_and_what_a_recipe_says_is_kept() -> None:
    open_modes = candidates(Recipe(), "cpu")
    assert open_modes[0] == choose_mode(Recipe(), "cpu")
    assert len(set(open_modes)) == len(open_modes) == 1 + has_bf16("cpu")
    assert all(mode.fused for mode in open_modes)
    fixed = candidates(Recipe(precision="fp32", layout="channels_last"), "cpu")
    assert {(mode.bf16, mode.channels_last) for mode in fixed} == {(False, True)}


@pytest.mark.usefixtures("bf16")
def test_the_fastest_is_measured_once_then_remembered(digits: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    mode = fastest(GENOME, digits, Recipe(), "cpu", told.append)
    assert mode in candidates(Recipe(), "cpu")
    assert len(told) == 1
    assert told[0].startswith(f"{kind_of(GENOME)}: cpu, ")
    (file,) = (cache_folder() / "modes").iterdir()
    seconds = {one["mode"]: one["seconds"] for one in json.loads(file.read_text())["measured"]}
    usual = seconds[str(choose_mode(Recipe(), "cpu"))]
    assert seconds[str(mode)] == min(seconds.values()) or min(seconds.values()) * module.GAIN >= usual
    monkeypatch.delattr(module, "_step")
    assert fastest(GENOME, digits, Recipe(), "cpu", told.append) == mode
    assert len(told) == 1


@pytest.mark.parametrize(
    "content", ["", "{}", "nonsense", '{"mode": {"device": "cpu"}}', '{"mode": {"device": "tpu", "bf16": 1}}']
)
@pytest.mark.usefixtures("bf16")
def test_a_file_that_makes_no_sense_is_measured_anew(digits: Task, content: str) -> None:
    fastest(GENOME, digits, Recipe(), "cpu", lambda _: None)
    (file,) = (cache_folder() / "modes").iterdir()
    file.write_text(content)
    told: list[str] = []
    fastest(GENOME, digits, Recipe(), "cpu", told.append)
    assert len(told) == 1


@pytest.mark.usefixtures("bf16")
def test_a_mode_is_taken_only_where_it_gains_more_than_noise(digits: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, other, *_ = candidates(Recipe(), "cpu")
    for seconds, chosen in ((0.95, usual), (0.5, other)):
        monkeypatch.setattr(module, "_step", lambda *a, s=seconds: s if a[3] == other else 1.0)
        recipe = Recipe(batch=2 + int(100 * seconds))  # remembered by batch
        assert fastest(GENOME, digits, recipe, "cpu", lambda _: None) == chosen


def test_kinds_are_told_apart_by_blocks_and_groups(digits: Task) -> None:
    plain = replace(GENOME, stages=tuple(replace(s, genes=replace(s.genes, cardinality=1)) for s in GENOME.stages))  # type: ignore[type-var]
    grouped = replace(GENOME, stages=tuple(replace(s, genes=replace(s.genes, cardinality=2)) for s in GENOME.stages))  # type: ignore[type-var]
    assert (kind_of(plain), kind_of(grouped)) == ("bottleneck", "bottleneck grouped")
    modes = fastest_of_each([plain, grouped, plain], digits, Recipe(), "cpu", lambda _: None)
    assert list(modes) == ["bottleneck", "bottleneck grouped"]
    assert mode_for(grouped, modes, Recipe(), "cpu") == modes["bottleneck grouped"]
    assert mode_for(grouped, {}, Recipe(), "cpu") == choose_mode(Recipe(), "cpu")


def test_modes_are_told_with_their_kinds_where_they_differ() -> None:
    one, other = Mode("cpu", False, False), Mode("cpu", False, True)
    assert modes_text({"basic": one, "dense": one}) == "cpu, fp32, contiguous"
    assert (
        modes_text({"basic": one, "dense": other}) == "cpu, fp32, contiguous (basic); cpu, fp32, channels_last (dense)"
    )


@pytest.mark.usefixtures("bf16")
def test_what_one_recipe_fixed_is_not_remembered_for_another(digits: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, other = candidates(Recipe(), "cpu")
    monkeypatch.setattr(module, "_step", lambda *a: 0.1 if a[3] == other else 1.0)
    fixed = Recipe(precision="fp32", layout="auto")
    assert fastest(GENOME, digits, fixed, "cpu", lambda _: None) == usual
    assert fastest(GENOME, digits, Recipe(), "cpu", lambda _: None) == other


@pytest.mark.usefixtures("bf16")
def test_a_mode_that_memory_is_too_small_for_is_not_taken(digits: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, other = candidates(Recipe(), "cpu")

    def step(*asked: object) -> float:
        if asked[3] == usual:
            raise RuntimeError("CUDA error: out of memory")
        return 1.0

    told: list[str] = []
    monkeypatch.setattr(module, "_step", step)
    assert fastest(GENOME, digits, Recipe(), "cpu", told.append) == other
    assert "fp32, contiguous, fused step: out of memory" in told[0]


def test_memory_that_ran_out_is_told_from_other_errors() -> None:
    for text in ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"):
        assert out_of_memory(RuntimeError(text))
    assert out_of_memory(OSError(12, "Cannot allocate memory"))
    assert out_of_memory(MemoryError())
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not out_of_memory(ValueError("out of memory"))


def test_the_peak_is_that_of_now() -> None:
    held = torch.ones(40 * 2**20)
    del held
    before = peak_memory()
    forget_peak()
    assert peak_memory() <= before - 100 * 2**20 or sys.platform != "linux"


def test_networks_that_are_compared_are_trained_in_one_mode() -> None:
    one, other = Mode("cpu", False, False, fused=True), Mode("cpu", True, True, fused=True)
    assert alike({"basic": other, "dense": other}, Recipe(), "cpu") == {"basic": other, "dense": other}
    mixed = alike({"basic": one, "dense": other}, Recipe(precision="bf16"), "cpu")
    assert mixed == dict.fromkeys(("basic", "dense"), choose_mode(Recipe(precision="bf16"), "cpu"))
    assert shared_mode({"basic": one, "dense": other}) is None
