"""Reading a study: its file, and what the names in it stand for, hashed before any result."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archspace.calibrate import known_latency
from archspace.data.tasks import task_name
from archspace.document import Document, Mistakes, read_file
from archspace.errors import UserError, did_you_mean
from archspace.space.budget import Budget, Conditions, Latency, parse_budget
from archspace.space.file import load_space
from archspace.space.space import Space
from archspace.study.schema import Match, StudyFile
from archspace.training.recipe import Recipe
from archspace.training.recipefile import load_recipe, read_recipe


@dataclass(frozen=True)
class Study:
    """A study as it will be run: its file, and what the names in it stand for.

    `registered` is the hash of all of it, `folder` where the file lies. `task` names the task with its options,
    `latency` predicts where arms are matched by it.
    """

    file: StudyFile
    folder: Path
    space: Space
    cost: tuple[float, float]
    recipe: Recipe
    task: str
    registered: str
    latency: Latency | None = None

    @property
    def name(self) -> str:
        """The study's name."""
        return self.file.name

    @property
    def per_stratum(self) -> int:
        """Anchors in each stratum."""
        return max(1, round(self.file.anchors.per_stratum * self.file.scale))


def load_study(path: Path, scale: float | None = None) -> Study:
    """The study in a file, or in `study.yaml` of a folder; raises UserError with every mistake at its place.

    `scale` takes the place of the file's.
    """
    document = read_file(path / "study.yaml" if path.is_dir() else path)
    mistakes = Mistakes(document)
    file = mistakes.check(StudyFile)
    mistakes.raise_if_any()
    assert file is not None
    if scale is not None:
        if not (math.isfinite(scale) and scale > 0):
            raise UserError(f"scale {scale:g}: must be above 0")
        file = file.model_copy(update={"scale": scale})
    folder = Path(document.source).parent
    space = _within(mistakes, ("anchors", "space"), lambda: load_space(_beside(folder, file.anchors.space)))
    recipe = _within(mistakes, ("recipe",), lambda: _recipe(document, folder, file, mistakes))
    _check_contrasts(file, mistakes)
    _check_numbers(file, mistakes)
    latency = _within(mistakes, ("match", "calibration"), lambda: _latency(folder, file.match))
    ends = [_cost(text, file.match.measure, latency, index, mistakes) for index, text in enumerate(file.anchors.cost)]
    if len(mistakes) == 0 and ends[0] >= ends[1]:
        mistakes.add(("anchors", "cost"), f"{file.anchors.cost[0]} is not below {file.anchors.cost[1]}; swap them")
    mistakes.raise_if_any()
    assert space is not None
    assert recipe is not None
    task = task_name(file.task, [f"{key}={value}" for key, value in file.task_options.items()])
    whole = {
        "file": _registered(file),
        "space": dict(space.source),
        "recipe": recipe.model_dump(mode="json"),
        **({"latency": asdict(latency)} if latency else {}),
    }
    registered = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
    return Study(file, folder, space, (ends[0], ends[1]), recipe, task, registered, latency)


def _registered(file: StudyFile) -> dict[str, Any]:
    """What is hashed of a file; keys that studies had not always are left out where unset, so that old hashes hold."""
    data = file.model_dump(mode="json")
    if file.match.calibration is None:
        del data["match"]["calibration"]
    return data


def _within(mistakes: Mistakes, path: tuple[str | int, ...], read: Any) -> Any:
    """What `read` gives; None where it raises, its reasons noted at `path`."""
    try:
        return read()
    except UserError as error:
        for message in error.messages:
            mistakes.add(path, message)
        return None


def _beside(folder: Path, name: str) -> str | Path:
    """A file beside the study's where there is one of this name, with or without `.yaml`."""
    found = (folder / file for file in (name, f"{name}.yaml") if (folder / file).is_file())
    return next(found, name)


def _recipe(document: Document, folder: Path, file: StudyFile, mistakes: Mistakes) -> Recipe | None:
    if "lr" in file.settings:
        mistakes.add(("settings", "lr"), "rates are those of `rates.grid`; leave this out")
    base = load_recipe(_beside(folder, file.recipe)).model_dump(mode="json")
    if "epochs" in file.settings:
        base.pop("rungs")  # they follow from the epochs
    places = {path[1:]: place for path, place in document.places.items() if path[:1] == ("settings",)}
    return read_recipe(Document(document.source, {**base, **file.settings}, places))


def _check_contrasts(file: StudyFile, mistakes: Mistakes) -> None:
    for index, contrast in enumerate(file.contrasts):
        for side in ("a", "b"):
            named = getattr(contrast, side)
            if named not in file.arms:
                known = ", ".join(file.arms)
                where = ("contrasts", index, side)
                mistakes.add(where, f"no arm is called {named!r}{did_you_mean(named, file.arms)}; the arms are {known}")
        if contrast.a == contrast.b:
            mistakes.add(("contrasts", index), f"compares {contrast.a} with itself; name two arms")
        if contrast in file.contrasts[:index]:
            mistakes.add(("contrasts", index), "is here twice; keep one")


def _check_numbers(file: StudyFile, mistakes: Mistakes) -> None:
    if file.seeds < 2:
        reason = "one seed cannot tell a network from its luck, and the variance within anchors stays unknown"
        mistakes.add(("seeds",), f"{reason}; take at least 2")
    strata = file.anchors.strata.cost * file.anchors.strata.shape
    number = strata * max(1, round(file.anchors.per_stratum * file.scale))
    if number < 2:
        mistakes.add(("anchors", "per_stratum"), "one anchor cannot stand for others; take at least 2 in all")
    low, high = file.match.ratio
    if low > high:
        mistakes.add(("match", "ratio"), f"{low:g} is above {high:g}; swap them")
    if sorted(set(file.rates.grid)) != file.rates.grid:
        mistakes.add(("rates", "grid"), "the rates must rise")
    elif len({f"{rate:g}" for rate in file.rates.grid}) < len(file.rates.grid):
        mistakes.add(("rates", "grid"), "two rates agree to six digits; keep one")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", file.name):
        reason = "letters, digits, '.', '_' and '-' only, starting with a letter or digit: it names a folder"
        mistakes.add(("name",), reason)
    for name, arm in file.arms.items():
        if arm.trim and arm.spend is None:
            mistakes.add(("arms", name, "trim"), "only an arm that spends is matched; leave this out, or name `spend`")


def _latency(folder: Path, match: Match) -> Latency | None:
    if match.measure != "latency":
        return None
    return known_latency(_beside(folder, match.calibration) if match.calibration else None)


def _cost(text: str, measure: str, latency: Latency | None, index: int, mistakes: Mistakes) -> float:
    path = ("anchors", "cost", index)
    conditions = Conditions(latency=latency)
    budget: Budget | None = _within(mistakes, path, lambda: parse_budget([text], conditions))
    if budget is None:
        return 0.0
    limit = budget.limits[0]
    if len(budget.limits) > 1:
        mistakes.add(path, f"{text}: one cost is an end of a range, here are {len(budget.limits)}")
    if limit.measure != measure or limit.low:
        mistakes.add(path, f"{text}: arms are matched by {measure}: write an end of a range of {measure}")
    return float(limit.high)
