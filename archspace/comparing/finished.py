"""The trials of a finished run as a sample of its space, as far as they are one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archspace.analysis.comparison import Sample
from archspace.comparing.entrants import Entrant
from archspace.errors import UserError
from archspace.searching.sampler import STARTUP
from archspace.space.budget import Budget

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["side", "id", "genome", "state", "reason", "error", "params", "macs", "flops", "acts"]
"""Of a table of networks; `error` is the val error that counts (a fraction)."""


@dataclass(frozen=True)
class Taken:
    """A side's networks as a sample and as a table (COLUMNS), and what has to be said about them."""

    sample: Sample
    networks: pd.DataFrame
    notes: tuple[str, ...]


def taken(
    label: str, networks: pd.DataFrame, measure: str, guessing: float, notes: tuple[str, ...] = ()
) -> Taken:  # fmt: skip
    """A side's networks; those whose training failed count as `guessing` (error, a fraction)."""
    failed = networks["state"] == "failed"
    told = networks.assign(side=label, error=networks["error"].where(~failed, guessing))[COLUMNS]
    sample = Sample(
        label, told["error"].to_numpy(dtype=float), told[measure].to_numpy(dtype=float), int(failed.sum())
    )  # fmt: skip
    return Taken(sample, told.reset_index(drop=True), notes)


def finished(entrant: Entrant, budget: Budget | None, measure: str, everything: bool) -> Taken:
    """The trials of a run that were drawn at random, or `everything` that it trained; raises UserError.

    A search draws its first trials at random, each from its own part of the cost range, and asks an estimator for the
    others, which have better and cheaper networks than the space. Trials stopped at a rung count with the error that
    they had there: to leave them out would leave out the weak ones.
    """
    record = entrant.run
    assert record is not None
    trials, name = record.trials, entrant.label
    random = (trials["number"] < STARTUP) & (trials["name"] == "")
    kept = trials if everything else trials[random]
    notes = [_about_sampling(name, len(trials), len(kept), everything)]
    over = kept[(kept["state"] != "unfinished") & (kept["error"].notna() | (kept["state"] == "failed"))]
    if len(over) < len(kept):
        notes.append(f"{name}: {len(kept) - len(over)} trials have not ended and are left out; resume the run")
    for limit in budget.limits if budget else ():
        if limit.measure not in over:
            raise UserError(f"run {name}: its trials do not tell {limit.measure}; give --budget in FLOPs, say")
        over = over[over[limit.measure].between(limit.low, limit.high)]
    stopped = int((over["state"] == "stopped").sum())
    if stopped:
        notes.append(
            f"WARNING {name}: {stopped} of {len(over)} trials were stopped early and count with the error of "
            "then, which is higher than it would have become"
        )
    if len(over) < 2:
        drawn = "trials" if everything else "trials drawn at random"
        raise UserError(
            f"run {name}: {len(over)} {drawn} to compare, and a distribution takes two; resume the run, name its space"
            + ("" if everything else ", or take the others too with --all")
        )
    return taken(name, over, measure, 1 - 1 / record.config.task.classes, tuple(notes))


def _about_sampling(name: str, trials: int, kept: int, everything: bool) -> str:
    if everything:
        return (
            f"WARNING {name}: all {trials} trials of a search: most were proposed for being good. This is NOT a "
            "random sample of its space, and neither bands nor p hold for the space"
        )
    return (
        f"WARNING {name}: a search's trials are NOT a random sample of its space; of {trials} only the {kept} "
        f"are taken that were drawn at random (among the first {STARTUP}, spread over cost); --all takes the others"
    )
