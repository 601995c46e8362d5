"""The searcher: which trial comes next, whether it goes on, how it ended; the ledger is its only memory."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from archspace.closed_form import cost_of, unfit
from archspace.genome import Genome
from archspace.genomefile import genome_from_data
from archspace.records.ledger import Ledger, LedgerTrial, result_of
from archspace.records.metrics import read_metrics
from archspace.records.siblings import adopt
from archspace.searching.rungs import Standing, goes_on
from archspace.searching.sampler import STARTUP, Result, propose
from archspace.searching.trial import TrialSpec
from archspace.seeds import derive
from archspace.space.budget import Conditions, parse_budget
from archspace.space.space import Space, Values, values_of
from archspace.training.checkpoint import load_checkpoint
from archspace.training.fastest import mode_for

MISFITS = 100
"""Proposals in a row that the task's images are too small for, before a search ends."""
Listener = Callable[["Searcher"], None]


class Searcher:
    """Ask it for trials and tell it what they give; executors (Ray, in process) do nothing else.

    `trials` is how many trials the run shall start in all, `seconds` how long it may go on from now (infinity for no
    limit). A trial that is unfinished in the ledger is handed out again before anything new.
    """

    def __init__(self, ledger: Ledger, space: Space, trials: int, seconds: float, listener: Listener) -> None:
        self.ledger, self.space, self.trials, self.listener = ledger, space, trials, listener
        config = ledger.config
        self.budget = parse_budget(config.budget, Conditions(config.recipe.batch, config.latency))
        self.rungs: dict[int, dict[int, Standing]] = defaultdict(dict)
        self.running: dict[int, TrialSpec] = {}
        self.curves: dict[int, dict[int, dict[str, Any]]] = defaultdict(dict)
        self.exhausted = False
        known = ledger.trials()
        self.unfinished = [trial for trial in known if trial.state == "unfinished"]
        for trial in known:
            for metrics in read_metrics(ledger.trial_folder(trial.number)):
                self._note(trial.number, trial.cost[ledger.config.measure], metrics)
        self.past = {trial.number: max(self.curves.get(trial.number, {}), default=0) for trial in known}
        elapsed = max((metrics["at"] for curve in self.curves.values() for metrics in curve.values()), default=0.0)
        self.zero = time.time() - elapsed
        self.deadline = time.time() + seconds

    @property
    def out_of_time(self) -> bool:
        """Whether the time limit has passed: no trial and no epoch is begun after it."""
        return time.time() >= self.deadline

    def ask(self) -> TrialSpec | None:
        """The next trial, recorded as running, or None where none is left or the time is up."""
        while not self.out_of_time:
            number = self.unfinished.pop(0).number if self.unfinished else self._begin()
            if number is None:
                self.exhausted = True
                return None
            spec = self._hand_out(number)
            if spec is not None:
                return spec
        return None

    def _begin(self) -> int | None:
        """Record a new trial, with what other runs know of it; None where no further one is wanted or found."""
        known = self.ledger.trials()
        if len(known) >= self.trials:
            return None
        found = self._next_genome(len(known), {trial.id for trial in known})
        if found is None:
            return None
        genome, name, values = found
        cost = cost_of(genome, self.space.input, self.space.classes)
        if not self.budget.allows(cost):
            raise AssertionError(f"genome {genome.id} is outside the budget {self.budget}")
        seed = derive(self.ledger.config.seed, genome.id, 0)
        limited = {limit.measure: limit.of(cost) for limit in self.budget.limits}
        number = self.ledger.begin(genome, cost, seed, name, time.time() - self.zero, values, limited)
        config, folder = self.ledger.config, self.ledger.trial_folder(number)
        for metrics in adopt(folder, self.ledger.folder, config, genome.id, seed, time.time() - self.zero):
            self._note(number, limited[config.measure], metrics)
        return number

    def tell(self, number: int, metrics: dict[str, Any]) -> bool:
        """Take in one epoch; whether the trial goes on. Ends it in the ledger where it does not."""
        recipe, trial = self.ledger.config.recipe, self.ledger.trials()[number]
        epoch = int(metrics["epoch"])
        if epoch > 1 and epoch - 1 not in self.curves[number]:  # a worker died before it could tell
            for earlier in read_metrics(self.ledger.trial_folder(number)):
                self._note(number, trial.cost[self.ledger.config.measure], earlier)
        standing = self._note(number, trial.cost[self.ledger.config.measure], metrics)
        origin = [f"trained in run {metrics['run']}"] if "run" in metrics else []
        if epoch == recipe.epochs:
            self._end(number, "complete", "".join(origin))
        elif epoch in recipe.rungs and not goes_on(standing, self.rungs[epoch].values()):
            weaker = f"weaker than others after {epoch} epoch{'s' * (epoch > 1)}"
            self._end(number, "stopped", ", ".join([weaker, *origin]))
        elif self.out_of_time:
            self.running.pop(number, None)  # stays unfinished in the ledger: a resume goes on from its checkpoint
        self.listener(self)
        return number in self.running

    def fail(self, number: int, reason: str) -> None:
        """Record that a trial failed, and why."""
        if number in self.running:
            self._end(number, "failed", reason)
            self.listener(self)

    def _hand_out(self, number: int) -> TrialSpec | None:
        """The trial's spec, or None where its last epoch on record is a rung that it does not pass.

        A crash may come between an epoch and the decision at its rung, that on the last epoch included; also between
        an epoch's record and its checkpoint: then it is trained again.
        """
        config, trial = self.ledger.config, self.ledger.trials()[number]
        folder = self.ledger.trial_folder(number)
        folder.mkdir(parents=True, exist_ok=True)
        spec = TrialSpec(
            number=number,
            genome=json.loads(trial.genome),
            seed=trial.seed,
            task=config.task.name,
            fingerprint=config.task.fingerprint,
            recipe=config.recipe,
            mode=mode_for(genome_from_data(json.loads(trial.genome)), config.modes, config.recipe, config.device),
            folder=str(folder.resolve()),
            zero=self.zero,
        )
        self.running[number] = spec
        checkpoint = load_checkpoint(folder)
        self._forget(number, checkpoint.epoch if checkpoint else 0)
        done = max(self.curves[number], default=0)
        if done in config.recipe.rungs and not self.tell(number, self.curves[number][done]):
            return None
        self.listener(self)
        return spec

    def _next_genome(self, number: int, tried: set[str]) -> tuple[Genome, str, Values | None] | None:
        for name, data in self.ledger.config.enqueue:
            genome = genome_from_data(data)
            if genome.id not in tried:
                return genome, name, None
        task, results = self.ledger.config.task, self._results()
        for _ in range(MISFITS):
            found = propose(self.space, self.budget, results, tried, number, self.ledger.config.seed)
            if found is None:
                break
            if not unfit(found.genome, task.input, task.classes):
                return found.genome, "", found.values
            tried.add(found.genome.id)
        return None

    def _results(self) -> list[Result]:
        """What the sampler learns from: the highest rung with enough results, trials that were stopped included."""
        for epoch in reversed(self.ledger.config.recipe.rungs):
            results: list[Result] = []
            for trial in self.ledger.trials():
                standing = self.rungs[epoch].get(trial.number)
                values = self._values(trial) if standing else None
                if standing and values is not None:
                    results.append(Result(values, standing.error, standing.cost))
            if len(results) >= STARTUP:
                return results
        return []

    def _values(self, trial: LedgerTrial) -> Values | None:
        """The genes that a trial stands for; None for a genome from outside the space."""
        return trial.values or values_of(self.space, genome_from_data(json.loads(trial.genome)))

    def _note(self, number: int, cost: float, metrics: dict[str, Any]) -> Standing:
        standing = Standing(number, metrics["error"], metrics["cross_entropy"], cost)
        self.curves[number][int(metrics["epoch"])] = metrics
        self.rungs[int(metrics["epoch"])][number] = standing
        return standing

    def _forget(self, number: int, kept: int) -> None:
        """Take back epochs after the first `kept`, which have no weights: they are trained again."""
        for epoch in [epoch for epoch in self.curves[number] if epoch > kept]:
            del self.curves[number][epoch]
            self.rungs[epoch].pop(number, None)

    def _end(self, number: int, state: str, reason: str) -> None:
        result = result_of(self.curves[number], reason, time.time() - self.zero)
        self.ledger.end(number, state, result)
        self.running.pop(number, None)
