"""Ray Tune runs the trials: the only file that imports ray."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import ray
import torch
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher as RaySearcher

from archspace.data.tasks import Task, load_task
from archspace.searching.queue import Trials
from archspace.searching.trial import TrialSpec, epochs_of, reason_for
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe

RETRIES = 1
"""How often a trial whose worker died is tried again before it is recorded as failed."""
OBJECT_STORE = 100 * 1024**2
"""Bytes of shared memory for a local Ray; metrics are all that passes through it."""


class TrialActor(tune.Trainable):
    """A worker that is kept for one trial after another; a step is one epoch."""

    def setup(self, config: dict[str, Any]) -> None:
        """Start on a trial."""
        plain = config["spec"]
        recipe, mode = Recipe.model_validate(plain["recipe"]), Mode(**plain["mode"])
        spec = TrialSpec(**plain | {"recipe": recipe, "mode": mode})
        if mode.device == "cpu":
            torch.set_num_threads(1)
        self.tasks: dict[str, Task] = getattr(self, "tasks", {})
        self.epochs = self._epochs(spec)

    def _epochs(self, spec: TrialSpec) -> Iterator[dict[str, Any]]:
        try:
            if spec.task not in self.tasks:
                self.tasks[spec.task] = load_task(spec.task)
        except Exception as error:  # Ray would only say that a worker died
            yield {"failed": reason_for(error)}
            return
        yield from epochs_of(spec, self.tasks[spec.task])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Start on the next trial in the same process."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """One epoch; `done` where there is none left.

        A failure is not `done`: Ray would end the trial by itself then, and its scheduler would not hear why.
        """
        return next(self.epochs, {"done": True})


class AskingSearcher(RaySearcher):
    """Hands the searcher's trials to Ray, and tells it of workers that died."""

    def __init__(self, searcher: Trials) -> None:
        super().__init__()  # no metric: Ray would end the search over a result without it, such as a failure
        self._search = searcher  # not `searcher`: Ray takes that for a wrapped one
        self.numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> Any:
        """The next trial's configuration."""
        spec = self._search.ask()
        if spec is None:
            return RaySearcher.FINISHED
        self.numbers[trial_id] = spec.number
        return {"spec": asdict(spec) | {"recipe": spec.recipe.model_dump()}}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Record a trial that Ray gave up."""
        if error:
            self._search.fail(self.numbers[trial_id], f"its worker process died {RETRIES + 1} times")

    def get_state(self) -> dict[str, Any]:
        """Nothing for Ray to keep: the ledger is a search's only memory."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """Ray pickles what it is given, for a restore that is never used; the search itself stays out of that."""
        return {}


class TellingScheduler(FIFOScheduler):
    """Passes every epoch to the searcher, which decides whether the trial goes on."""

    def __init__(self, searcher: Trials) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # ray's own types are partial
        self.searcher = searcher

    def __getstate__(self) -> dict[str, Any]:
        """See AskingSearcher."""
        return {}

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Go on or stop."""
        number = int(trial.config["spec"]["number"])
        if "failed" in result:
            self.searcher.fail(number, result["failed"])
        elif "error" in result and self.searcher.tell(number, result):
            return str(TrialScheduler.CONTINUE)
        return str(TrialScheduler.STOP)


def run_on_ray(searcher: Trials, device: str, concurrency: int, gpus_per_trial: float, address: str | None) -> None:
    """Run trials in parallel until the searcher has no more; Ctrl-C ends the call and leaves trials unfinished."""
    with _ray(concurrency, address), tempfile.TemporaryDirectory(prefix="archspace-") as scratch:
        resources = {"cpu": 1, **({"gpu": gpus_per_trial} if device == "cuda" else {})}
        tuner = tune.Tuner(
            tune.with_resources(TrialActor, resources),
            tune_config=tune.TuneConfig(
                search_alg=AskingSearcher(searcher),
                scheduler=TellingScheduler(searcher),
                num_samples=-1,
                max_concurrent_trials=concurrency,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=RETRIES),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        tuner.fit()


class Brief(io.TextIOBase):
    """What Ray prints, on stderr; its notes, such as that a worker died, are cut to their first sentence."""

    def write(self, text: str) -> int:
        """Pass text on."""
        _, note, told = text.partition("(raylet)")
        if note:
            plain = re.sub(r"\x1b\[[0-9;]*m", "", told).strip()
            sys.stderr.write("ray: " + re.split(r"(?<=\.)\s|\n", plain, maxsplit=1)[0])
        else:
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Pass on what is waiting."""
        sys.stderr.flush()


@contextlib.contextmanager
def _ray(concurrency: int, address: str | None) -> Iterator[None]:
    """A local Ray for the time of a search, or a connection to a cluster; nothing of it reaches stdout."""
    quiet = {
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    }
    before = {name: os.environ.get(name) for name in quiet}
    os.environ.update(quiet)
    local: dict[str, Any] = {"num_cpus": concurrency, "object_store_memory": OBJECT_STORE, "include_dashboard": False}
    with contextlib.redirect_stdout(Brief()):
        try:
            where = {"address": address} if address else {"address": "local"} | local
            ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **where)
            logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
            yield
        finally:
            ray.shutdown()  # which prints notes that came more than once
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
