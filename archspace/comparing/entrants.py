"""What is compared: design spaces whose networks are still to be trained, and runs that have trained theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from archspace.errors import UserError, did_you_mean
from archspace.genome import Shape
from archspace.lookup import run_folder
from archspace.records.config import TaskConfig
from archspace.records.record import RunRecord
from archspace.records.view import read_run, runs_in
from archspace.space.file import load_space, shipped_spaces
from archspace.space.space import Space
from archspace.training.recipe import Recipe
from archspace.units import shape_text


@dataclass(frozen=True)
class Entrant:
    """One side of a comparison: a space or a run, and what it is called."""

    label: str
    space: Space | None = None
    run: RunRecord | None = None

    @property
    def seeded(self) -> tuple[str, ...]:
        """What its draws and trainings are seeded with beside the seed: its file too, where its name is another's."""
        assert self.space is not None
        return (self.space.name,) if self.label == self.space.name else (self.space.name, self.label)

    @property
    def target(self) -> tuple[Shape, int]:
        """Input and classes at which cost is counted."""
        if self.run is not None:
            return self.run.config.target_input, self.run.config.target_classes
        assert self.space is not None
        return self.space.input, self.space.classes

    @property
    def word(self) -> str:
        """The side in a message."""
        return f"{'space' if self.run is None else 'run'} {self.label}"


def entrants(names: Sequence[str], runs: Path) -> tuple[Entrant, ...]:
    """The spaces and runs of these names, two or more; raises UserError.

    A name is a space file, a shipped space or a run in the folder `runs`.
    """
    if len(names) < 2:
        raise UserError(
            f"compare: it takes two spaces or runs, and only {', '.join(names) or 'none'} is named; add another"
        )
    found = [_entrant(name, runs) for name in names]
    labels = [one.label for one in found]
    for number, one in enumerate(found):
        if labels.count(one.label) > 1:
            found[number] = Entrant(names[number], one.space, one.run)
    paths = [Path(name).resolve() for name in names]
    for name, path in zip(names, paths, strict=True):
        if paths.count(path) > 1:
            raise UserError(f"compare: {name} is named twice; a space cannot differ from itself")
    _check_targets(found)
    return tuple(found)


def _entrant(name: str, runs: Path) -> Entrant:
    path = Path(name)
    folder = runs / name
    is_run = path.name == name and name not in ("", ".", "..") and (folder / "run.yaml").is_file()
    if is_run and path.stem in shipped_spaces():
        raise UserError(
            f"{name}: both a run in {runs} and a shipped space; rename the run's folder, or name the space by its file"
        )
    if is_run:
        return Entrant(name, run=read_run(run_folder(name, runs)))
    if path.is_file() or path.stem in shipped_spaces():
        space = load_space(name)
        return Entrant(space.name, space=space)
    if path.suffix in (".yaml", ".yml"):
        load_space(name)  # says what it looked for
    known = (*shipped_spaces(), *(run.name for run in runs_in(runs)))
    raise UserError(
        f"{name}{did_you_mean(name, known)}: no space file, no run in {runs} and no shipped "
        f"space; shipped are {', '.join(shipped_spaces())}"
    )


def _check_targets(found: Sequence[Entrant]) -> None:
    """Raise UserError where costs are counted at different inputs or classes."""
    first = found[0]
    for other in found[1:]:
        if other.target != first.target:
            told = [f"{one.word} at {shape_text(one.target[0])}, {one.target[1]} classes" for one in (first, other)]
            raise UserError(
                f"compare: {told[0]}, {told[1]}: costs of different targets are not comparable; give both the same "
                "target: {input: ..., classes: ...}"
            )


def check_trained_alike(found: Sequence[Entrant], task: TaskConfig, recipe: Recipe) -> None:
    """Raise UserError where a run was not trained as the others are: on `task`, with `recipe`."""
    fresh = next((one for one in found if one.space is not None), None)
    first = fresh or found[0]
    would = "would be trained" if fresh else "was trained"
    for one in found:
        if one.run is None:
            continue
        theirs = one.run.config.task
        if (theirs.name, theirs.fingerprint or task.fingerprint) != (task.name, task.fingerprint):
            other = theirs.name if theirs.name != task.name else f"other data of {task.name}"
            hint = f"give --task {theirs.name}" if fresh else "compare runs of one task"
            raise UserError(
                f"compare: {one.word} was trained on {other}, {first.word} {would} on {task.name}: errors on different "
                f"tasks are not comparable; {hint}"
            )
        changed = [
            f"recipe.{key}={value}"
            for key, value in one.run.config.recipe.model_dump().items()
            if key != "rungs" and value != getattr(recipe, key)
        ]
        if changed:
            keys = [part.partition("=")[0].removeprefix("recipe.") for part in changed]
            ours = ", ".join(f"recipe.{key}={getattr(recipe, key)}" for key in keys)
            hint = f"give {' '.join(f'--set {part}' for part in changed)}" if fresh else "compare runs of one recipe"
            raise UserError(
                f"compare: {one.word} was trained with {', '.join(changed)}, {first.word} {would} with {ours}: errors "
                f"of different recipes are not comparable; {hint}"
            )
