"""The ledger: a run's folder with its Optuna study in SQLite, written by the driver alone."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import URL

from archspace.closed_form import Cost
from archspace.errors import UserError
from archspace.genome import Genome, canonical_json
from archspace.records.config import BatchConfig, Config, RunConfig
from archspace.records.metrics import read_metrics
from archspace.records.yamlfile import read_model, write_model

STUDY = "archspace"
STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "unfinished",
    TrialState.WAITING: "unfinished",
}
FIGURES = ("layers", "params", "macs", "flops", "acts")
DAMAGED = (sqlite3.DatabaseError, optuna.exceptions.StorageInternalError, ValueError, LookupError, TypeError)
"""What reading a damaged study may raise."""
ConfigT = TypeVar("ConfigT", bound=Config)


@dataclass(frozen=True)
class LedgerTrial:
    """One trial as the study holds it; `result` has reason, error, cross_entropy, epochs, seconds, finished.

    `values` are the gene values that it was proposed by; None for a genome that was handed in.
    """

    number: int
    id: str
    name: str
    state: str
    genome: str
    cost: Mapping[str, float]
    seed: int
    started: float
    result: Mapping[str, Any]
    values: Mapping[str, Any] | None = None


class TrialLedger(Generic[ConfigT]):
    """A folder of trials: its configuration, `study.db`, `trials/NUMBER/`."""

    kind: ClassVar[type[Config]]

    def __init__(self, folder: Path, config: ConfigT) -> None:
        """Open the study in `folder`, or begin it; raises UserError where it cannot be read."""
        self.folder = folder
        self.config = config
        path = folder / "study.db"
        try:
            connection = sqlite3.connect(path)
            connection.execute("PRAGMA journal_mode=WAL")
            found = connection.execute("PRAGMA quick_check").fetchone()[0]
            connection.close()
            if found != "ok":
                raise sqlite3.DatabaseError(str(found).splitlines()[-1])
            optuna.logging.set_verbosity(optuna.logging.WARNING)
            url = URL.create("sqlite", database=str(path.resolve()))
            storage = optuna.storages.RDBStorage(
                url.render_as_string(hide_password=False), engine_kwargs={"connect_args": {"timeout": 60}}
            )
            self._study = optuna.create_study(
                storage=storage, study_name=STUDY, directions=["minimize", "minimize"], load_if_exists=True
            )
        except DAMAGED as error:
            raise UserError(f"{path}: cannot be opened as a study: {error}; put a copy of it back") from None
        self._storage = storage

    @classmethod
    def create(cls, folder: Path, config: ConfigT, files: Mapping[str, str] | None = None) -> Self:
        """A new one in `folder`, which must not exist yet; raises UserError where it cannot be made.

        The folder gets its name with its configuration inside, and texts by their file's names, so that one that exists
        can be resumed.
        """
        part = folder.with_name(f".{folder.name}.part")
        try:
            shutil.rmtree(part, ignore_errors=True)
            (part / "trials").mkdir(parents=True)
            write_model(config, part / cls.kind.file)
            for name, text in (files or {}).items():
                (part / name).write_text(text, encoding="utf-8")
            part.rename(folder)
        except OSError as error:
            raise UserError(f"{folder}: cannot be made: {error.strerror}; take another name or folder") from None
        return cls(folder, config)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The one in `folder`; raises UserError where there is none, a newer one, or one whose study lacks trials."""
        config: Any = read_model(cls.kind, folder / cls.kind.file, cls.kind.newest, cls.kind.what)
        folders = {int(path.name): path for path in (folder / "trials").glob("*") if path.name.isdecimal()}
        if not (folder / "study.db").exists() and any(map(read_metrics, folders.values())):
            raise UserError(f"{folder}: its study.db is missing, and trials were trained; put it back")
        opened = cls(folder, config)
        known = len(opened.trials())
        unknown = [number for number, path in sorted(folders.items()) if number >= known and read_metrics(path)]
        if unknown:
            raise UserError(
                f"{folder}: its study.db knows {known} trials, and nothing of trials/{unknown[0]}; put the newest one "
                "back, with study.db-wal if there was one, or move such folders away"
            )
        return opened

    def trial_folder(self, number: int) -> Path:
        """Where a trial keeps its checkpoint and metrics."""
        return self.folder / "trials" / str(number)

    def begin(
        self,
        genome: Genome,
        cost: Cost,
        seed: int,
        name: str,
        started: float,
        values: Mapping[str, Any] | None = None,
        limited: Mapping[str, float] | None = None,
    ) -> int:
        """Record a trial as running, before any work on it; its number. `limited` is what the budget limits of it."""
        attributes = {
            "id": genome.id,
            "name": name,
            "genome": canonical_json(genome),
            "cost": {figure: getattr(cost, figure) for figure in FIGURES} | dict(limited or {}),
            "seed": seed,
            "started": started,
            "values": None if values is None else dict(values),
        }
        self._study.add_trial(create_trial(state=TrialState.RUNNING, user_attrs=attributes))
        number = len(self._study.get_trials(deepcopy=False)) - 1
        self.trial_folder(number).mkdir(parents=True, exist_ok=True)
        return number

    def end(self, number: int, state: str, result: Mapping[str, Any]) -> None:
        """Record how a trial ended: `complete`, `stopped` or `failed`, and its result."""
        trial = self._frozen(number)
        self._storage.set_trial_user_attr(trial._trial_id, "result", dict(result))
        final = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}[state]
        cost = float(trial.user_attrs["cost"][self.config.measure])
        values = [result["error"], cost] if state == "complete" else None
        self._study.tell(number, values, state=final)

    def trials(self) -> list[LedgerTrial]:
        """Every trial, by number; raises UserError where the study is damaged."""
        try:
            return [_read(trial) for trial in self._study.get_trials(deepcopy=False)]
        except DAMAGED as error:
            raise UserError(f"{self.folder / 'study.db'}: cannot be read: {error}; put a copy of it back") from None

    def _frozen(self, number: int) -> FrozenTrial:
        return self._study.get_trials(deepcopy=False)[number]


def result_of(curve: Mapping[int, Mapping[str, Any]], reason: str, finished: float) -> dict[str, Any]:
    """What is recorded of a trial that ended, from its epochs' metrics."""
    last = curve[max(curve)] if curve else {}
    return {
        "reason": reason,
        "epochs": len(curve),
        "error": last.get("error"),
        "cross_entropy": last.get("cross_entropy"),
        "seconds": sum(metrics["seconds"] for metrics in curve.values()),
        "finished": finished,
    }


class Ledger(TrialLedger[RunConfig]):
    """A run's folder."""

    kind = RunConfig

    @property
    def goal(self) -> int:
        """How many trials the run shall have started in all: as configured, or as a resume extended it."""
        return int(self._study.user_attrs.get("trials", self.config.trials))

    def extend(self, trials: int) -> None:
        """Set the goal anew."""
        self._study.set_user_attr("trials", trials)


class BatchLedger(TrialLedger[BatchConfig]):
    """The folder of a batch."""

    kind = BatchConfig


def _read(trial: FrozenTrial) -> LedgerTrial:
    held = trial.user_attrs
    return LedgerTrial(
        number=trial.number,
        id=held["id"],
        name=held["name"],
        state=STATES[trial.state],
        genome=held["genome"],
        cost=held["cost"],
        seed=held["seed"],
        started=held["started"],
        result=held.get("result", {}),
        values=held.get("values"),
    )
