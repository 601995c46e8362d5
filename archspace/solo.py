"""One network, trained outside a search, in a folder of its own that the same call goes on from."""

from __future__ import annotations

import errno
import os
import re
import shlex
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from archspace.blueprint import draw
from archspace.closed_form import Cost, cost
from archspace.data.tasks import Progress, Task, load_task
from archspace.errors import GenomeError, RunFailed, UserError
from archspace.genome import Genome, genome_data
from archspace.lookup import TARGET, Found, find_genome, runs_folder
from archspace.records.config import TaskConfig
from archspace.records.lock import LOCK, only_writer
from archspace.records.metrics import read_metrics
from archspace.records.training import FILE, TrainingConfig, differences, read_training, write_training
from archspace.searching.machine import cores, describe, versions
from archspace.searching.trial import TrialSpec, epochs_of
from archspace.trained import Tell, Trained, read_trained, refuse_changed
from archspace.training.augment import check_augmentation
from archspace.training.checkpoint import is_damaged, load_checkpoint
from archspace.training.device import choose_device
from archspace.training.fastest import fastest
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe, with_settings
from archspace.training.recipefile import DEFAULT, load_recipe
from archspace.training.threads import computing
from archspace.units import UNITS, percent, shape_text, si

TRAINING = "training"
"""What progress is told while epochs pass, with the speed of the last behind it."""
OWN = "own"
"""The name of a recipe that is handed in without one."""


def train(
    genome: Genome | str,
    task: str = "digits",
    *,
    recipe: Recipe | str | Path = DEFAULT,
    settings: Iterable[str] = (),
    seed: int = 0,
    folder: str | Path | None = None,
    device: str | None = None,
    threads: int | None = None,
    runs: str | Path | None = None,
    told: Tell | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train one network on a task and keep it in `folder`, `trained/GENOME-TASK-RECIPE-seedS` if None.

    The same call again goes on from the folder's checkpoint to the same bits, and where the training is done just gives
    its result. `recipe` is a name, a file or a Recipe, `settings` are changes such as `recipe.lr=0.2`; `device` and
    `threads` are those that the machine has, or the training began with, if None. `told` is called with words on what
    goes on, `progress` with what is being done, how much of it is done and how much there is.

    Raises UserError before anything is written, and where the folder holds another training; RunFailed where the
    training fails.
    """
    found = _found(genome, runs)
    settings = tuple(settings)
    known = with_settings(recipe if isinstance(recipe, Recipe) else load_recipe(recipe), settings)
    named = OWN if isinstance(recipe, Recipe) else Path(recipe).stem
    _check(device, threads)
    tell, show = told or (lambda _: None), progress or (lambda *_: None)
    data = load_task(task, show)
    costs = _fitting(found, data, known)
    place = Path(folder) if folder is not None else _usual_folder(found, data, named, seed)
    there = _read(place)
    device = device or (there.device if there else choose_device())
    threads = threads or (there.threads if there else cores())
    asked = TrainingConfig(
        **_about(found, data),
        recipe_name=named,
        settings=settings,
        recipe=known,
        seed=seed,
        device=device,
        threads=threads,
        mode=there.mode if there else _mode(found.genome, data, known, device, threads, tell),
    )
    if there is not None:
        _refuse_other(place, there, asked)
        refuse_changed(place, there, data)
        _check(there.device, None)
    return _train(place, asked, there, data, costs, tell, show)


def _mode(genome: Genome, task: Task, recipe: Recipe, device: str, threads: int, tell: Tell) -> Mode:
    """The mode that this kind of network trains fastest in, measured where that is not known yet."""
    with computing(threads):
        return fastest(genome, task, recipe, device, tell)


def _about(found: Found, task: Task) -> dict[str, Any]:
    """What a configuration says of network, data, versions and machine."""
    return {
        "name": found.name,
        "id": found.genome.id,
        "genome": genome_data(found.genome),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "task": TaskConfig.of(task),
        "images": {name: len(getattr(task, name).labels) for name in ("train", "val", "test")},
        "splits": task.splits,
        "versions": versions(),
        "machine": describe(),
    }


def _train(
    place: Path,
    asked: TrainingConfig,
    there: TrainingConfig | None,
    task: Task,
    costs: Cost,
    tell: Tell,
    show: Progress,
) -> Trained:
    config = there or asked
    _make(place)
    with only_writer(place, "training"), computing(config.threads):
        if there is None and (meanwhile := _read(place)) is not None:  # begun by another process
            _refuse_other(place, meanwhile, asked)
            config = there = meanwhile
        if there is None:
            write_training(config, place)
        for line in _introduction(place, config, task, costs):
            tell(line)
        done = _done(place, config, asked, tell)
        if done < config.recipe.epochs:
            _epochs(place, config, task, done, tell, show)
        return read_trained(place)


def _epochs(place: Path, config: TrainingConfig, task: Task, done: int, tell: Tell, show: Progress) -> None:
    """Train to the end, `done` epochs being done; raises RunFailed."""
    epochs = config.recipe.epochs
    spec = TrialSpec(
        number=0,
        genome=config.genome,
        seed=config.seed,
        task=config.task.name,
        fingerprint=config.task.fingerprint,
        recipe=config.recipe,
        mode=config.mode,
        folder=str(place),
        zero=time.time(),
    )
    show(TRAINING, done, epochs)
    for metrics in epochs_of(spec, task):
        if "failed" in metrics:
            raise RunFailed(f"{place}: training failed: {metrics['failed']}; {_hint(metrics['failed'])}")
        tell(
            f"epoch {metrics['epoch']:>{len(str(epochs))}}/{epochs}  train loss {metrics['train_loss']:.4f}  "
            f"val error {percent(metrics['error']):>7}  cross-entropy {metrics['cross_entropy']:.4f}  "
            f"{metrics['seconds']:.1f} s  {metrics['speed']:,.0f} images/s"
        )
        show(f"{TRAINING}, {metrics['speed']:,.0f} images/s", metrics["epoch"], epochs)


def _hint(reason: str) -> str:
    if reason.startswith("diverged"):
        return "a smaller recipe.lr, or recipe.clip, may help, in another folder (-o)"
    return "error.txt in it says where"


def _introduction(place: Path, config: TrainingConfig, task: Task, costs: Cost) -> list[str]:
    """What is trained, on what, how, and where."""
    recipe, threads = config.recipe, config.threads
    spent = costs.training_flops * len(task.train.labels) * recipe.epochs
    named = config.recipe_name + "".join(f" with {setting}" for setting in config.settings)
    return [
        f"{config.name} (genome {config.id}) on {task.name}: {task.splits}",
        f"{si(costs.params, UNITS['params'])}, {si(costs.flops, UNITS['flops'])} at {shape_text(task.input)}, "
        f"{task.classes} classes; {recipe.epochs} epochs take {si(spent, UNITS['flops'])}",
        f"recipe {named}, seed {config.seed}; {config.mode}, {threads} thread{'s' * (threads > 1)}; in {place}",
    ]


def _done(place: Path, config: TrainingConfig, asked: TrainingConfig, tell: Tell) -> int:
    """The epoch that a training goes on from, told with what may change its last bits.

    Raises UserError where metrics are lost.
    """
    checkpoint, epochs = load_checkpoint(place), config.recipe.epochs
    epoch = checkpoint.epoch if checkpoint else 0
    if len(read_metrics(place)) < epoch:
        raise UserError(
            f"{place}: metrics.jsonl lacks epochs that were trained; put the file back as it was, or train anew in "
            "another folder"
        )
    if is_damaged(place, checkpoint):
        rest = f"the one before is used, of epoch {epoch}" if epoch else "so is the one before: training begins anew"
        tell(f"the newest checkpoint is damaged: {rest}")
    if epoch == epochs:
        tell(f"finished already, all {epochs} epochs")
    elif epoch:
        tell(f"going on after epoch {epoch} of {epochs}")
        then, now = ((of.versions.get("torch"), of.machine) for of in (config, asked))
        if then != now:
            tell("it began with torch {} on {}; with torch {} on {} its last bits may differ".format(*then, *now))
    return epoch


def _found(genome: Genome | str, runs: str | Path | None) -> Found:
    if isinstance(genome, Genome):
        return Found(genome, genome.id, *TARGET)
    return find_genome(genome, runs_folder(runs))


def _check(device: str | None, threads: int | None) -> None:
    """Raise UserError for what this machine has not."""
    if device not in (None, "cpu", "cuda"):
        raise UserError(f"device {device!r}: write cpu or cuda")
    if device == "cuda" and choose_device() != "cuda":
        raise UserError("device 'cuda': torch finds no GPU here; use cpu")
    if threads is not None and not 1 <= threads <= cores():
        raise UserError(f"threads {threads}: this process may use 1 to {cores()} cores")


def _fitting(found: Found, task: Task, recipe: Recipe) -> Cost:
    """The cost of a network at the task's input; raises UserError where it cannot be trained on such images."""
    where = f"cannot be trained on {task.name} at {shape_text(task.input)}"
    try:
        costs = cost(draw(found.genome, task.input, task.classes))
    except GenomeError as error:
        raise UserError(f"{found.name} {where}: {error}") from None
    check_augmentation(recipe, task.input)
    return costs


def _usual_folder(found: Found, task: Task, recipe: str, seed: int) -> Path:
    kind, *options = shlex.split(task.name)
    kind, _, argument = kind.partition(":")
    words = (found.name, kind, *([Path(argument).name] if argument else []), *options, recipe, f"seed{seed}")
    return Path("trained") / "-".join(re.sub(r"[^A-Za-z0-9._=]+", "-", word).strip("-") for word in words)


def _read(place: Path) -> TrainingConfig | None:
    """The training in a folder, None where the folder is new or empty; raises UserError for a folder of others."""
    try:
        if (place / FILE).exists():
            return read_training(place)
        if place.exists() and not place.is_dir():
            raise UserError(f"{place}: is a file; name a folder with -o")
        if place.is_dir() and any(path.name not in (LOCK, f"{FILE}.part") for path in place.iterdir()):
            raise UserError(f"{place}: holds something, but no training: it has no {FILE}; name another folder with -o")
    except OSError as error:
        raise UserError(f"{place}: cannot be read: {error.strerror}; name another folder with -o") from None
    return None


def _refuse_other(place: Path, there: TrainingConfig, asked: TrainingConfig) -> None:
    differing = list(differences(there, asked))
    if differing:
        raise UserError(f"{place}: holds another training: {'; '.join(differing)}; name another folder with -o")


def _make(place: Path) -> None:
    try:
        place.mkdir(parents=True, exist_ok=True)
        if not os.access(place, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise UserError(f"{place}: cannot be written: {error.strerror}; name another folder with -o") from None
