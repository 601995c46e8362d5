"""The Random Hierarchy Model as images: a task whose demands on depth and width are dials (Cagnetta et al. 2024).

Cagnetta, Petrini, Tomasini, Favero, Wyart: How Deep Neural Networks Learn Compositional Data: The Random Hierarchy
Model, Physical Review X 14, 031001 (2307.02129). There a symbol stands for a row of s symbols; here for 2 x 2 of them,
so s = 4 and the model is an image.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from archspace.data.normalisation import mean_and_deviation, sums_of
from archspace.data.tasks import Progress, Split, Task, task_name
from archspace.errors import UserError
from archspace.plainwords import told

Array = npt.NDArray[Any]

PARTS = 4
"""Symbols that one production gives, 2 x 2: the paper's s."""
GREY = 128
"""What a patch that was moved leaves behind."""
CHUNK = 2048
"""Images rendered at a time; it is part of what the bytes depend on."""
CHUNK_PIXELS = 1 << 27
"""Pixels rendered at a time: fewer images than CHUNK where they are large."""
MOST = 4 << 30
"""Bytes of all images, which are held in memory."""
ROOM = 2
"""Data that a grammar must have for each image asked for, so that drawing distinct ones ends soon."""
VERSION = 1
"""Goes up where the same options come to give other bytes."""
_TYPED = TypeAdapter(dict[str, Annotated[int | float | str, Field(union_mode="left_to_right")]])


class Hierarchy(BaseModel):
    """The options of the task.

    `levels` is the paper's L and asks for depth: 2^levels symbols a side. `classes` (n_c), `symbols` of each level (v)
    and `productions` of each symbol (m) ask for width and for data: a deep network needs of the order of n_c x m^L
    images, a shallow one many more. A symbol of the last level is a square of `patch` pixels, moved by up to `jitter`
    pixels each way, lightened or darkened by up to `brightness` and overlaid with normal noise of deviation `noise`,
    both in units of a pixel's 0 to 255. `train`, `val` and `test` are numbers of images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    levels: Annotated[int, Field(ge=1, le=6)] = 3
    classes: Annotated[int, Field(ge=2, le=1000)] = 10
    symbols: Annotated[int, Field(ge=2, le=64)] = 8
    productions: Annotated[int, Field(ge=1)] = 2
    patch: Annotated[int, Field(ge=1, le=32)] = 4
    noise: Annotated[float, Field(ge=0, le=255)] = 65.0
    brightness: Annotated[float, Field(ge=0, le=255)] = 20.0
    jitter: Annotated[int, Field(ge=0)] = 1
    train: Annotated[int, Field(ge=2)] = 8000
    val: Annotated[int, Field(ge=1)] = 2000
    test: Annotated[int, Field(ge=1)] = 2000
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def images(self) -> int:
        """Those of all splits."""
        return self.train + self.val + self.test

    @property
    def pixels(self) -> int:
        """Those of an image."""
        return int(PARTS**self.levels * self.patch**2)

    @property
    def data(self) -> int:
        """How many different arrangements of symbols the grammar has: n_c x m^(1 + 4 + ... + 4^(L - 1))."""
        above = sum(PARTS**level for level in range(self.levels))
        return self.classes * math.prod([self.productions] * above)

    @model_validator(mode="after")
    def _can_be_drawn(self) -> Hierarchy:
        tuples = self.symbols**PARTS
        most = tuples // max(self.symbols if self.levels > 1 else 1, self.classes)
        if self.productions > most:
            raise ValueError(
                f"productions={self.productions} is too many: {self.symbols} symbols make {tuples} squares of 2 x 2, "
                f"and no two symbols or classes may share one; give at most {most}, or more symbols"
            )
        if self.jitter >= self.patch:
            raise ValueError(f"jitter={self.jitter} must be less than patch={self.patch}")
        if self.images * self.pixels > MOST:
            raise ValueError(
                f"{self.images} images of {self.pixels} pixels are more than the {MOST >> 30} GiB that are drawn at "
                "most; give fewer images or levels, or smaller patches"
            )
        if self.images * ROOM > self.data:
            raise ValueError(
                f"{self.images} images are too many for a grammar of {self.data}, of which at most 1 in {ROOM} is "
                f"drawn; give fewer images, or more levels or productions"
            )
        return self


@dataclass(frozen=True)
class Grammar:
    """Productions from the top level down: `rules[0]` of each class, (classes, m, 4), the others of each symbol.

    A square of four stands in reading order. No level has the same square twice, so whoever reads the last level can
    tell what stands above it.
    """

    rules: tuple[Array, ...]


def hierarchy(argument: str, options: Mapping[str, str], progress: Progress) -> Task:
    """Images of a random grammar's derivations, all different; raises UserError.

    The same options give the same bytes, as long as numpy's generators do.
    """
    if argument:
        raise UserError("task hierarchy takes no path")
    asked = parse(options)
    rng = np.random.default_rng(asked.seed)
    grammar, glyphs = draw_grammar(asked, rng), draw_glyphs(asked, rng)
    labels, leaves = draw_data(asked, grammar, rng)
    images = np.concatenate(list(_rendered(asked, glyphs, leaves, rng, progress)))
    train, val, test = (Split(torch.from_numpy(images[part]), torch.from_numpy(labels[part])) for part in _parts(asked))
    mean, std = mean_and_deviation(sums_of(train.images.numpy()), train.images[0].numel())
    changed = asked.model_dump(exclude_defaults=True)
    return Task(
        name=task_name("hierarchy", [f"{key}={value}" for key, value in sorted(changed.items())]),
        input=(1, *images.shape[2:]),
        classes=asked.classes,
        train=train,
        val=val,
        test=test,
        mean=mean,
        std=std,
        class_names=tuple(map(str, range(asked.classes))),
        splits=f"{asked.train} train, {asked.val} val, {asked.test} test images of one grammar, no arrangement of "
        f"symbols twice, drawn with seed {asked.seed}",
        fingerprint=fingerprint(asked),
    )


def parse(options: Mapping[str, str]) -> Hierarchy:
    """The options as they were typed; raises UserError with a message for each mistake."""
    data = _TYPED.validate_python(dict(options))
    try:
        return Hierarchy.model_validate(data)
    except ValidationError as error:
        mistakes = list(told(Hierarchy, data, error))
    raise UserError(*(f"task hierarchy: {f'option {path[0]}: ' if path else ''}{said}" for path, said in mistakes))


def fingerprint(asked: Hierarchy) -> str:
    """Changes where an option does, or what is made of the options."""
    digest = hashlib.sha256(asked.model_dump_json().encode()).hexdigest()
    return f"hierarchy {VERSION} {digest[:16]}"


def draw_grammar(asked: Hierarchy, rng: np.random.Generator) -> Grammar:
    """Productions drawn uniformly, for each level without replacement."""
    above = [asked.classes] + [asked.symbols] * (asked.levels - 1)
    return Grammar(tuple(_rules(count, asked, rng) for count in above))


def draw_glyphs(asked: Hierarchy, rng: np.random.Generator) -> Array:
    """A pattern of random greys for each symbol, moved in each way: float32 (symbols, moves, patch, patch)."""
    still = rng.integers(0, 256, size=(asked.symbols, asked.patch, asked.patch)).astype(np.float32)
    reach = asked.jitter
    wide = np.pad(still, ((0, 0), (reach, reach), (reach, reach)), constant_values=GREY)
    moves = range(2 * reach + 1)
    return np.stack([wide[:, y : y + asked.patch, x : x + asked.patch] for y in moves for x in moves], axis=1)


def draw_data(asked: Hierarchy, grammar: Grammar, rng: np.random.Generator) -> tuple[Array, Array]:
    """int64 labels (N) and uint8 symbols of the last level (N, side, side), no arrangement twice."""
    labels, leaves = expand(asked.images, grammar, rng)
    while len(first := _first_of_each(leaves)) < asked.images:
        more = expand(asked.images - len(first), grammar, rng)
        labels, leaves = np.concatenate([labels[first], more[0]]), np.concatenate([leaves[first], more[1]])
    return labels, leaves


def expand(count: int, grammar: Grammar, rng: np.random.Generator) -> tuple[Array, Array]:
    """Classes drawn uniformly, and each symbol's production too: labels (N) and the last level (N, side, side)."""
    labels = rng.integers(len(grammar.rules[0]), size=count)
    grid = labels.reshape(count, 1, 1)
    for rules in grammar.rules:
        squares = rules[grid, rng.integers(rules.shape[1], size=grid.shape)]
        side = grid.shape[1]
        pairs = squares.reshape(count, side, side, 2, 2).swapaxes(2, 3)
        grid = pairs.reshape(count, 2 * side, 2 * side)
    return labels, grid


def render(asked: Hierarchy, glyphs: Array, leaves: Array, rng: np.random.Generator) -> Array:
    """uint8 images (N, 1, side x patch, side x patch) of symbols (N, side, side)."""
    count, side, _ = leaves.shape
    patches = glyphs[leaves, rng.integers(glyphs.shape[1], size=leaves.shape)]
    patches += rng.uniform(-asked.brightness, asked.brightness, size=(*leaves.shape, 1, 1)).astype(np.float32)
    patches += asked.noise * rng.standard_normal(patches.shape, dtype=np.float32)
    pixels = patches.round().clip(0, 255).astype(np.uint8)
    return pixels.swapaxes(2, 3).reshape(count, 1, side * asked.patch, side * asked.patch)


def _rendered(
    asked: Hierarchy, glyphs: Array, leaves: Array, rng: np.random.Generator, progress: Progress
) -> Iterator[Array]:
    step = max(min(CHUNK, CHUNK_PIXELS // asked.pixels), 1)
    for start in range(0, len(leaves), step):
        yield render(asked, glyphs, leaves[start : start + step], rng)
        progress("drawing images", min(start + step, len(leaves)), len(leaves))


def _rules(count: int, asked: Hierarchy, rng: np.random.Generator) -> Array:
    """uint8 (count, m, 4): a square's number in base v is its symbols."""
    numbers = rng.choice(asked.symbols**PARTS, size=(count, asked.productions), replace=False)
    return np.stack(np.unravel_index(numbers, (asked.symbols,) * PARTS), axis=-1).astype(np.uint8)


def _first_of_each(leaves: Array) -> Array:
    """Where each arrangement stands first, in order."""
    rows = np.ascontiguousarray(leaves).reshape(len(leaves), -1)
    _, first = np.unique(rows.view(f"V{rows.shape[1]}").ravel(), return_index=True)
    return np.sort(first)


def _parts(asked: Hierarchy) -> tuple[slice, slice, slice]:
    held_out = asked.train + asked.val
    return slice(0, asked.train), slice(asked.train, held_out), slice(held_out, asked.images)
