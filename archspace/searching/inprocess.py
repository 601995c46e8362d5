"""Trials one after another in this process: for tests, and where Ray cannot run."""

from __future__ import annotations

from archspace.data.tasks import Task
from archspace.searching.queue import Trials
from archspace.searching.trial import epochs_of
from archspace.training.threads import computing


def run_in_process(searcher: Trials, task: Task) -> None:
    """Run trials until the searcher has no more; Ctrl-C leaves the current one unfinished and raises."""
    with computing(1):  # as in a worker: the networks are too small to share among threads
        _run(searcher, task)


def _run(searcher: Trials, task: Task) -> None:
    while (spec := searcher.ask()) is not None:
        for metrics in epochs_of(spec, task):
            if "failed" in metrics:
                searcher.fail(spec.number, metrics["failed"])
            elif not searcher.tell(spec.number, metrics):
                break
