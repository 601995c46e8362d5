"""A run as tables: what every analysis, report and export reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archspace.records.config import RunConfig

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RunRecord:
    """A run read from its folder.

    `trials`, one row per trial: number, id, name (zoo name where enqueued, else ""), state (complete, stopped, failed,
    unfinished), reason, epochs, error and cross_entropy (val, after the last epoch; NaN before the first), layers,
    params, macs, flops, acts (at the target), seed, seconds (training), started and finished (seconds since the run
    began, NaN where not), genome (canonical JSON).
    `curves`, one row per epoch of a trial: number, epoch, train_loss, error, cross_entropy, seconds, at (seconds since
    the run began).
    """

    name: str
    path: Path
    config: RunConfig
    trials: pd.DataFrame
    curves: pd.DataFrame
