"""The hierarchy task: its grammar, its images, its splits, and that depth and width help."""

import numpy as np
import pytest
import torch

from archspace.blocks.basic import BasicGenes
from archspace.blueprint import draw
from archspace.data.hierarchy import (
    Array,
    Grammar,
    Hierarchy,
    draw_data,
    draw_glyphs,
    draw_grammar,
    expand,
    fingerprint,
    hierarchy,
    parse,
    render,
)
from archspace.data.tasks import Task, load_task
from archspace.errors import UserError
from archspace.genome import Genome, Stage, Stem
from archspace.network import build
from archspace.training.device import choose_mode
from archspace.training.loop import train
from archspace.training.recipe import Recipe

SMALL = {"train": "300", "val": "100", "test": "100"}
SHAPES = [
    Hierarchy(),
    Hierarchy(levels=2, productions=8, seed=3),
    Hierarchy(levels=4, classes=3, symbols=5, productions=2, train=200, val=20, test=20, seed=1),
    Hierarchy(levels=1, classes=4, symbols=3, productions=20, train=20, val=10, test=10),
    Hierarchy(levels=3, classes=40, symbols=4, productions=6, seed=2),
]


def shape(asked: Hierarchy) -> str:
    return f"L={asked.levels}, n_c={asked.classes}, v={asked.symbols}, m={asked.productions}"


def quiet(*_: object) -> None:
    pass


def task(**options: object) -> Task:
    return hierarchy("", SMALL | {key: str(value) for key, value in options.items()}, quiet)


def parsed(grid: Array, grammar: Grammar) -> int:
    """The class of one arrangement of symbols, read from the bottom up; each square has to be a production."""
    for rules in reversed(grammar.rules):
        above = {tuple(square): symbol for symbol, squares in enumerate(rules.tolist()) for square in squares}
        rows = range(0, len(grid), 2)
        grid = np.array([[above[tuple(grid[y : y + 2, x : x + 2].ravel().tolist())] for x in rows] for y in rows])
    assert grid.shape == (1, 1)
    return int(grid[0, 0])


@pytest.mark.parametrize("asked", SHAPES, ids=shape)
def test_no_two_symbols_share_a_production(asked: Hierarchy) -> None:
    grammar = draw_grammar(asked, np.random.default_rng(asked.seed))
    assert [rules.shape for rules in grammar.rules] == [
        (count, asked.productions, 4) for count in [asked.classes] + [asked.symbols] * (asked.levels - 1)
    ]
    for rules in grammar.rules:
        squares = rules.reshape(-1, 4)
        assert len(np.unique(squares, axis=0)) == len(squares)
        assert set(squares.ravel().tolist()) == set(range(asked.symbols))


@pytest.mark.parametrize("asked", SHAPES, ids=shape)
def test_the_class_can_be_read_from_the_symbols_of_the_last_level(asked: Hierarchy) -> None:
    rng = np.random.default_rng(asked.seed)
    grammar = draw_grammar(asked, rng)
    labels, leaves = draw_data(asked, grammar, rng)
    assert leaves.shape == (asked.images, 2**asked.levels, 2**asked.levels)
    assert [parsed(grid, grammar) for grid in leaves[:100]] == labels[:100].tolist()


@pytest.mark.parametrize("asked", SHAPES, ids=shape)
def test_no_arrangement_of_symbols_is_in_two_splits_or_twice_in_one(asked: Hierarchy) -> None:
    rng = np.random.default_rng(asked.seed)
    _, leaves = draw_data(asked, draw_grammar(asked, rng), rng)
    assert len(np.unique(leaves.reshape(len(leaves), -1), axis=0)) == asked.images


def test_repeated_arrangements_are_drawn_again() -> None:
    asked = Hierarchy(levels=1, classes=5, productions=20, train=30, val=10, test=10)
    rng = np.random.default_rng(0)
    grammar = draw_grammar(asked, rng)
    _, leaves = expand(asked.images, grammar, rng)
    assert len(np.unique(leaves.reshape(len(leaves), -1), axis=0)) < asked.images  # so that there is something to mend
    labels, leaves = draw_data(asked, grammar, rng)
    assert len(labels) == len(np.unique(leaves.reshape(len(leaves), -1), axis=0)) == asked.images


def test_classes_and_productions_are_equally_likely() -> None:
    asked = Hierarchy(levels=1, classes=5, productions=3, train=2, val=1, test=1)
    rng = np.random.default_rng(0)
    grammar = draw_grammar(asked, rng)
    labels, leaves = expand(15_000, grammar, rng)
    assert np.bincount(labels) == pytest.approx(3000, rel=0.1)
    _, counts = np.unique(leaves.reshape(-1, 4), axis=0, return_counts=True)
    assert len(counts) == 15
    assert counts == pytest.approx(1000, rel=0.15)


def test_images_are_bytes_in_splits_of_the_sizes_asked_for() -> None:
    made = task(levels=2, patch=5, productions=6)
    assert [len(split.labels) for split in (made.train, made.val, made.test)] == [300, 100, 100]
    assert made.input == tuple(made.train.images.shape[1:]) == (1, 20, 20)
    assert made.train.images.dtype == torch.uint8
    assert made.train.labels.dtype == torch.int64
    assert made.classes == len(made.class_names) == 10
    assert made.mean == pytest.approx((float(made.train.images.float().mean()),))
    assert made.std == pytest.approx((float(made.train.images.float().std(correction=0)),))
    assert made.splits.startswith("300 train, 100 val, 100 test images of one grammar")
    assert not torch.equal(made.train.images[:100], made.val.images)


def test_the_same_options_give_the_same_bytes() -> None:
    first, again = task(), task()
    for part, same in zip((first.train, first.val, first.test), (again.train, again.val, again.test), strict=True):
        assert torch.equal(part.images, same.images)
        assert torch.equal(part.labels, same.labels)
    assert (first.name, first.fingerprint) == (again.name, again.fingerprint)
    assert not torch.equal(first.train.images, task(seed=1).train.images)


def test_every_option_changes_the_fingerprint() -> None:
    changes = {"levels": 4, "productions": 3, "patch": 5, "jitter": 0} | dict.fromkeys(("noise", "brightness"), 1.0)
    changes |= {name: 7 for name in Hierarchy.model_fields if name not in changes}
    others = [fingerprint(Hierarchy(**{name: value})) for name, value in changes.items()]  # type: ignore[arg-type]
    assert len({fingerprint(Hierarchy()), *others}) == len(Hierarchy.model_fields) + 1


def test_the_name_loads_the_task_again() -> None:
    made = load_task("hierarchy train=300 seed=5 levels=3 noise=10 val=100 test=100")
    assert made.name == "hierarchy noise=10.0 seed=5 test=100 train=300 val=100"
    again = load_task(made.name)
    assert again.fingerprint == made.fingerprint
    assert torch.equal(again.test.images, made.test.images)


def test_a_symbol_without_noise_is_its_glyph_moved() -> None:
    asked = Hierarchy(noise=0, brightness=0)
    rng = np.random.default_rng(0)
    glyphs = draw_glyphs(asked, rng)
    assert glyphs.shape == (8, 9, 4, 4)
    leaves = rng.integers(8, size=(20, 3, 3)).astype(np.uint8)
    images = render(asked, glyphs, leaves, rng)
    assert images.shape == (20, 1, 12, 12)
    for (image, row, column), symbol in np.ndenumerate(leaves):
        patch = images[image, 0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        assert (glyphs[symbol] == patch).all(axis=(1, 2)).any()
    still, right = glyphs[:, 4], glyphs[:, 3]
    assert (right[:, :, 1:] == still[:, :, :-1]).all()
    assert (right[:, :, 0] == 128).all()
    assert len(np.unique(still.reshape(8, -1), axis=0)) == 8


def test_noise_and_brightness_have_the_size_asked_for() -> None:
    leaves = np.zeros((500, 4, 4), np.uint8)
    grey = np.full((1, 1, 4, 4), 128, np.float32)
    noisy = render(Hierarchy(noise=20, brightness=0), grey, leaves, np.random.default_rng(0)).astype(float)
    assert noisy.std() == pytest.approx(20, rel=0.02)
    lit = render(Hierarchy(noise=0, brightness=20), grey, leaves, np.random.default_rng(0)).astype(float)
    assert lit.std() == pytest.approx(20 / 3**0.5, rel=0.03)
    assert (lit.min(), lit.max()) == (108, 148)
    assert (lit[:, :, :4, :4] == lit[:, :, :1, :1]).all()


def test_progress_is_told_to_the_end() -> None:
    told: list[tuple[str, int, int]] = []
    hierarchy("", SMALL | {"train": "3000"}, lambda *said: told.append(said))
    assert told == [("drawing images", 2048, 3200), ("drawing images", 3200, 3200)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"level": "3"},
            "task hierarchy: option level: unknown key (did you mean 'levels'?); known keys are brightness",
        ),
        ({"levels": "0"}, "task hierarchy: option levels: must be at least 1, not 0"),
        ({"levels": "2.5"}, "task hierarchy: option levels: expected a whole number, found 2.5"),
        ({"classes": "many"}, "task hierarchy: option classes: expected a whole number, found 'many'"),
        ({"noise": "nan"}, "task hierarchy: option noise: expected a finite number, found nan"),
        ({"seed": "-1"}, "task hierarchy: option seed: must be at least 0, not -1"),
        ({"jitter": "4"}, "task hierarchy: jitter=4 must be less than patch=4"),
        (
            {"productions": "410"},
            "task hierarchy: productions=410 is too many: 8 symbols make 4096 squares of 2 x 2, and no two symbols or "
            "classes may share one; give at most 409, or more symbols",
        ),
        (
            {"levels": "1"},
            "task hierarchy: 12000 images are too many for a grammar of 20, of which at most 1 in 2 is drawn; give "
            "fewer images, or more levels or productions",
        ),
    ],
)
def test_options_that_make_no_task_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(options)
    assert str(caught.value).startswith(message)


def test_every_mistake_is_told() -> None:
    with pytest.raises(UserError) as caught:
        parse({"levels": "0", "classes": "1"})
    assert len(caught.value.messages) == 2


def test_a_path_is_refused() -> None:
    with pytest.raises(UserError, match=r"^task hierarchy takes no path$"):
        hierarchy("here", {}, quiet)


def test_every_square_may_be_a_production() -> None:
    full = Hierarchy(levels=5, symbols=4, classes=4, productions=64)
    for rules in draw_grammar(full, np.random.default_rng(0)).rules:
        assert len(np.unique(rules.reshape(-1, 4), axis=0)) == 4**4


RECIPE = Recipe(
    epochs=6, rungs=(6,), batch=32, lr=0.1, warmup=0.5, label_smoothing=0.0, norm_batches=16, precision="fp32"
)


def error_of(made: Task, stages: int, depth: int, width: int, seeds: tuple[int, ...] = (1,)) -> float:
    """Mean error on val of a network of basic blocks, the same width throughout, after about half a minute."""
    stage = Stage("basic", depth, width, 2, BasicGenes())
    genome = Genome((stage,) * stages, Stem("regnet", width))
    errors = []
    for seed in seeds:
        network = build(draw(genome, made.input, made.classes), torch.Generator().manual_seed(seed))
        *_, (last, _) = train(network, made, RECIPE, choose_mode(RECIPE, "cpu"), seed)
        errors.append(last.error)
    return sum(errors) / len(errors)


@pytest.mark.slow
def test_error_falls_with_depth_and_with_width() -> None:
    made = hierarchy("", {}, quiet)
    mid = error_of(made, 3, 1, 16, seeds=(1, 2))
    assert 0.05 <= mid <= 0.20
    shallow, deep = error_of(made, 2, 1, 16), error_of(made, 3, 2, 16)
    assert shallow - 0.3 > mid > deep * 1.25
    narrow, wide = error_of(made, 3, 1, 8), error_of(made, 3, 1, 32)
    assert narrow - 0.2 > mid > wide * 1.25
