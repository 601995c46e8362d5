"""The ledger as tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspace.errors import UserError
from archspace.records.metrics import read_metrics
from archspace.records.record import RunRecord

if TYPE_CHECKING:
    from archspace.records.ledger import Ledger, LedgerTrial

NAN = float("nan")
TRIAL_COLUMNS = ["number", "id", "name", "state", "reason", "epochs", "error", "cross_entropy"]
TRIAL_COLUMNS += ["layers", "params", "macs", "flops", "acts", "seed", "seconds", "started", "finished", "genome"]
CURVE_COLUMNS = ["number", "epoch", "train_loss", "error", "cross_entropy", "seconds", "at"]


def runs_in(folder: Path) -> list[Path]:
    """The runs' folders in a folder of runs, by name."""
    return sorted(path.parent for path in folder.glob("[!.]*/run.yaml"))


def read_run(folder: Path) -> RunRecord:
    """The run in a folder; raises UserError where there is none."""
    from archspace.records.ledger import Ledger

    if not folder.is_dir():
        raise UserError(f"{folder}: no such run; `archspace runs` lists what there is")
    return record_of(Ledger.open(folder))


def record_of(ledger: Ledger) -> RunRecord:
    """The ledger's trials and their curves as DataFrames."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    for trial in ledger.trials():
        epochs = read_metrics(ledger.trial_folder(trial.number))
        rows.append(_row(trial, epochs))
        curves.extend({"number": trial.number} | {key: epoch[key] for key in CURVE_COLUMNS[1:]} for epoch in epochs)
    limited = dict.fromkeys(measure for row in rows for measure in ("training_memory", "latency") if measure in row)
    return RunRecord(
        name=ledger.folder.name,  # which may have been renamed since
        path=ledger.folder,
        config=ledger.config,
        trials=pd.DataFrame(rows, columns=[*TRIAL_COLUMNS, *limited]),
        curves=pd.DataFrame(curves, columns=CURVE_COLUMNS),
    )


def _row(trial: LedgerTrial, epochs: list[dict[str, Any]]) -> dict[str, Any]:
    last = epochs[-1] if epochs else {}
    if trial.state in ("complete", "stopped"):  # lines may have been lost since
        last = {key: trial.result[key] for key in ("error", "cross_entropy")}
    return {
        "number": trial.number,
        "id": trial.id,
        "name": trial.name,
        "state": trial.state,
        "reason": trial.result.get("reason", ""),
        "epochs": len(epochs),
        "error": last.get("error", NAN),
        "cross_entropy": last.get("cross_entropy", NAN),
        **trial.cost,
        "seed": trial.seed,
        "seconds": sum(epoch["seconds"] for epoch in epochs),
        "started": trial.started,
        "finished": trial.result.get("finished", NAN),
        "genome": trial.genome,
    }
