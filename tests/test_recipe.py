"""Recipes: rates over time, settings on the command line, files."""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archspace.document import read_text
from archspace.errors import UserError
from archspace.training.device import choose_mode, has_avx512
from archspace.training.mode import Mode
from archspace.training.optimizer import learning_rate
from archspace.training.recipe import Recipe, default_rungs, with_settings
from archspace.training.recipefile import load_recipe, read_recipe, shipped_recipes

STEPS = Recipe(epochs=8, rungs=(8,), warmup=1, lr=0.2, schedule="steps", milestones=(0.5, 0.75))


def test_the_rate_warms_up_then_falls_by_half_a_cosine() -> None:
    recipe = Recipe(epochs=5, rungs=(5,), warmup=1, lr=0.2)
    rates = {0: 0.0, 0.5: 0.1, 1: 0.2, 2: 0.2 * (2 + math.sqrt(2)) / 4, 3: 0.1, 5: 0.0}
    assert {done: learning_rate(recipe, done) for done in rates} == pytest.approx(rates, abs=1e-12)
    assert learning_rate(Recipe(warmup=0), 0) == Recipe().lr


def test_the_rate_warms_up_then_falls_to_a_tenth_behind_each_milestone() -> None:
    rates = {0.25: 0.05, 1: 0.2, 3.9: 0.2, 4: 0.2, 4.01: 0.02, 6: 0.02, 6.01: 0.002, 8: 0.002}
    assert {done: learning_rate(STEPS, done) for done in rates} == pytest.approx(rates)


def test_as_many_steps_are_taken_at_the_full_rate_as_the_paper_says() -> None:
    """He et al. 2015 (1512.03385, Section 4.2): 45,000 images in batches of 128, falling at steps 32,000 and 48,000."""
    recipe, steps = load_recipe("paper"), math.ceil(45_000 / 128)
    rates = Counter(round(learning_rate(recipe, (step + 1) / steps), 9) for step in range(recipe.epochs * steps))
    counts = [rates[rate] for rate in (0.1, 0.01, 0.001)]
    assert counts == [91 * steps, 91 * steps // 2, 91 * steps // 2]
    assert [sum(counts[:fall]) for fall in (1, 2, 3)] == pytest.approx([32_000, 48_000, 64_000], rel=0.002)


@pytest.mark.parametrize(("lr_batch", "batch", "peak"), [(None, 512, 0.1), (256, 256, 0.1), (256, 1024, 0.4)])
def test_the_peak_grows_with_the_batch_where_the_recipe_says_so(lr_batch: int | None, batch: int, peak: float) -> None:
    recipe = Recipe(lr=0.1, lr_batch=lr_batch, batch=batch)
    assert recipe.peak == pytest.approx(peak)
    assert learning_rate(recipe, recipe.warmup) == pytest.approx(peak)


@pytest.mark.parametrize(
    ("epochs", "rungs"), [(1, (1,)), (2, (2,)), (3, (1, 3)), (10, (1, 3, 10)), (30, (1, 3, 10, 30))]
)
def test_default_rungs_lie_a_factor_of_three_apart(epochs: int, rungs: tuple[int, ...]) -> None:
    assert default_rungs(epochs) == rungs
    changes: dict[str, Any] = {"epochs": epochs, "rungs": default_rungs(epochs)}
    assert Recipe(**changes).rungs == rungs


def test_the_precision_and_the_layout_may_be_chosen() -> None:
    assert choose_mode(Recipe(precision="bf16"), "cpu") == Mode("cpu", True, True, fused=True)
    assert choose_mode(Recipe(precision="fp32"), "cpu") == Mode("cpu", False, has_avx512(), fused=True)
    assert choose_mode(Recipe(precision="fp32", layout="contiguous"), "cpu") == Mode("cpu", False, False, fused=True)
    assert choose_mode(Recipe(precision="bf16", layout="contiguous"), "cpu") == Mode("cpu", True, False, fused=True)
    assert choose_mode(Recipe(precision="fp32", layout="channels_last"), "cpu") == Mode("cpu", False, True, fused=True)
    for device, compiled in (("cuda", "graphs"), ("cpu", "off")):
        assert choose_mode(Recipe(precision="fp32", compile="graphs"), device).compiled == compiled
    assert str(Mode("cpu", bf16=False, channels_last=False)) == "cpu, fp32, contiguous"
    assert str(Mode("cuda", True, True, True, True, "on")) == (
        "cuda, bf16 autocast, channels_last, fused step, TF32, compiled"
    )


def test_settings_change_the_recipe() -> None:
    assert with_settings(Recipe(), []) == Recipe()
    recipe = with_settings(Recipe(), ["recipe.epochs=30", "recipe.lr = 0.1", "recipe.precision=fp32"])
    assert (recipe.epochs, recipe.lr, recipe.precision) == (30, 0.1, "fp32")
    assert recipe.rungs == (1, 3, 10, 30)
    assert with_settings(Recipe(), ["recipe.epochs=9", "recipe.rungs=2,9"]).rungs == (2, 9)
    assert with_settings(Recipe(), ["recipe.rungs=[2, 3]"]).rungs == (2, 3)


def test_settings_go_on_top_of_a_recipe_of_a_file() -> None:
    fast = load_recipe("fast")
    assert with_settings(fast, ["recipe.flip=false", "recipe.lr_batch=64"]) == fast.model_copy(
        update={"flip": False, "lr_batch": 64}
    )
    assert with_settings(with_settings(fast, ["recipe.lr_batch=64"]), ["recipe.lr_batch=none"]) == fast
    assert with_settings(fast, ["recipe.epochs=30"]).rungs == (3, 10, 30)  # 1 lies in the warm-up of 2 epochs
    assert with_settings(fast, ["recipe.epochs=30", "recipe.warmup=0.5"]).rungs == (1, 3, 10, 30)
    assert with_settings(Recipe(), ["recipe.warmup=2"]).rungs == (3,)
    with pytest.raises(UserError, match=r"warmup of 2[.]0 epochs must be over by the first rung, epoch 1"):
        with_settings(Recipe(), ["recipe.warmup=2", "recipe.rungs=1,3"])
    with pytest.raises(UserError, match=r"warmup of 3[.]0 epochs must be over by the first rung, epoch 2"):
        with_settings(Recipe(epochs=4, rungs=(2, 4)), ["recipe.warmup=3"])
    stepped = with_settings(fast, ["recipe.schedule=steps", "recipe.milestones=[0.5, 0.8]"])
    assert (stepped.schedule, stepped.milestones) == ("steps", (0.5, 0.8))


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
        ("recipe.epochs=2000000", "--set recipe.epochs: Input should be less than or equal to 1000000"),
        (f"recipe.epochs={'9' * 5000}", "--set recipe.epochs: Unable to parse input string as an integer"),
        ("recipe.epochs=²", "--set recipe.epochs: Input should be a valid integer"),
        ("recipe.rungs=2", "--set recipe: rungs [2] must rise and end at epochs = 3"),
        ("recipe.rungs=3,1", "--set recipe: rungs [3, 1] must rise and end at epochs = 3"),
        ("recipe.rungs=", "--set recipe: rungs [] must rise and end at epochs = 3"),
        ("recipe.warmup=3", "--set recipe: warmup of 3.0 epochs must be shorter than epochs = 3"),
        ("recipe.precision=fp8", "--set recipe.precision: Input should be 'auto', 'fp32' or 'bf16'"),
        ("recipe.milestones=0.5", "--set recipe: milestones and schedule: steps go together; give both or none"),
        ("recipe.schedule=steps", "--set recipe: milestones and schedule: steps go together; give both or none"),
        ("recipe.milestones=0.5,1", "--set recipe.milestones.1: Input should be less than 1"),
        ("recipe.ema=1", "--set recipe.ema: Input should be less than 1"),
        ("recipe.crop=-1", "--set recipe.crop: Input should be greater than or equal to 0"),
        ("recipe.flip=perhaps", "--set recipe.flip: Input should be a valid boolean"),
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


def shipped_files() -> Iterator[Path]:
    return (Path(__file__).parent.parent / "recipes").glob("*.yaml")


def test_shipped_recipes_are_those_of_the_folder_and_are_found_by_name_and_by_file() -> None:
    assert shipped_recipes() == tuple(sorted(file.stem for file in shipped_files()))
    assert {"fast", "standard", "paper"} <= set(shipped_recipes())
    for file in shipped_files():
        recipe = load_recipe(file)
        assert recipe == load_recipe(file.stem) == load_recipe(file.name)
        assert type(recipe) is Recipe
        assert read_text(file.read_text(encoding="utf-8"), "").data["name"] == file.stem
        assert recipe.warmup <= recipe.rungs[0] < recipe.rungs[-1] == recipe.epochs


def test_the_default_recipe_has_a_name_too() -> None:
    assert load_recipe("default") == Recipe()


def test_a_file_says_what_differs_and_a_folder_of_the_same_name_is_in_no_ones_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fast").mkdir()
    shipped = load_recipe("fast")
    (tmp_path / "fast.yaml").write_text("epochs: 30\nwarmup: 2\nabout: mine\n", encoding="utf-8")
    assert load_recipe("fast") == shipped
    assert load_recipe("fast.yaml") == Recipe(epochs=30, rungs=(3, 10, 30), warmup=2)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("fats", " (did you mean 'fast'?)"), ("standart.yaml", " (did you mean 'standard'?)"), ("recipes/zzz", "")],
)
def test_an_unknown_recipe_is_told_with_the_closest_name(name: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe(name)
    shipped = ", ".join(("default", *shipped_recipes()))
    assert str(caught.value) == (
        f"recipe {name!r}{hint}: no such file, and no shipped recipe of that name; shipped are {shipped}"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- 1", "1:1: expected a mapping, found a list"),
        ("fast", "1:1: expected a mapping, found 'fast'"),
        ("epochs: 3\nlrr: 0.1", "2:1: lrr: unknown key (did you mean 'lr'?); known keys are about, batch, clip"),
        ("lr: 1\nschedule: stps", "2:1: schedule: expected 'cosine' or 'steps', found 'stps' (did you mean 'steps'?)"),
        ("lr: fast", "1:1: lr: expected a number, found 'fast'"),
        ("lr: .inf", "1:1: lr: expected a finite number, found inf"),
        ("lr: 0", "1:1: lr: must be above 0.0, not 0"),
        ("crop: 1.5", "1:1: crop: expected a whole number, found 1.5"),
        ("batch: 1", "1:1: batch: must be at least 2, not 1"),
        ("crop: 4\nflip: 1", "2:1: flip: expected true or false, found 1"),
        ("epochs: true", "1:1: epochs: expected a whole number, found true"),
        ("epochs: 0", "1:1: epochs: must be at least 1, not 0"),
        ("epochs: 9\nwarmup: [1]", "2:1: warmup: expected a number, found a list"),
        ("epochs: 9\nwarmup:", "2:1: warmup: expected a number, found nothing"),
        ("rungs: 3", "1:1: rungs: expected a list, found 3"),
        ("schedule: steps\nmilestones: [0.5, 2]", "2:19: milestones[1]: must be below 1.0, not 2"),
        ("lr: 0.1\nlr: 0.2", "2:1: key 'lr' is here twice, first in line 1; keep one"),
        ("lr: [0.1", "1:9: not YAML: expected ',' or ']'"),
    ],
)
def test_a_mistake_in_a_file_is_told_once_and_at_its_place(text: str, problem: str) -> None:
    with pytest.raises(UserError) as caught:
        read_recipe(read_text(text, "mine.yaml"))
    (message,) = caught.value.messages
    assert message.startswith(f"mine.yaml:{problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("epochs: 9\nwarmup: 9", "2:1: warmup of 9.0 epochs must be shorter than epochs = 9"),
        ("lr: 1\nwarmup: 3", "2:1: warmup of 3.0 epochs must be shorter than epochs = 3"),
        ("epochs: 9\nrungs: [1, 9]\nwarmup: 2", "3:1: warmup of 2.0 epochs must be over by the first rung, epoch 1"),
        ("lr: 1\nrungs: [3, 1]", "2:1: rungs [3, 1] must rise and end at epochs = 3"),
        ("schedule: steps\nmilestones: [0.5, 0.4]", "2:1: milestones [0.5, 0.4] must rise"),
        ("lr: 1\nschedule: steps", "2:1: schedule: milestones and schedule: steps go together; give both or none"),
        ("milestones: [0.5]", "1:1: milestones and schedule: steps go together; give both or none"),
    ],
)
def test_values_that_do_not_go_together_are_told_at_one_of_them(text: str, problem: str) -> None:
    with pytest.raises(UserError) as caught:
        read_recipe(read_text(text, "mine.yaml"))
    assert str(caught.value) == f"mine.yaml:{problem}"


def test_all_mistakes_of_a_file_are_told_in_their_order() -> None:
    with pytest.raises(UserError) as caught:
        read_recipe(read_text("crops: 4\nlr: 0.1\nema: 1\nmixup: -1\ncompile: yes", "mine.yaml"))
    assert [message.split(": ")[0] for message in caught.value.messages] == [f"mine.yaml:{n}:1" for n in (1, 3, 4, 5)]
