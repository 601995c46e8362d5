"""A queue of trainings that are known beforehand, for the same executors as a search's trials."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from archspace.closed_form import cost_of
from archspace.errors import UserError
from archspace.genome import Genome, genome_data
from archspace.records.ledger import BatchLedger, LedgerTrial, result_of
from archspace.records.metrics import read_metrics
from archspace.searching.trial import DIVERGED, TrialSpec
from archspace.training.fastest import mode_for, shared_mode
from archspace.training.recipe import Recipe
from archspace.units import duration, percent

Listener = Callable[["Queue"], None]


class Trials(Protocol):
    """What an executor needs: a next trial, and someone to tell how it goes."""

    def ask(self) -> TrialSpec | None:
        """The next trial, None where there is none."""

    def tell(self, number: int, metrics: dict[str, Any]) -> bool:
        """Take in one epoch; whether the trial goes on."""

    def fail(self, number: int, reason: str) -> None:
        """Record that a trial failed."""


@dataclass(frozen=True)
class Training:
    """One network to be trained, known in its batch by its `name`; `labels` say what it stands for.

    Where `test` is true the trained network looks at the test split, once, after its last epoch.
    """

    name: str
    genome: Genome
    seed: int
    recipe: Recipe
    labels: Mapping[str, Any] = field(default_factory=dict)
    test: bool = False


class Queue:
    """Hands out trainings in order, each until it has ended in the ledger; those begun before come first.

    A training that failed for a reason that is not its network's, such as a full disk, is handed out again. Raises
    UserError where one was begun with another genome.
    """

    def __init__(self, ledger: BatchLedger, trainings: Sequence[Training], seconds: float, listener: Listener) -> None:
        self.ledger, self.trainings, self.listener = ledger, trainings, listener
        self.running: dict[int, Training] = {}
        self.curves: dict[int, dict[int, dict[str, Any]]] = defaultdict(dict)
        known = latest(ledger)
        for one in trainings:
            if one.name in known and known[one.name].id != one.genome.id:
                raise UserError(
                    f"{ledger.folder}: {one.name} was begun with genome {known[one.name].id} and is to be trained with "
                    f"{one.genome.id}: another version drew it; train in another folder of runs"
                )
        self.waiting = [one for one in trainings if one.name not in known or not has_ended(known[one.name])]
        self.waiting.sort(key=lambda one: one.name not in known)
        self.begun = {name: trial.number for name, trial in known.items() if trial.state == "unfinished"}
        self.done, self.failed = len(trainings) - len(self.waiting), 0
        self.began = time.time()
        self.deadline = self.began + seconds

    @property
    def out_of_time(self) -> bool:
        """Whether the time limit has passed: no training and no epoch is begun after it."""
        return time.time() >= self.deadline

    def ask(self) -> TrialSpec | None:
        """The next training, recorded as running, or None where none is left or the time is up."""
        if not self.waiting or self.out_of_time:
            return None
        training, config = self.waiting.pop(0), self.ledger.config
        number = self.begun.get(training.name)
        if number is None:
            cost = cost_of(training.genome, config.target_input, config.target_classes)
            values = {"labels": dict(training.labels), "recipe": training.recipe.model_dump(mode="json")}
            at = time.time() - self.began
            number = self.ledger.begin(training.genome, cost, training.seed, training.name, at, values)
        folder = self.ledger.trial_folder(number)
        folder.mkdir(parents=True, exist_ok=True)
        self.running[number] = training
        self.curves[number] = {int(line["epoch"]): line for line in read_metrics(folder)}
        self.listener(self)
        return TrialSpec(
            number=number,
            genome=genome_data(training.genome),
            seed=training.seed,
            task=config.task.name,
            fingerprint=config.task.fingerprint,
            recipe=training.recipe,
            mode=shared_mode(config.modes) or mode_for(training.genome, config.modes, training.recipe, config.device),
            folder=str(folder.resolve()),
            zero=self.began,
            test=training.test,
        )

    def tell(self, number: int, metrics: dict[str, Any]) -> bool:
        """Take in one epoch; whether the training goes on. Ends it in the ledger where it is over."""
        if number not in self.running:  # given up meanwhile
            return False
        epoch = int(metrics["epoch"])
        if epoch > 1 and epoch - 1 not in self.curves[number]:  # a worker died before it could tell
            self.curves[number] |= {int(line["epoch"]): line for line in read_metrics(self.ledger.trial_folder(number))}
        self.curves[number][epoch] = metrics
        if epoch == self.running[number].recipe.epochs:
            self._end(number, "complete", "")
        elif self.out_of_time:
            self.running.pop(number)  # stays unfinished in the ledger: it goes on from its checkpoint next time
        self.listener(self)
        return number in self.running

    def fail(self, number: int, reason: str) -> None:
        """Record that a training failed, and why."""
        if number in self.running:
            self.failed += 1
            self._end(number, "failed", reason)
            self.listener(self)

    def line(self, number: int) -> str:
        """How a training went, in a line."""
        trial, curve = self.ledger.trials()[number], self.curves[number]
        ended = f"{len(curve)} epochs in {duration(sum(metrics['seconds'] for metrics in curve.values()))}"
        if trial.state == "failed":
            return f"{trial.name}: {trial.result['reason']}, {ended}"
        error = f"val error {percent(curve[max(curve)]['error'])}" if curve else "no epoch"
        return f"{trial.name}: {error}, {ended}" + (", stopped" if trial.state == "unfinished" else "")

    def _end(self, number: int, state: str, reason: str) -> None:
        self.ledger.end(number, state, result_of(self.curves[number], reason, time.time() - self.began))
        self.running.pop(number)
        self.done += 1


def latest(ledger: BatchLedger) -> dict[str, LedgerTrial]:
    """The last try at each training, by its name."""
    return {trial.name: trial for trial in ledger.trials()}


def has_ended(trial: LedgerTrial) -> bool:
    """Whether a training needs no further try: it is complete, or diverged."""
    return trial.state == "complete" or (trial.state == "failed" and trial.result["reason"].startswith(DIVERGED))
