"""Live progress of a search, on stderr."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from archspace.units import UNITS, duration, percent, si

if TYPE_CHECKING:
    from archspace.searching.searcher import Searcher

ENDED = ("complete", "stopped", "failed")
SHOWN = 8
"""Running trials named at most."""


class Display:
    """Trials done, best error, hypervolume and ETA: redrawn on a terminal, one line per epoch everywhere."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
        self.console.soft_wrap = not self.console.is_terminal  # a file keeps its lines whole
        self.searcher: Searcher | None = None
        self.states: dict[int, str] = {}
        self.area, self.best = 0.0, float("nan")
        self.told: set[tuple[int, int]] = set()
        self.began = time.monotonic()
        self.before, self.seconds = 0, 0.0
        self.live = Live(console=self.console, get_renderable=self._render, refresh_per_second=2, transient=True)

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self.live.stop()
        searcher = self.searcher
        if searcher is not None and searcher.exhausted and len(searcher.ledger.trials()) < searcher.trials:
            self.console.print("no untried genome turned up within the budget: the search ends before its last trial")

    def update(self, searcher: Searcher) -> None:
        """Take note of what the searcher has just heard."""
        first, self.searcher = self.searcher is None, searcher
        trials = searcher.ledger.trials()
        ended = {trial.number: trial.state for trial in trials if trial.state in ENDED}
        news = [number for number in ended if number not in self.states and not first]
        self.states = ended
        self._measure(searcher)
        if first:
            self.before = len(ended.keys() & searcher.past.keys())
            self.console.print(plan_line(searcher))
        for number, curve in list(searcher.curves.items()):
            last = max(curve, default=0)
            if last > searcher.past.get(number, 0) and (number, last) not in self.told:
                self.told.add((number, last))
                self.seconds += 0.0 if "run" in curve[last] else curve[last]["seconds"]
                self.console.print(self._line(number, last))
        for number in news:
            if ended[number] == "failed":
                reason = trials[number].result.get("reason", "")
                self.console.print(f"trial {number:>3}  failed: {reason}", markup=False)

    def tell(self, message: str) -> None:
        """Say what is done once the trials are over."""
        self.console.print(message, markup=False)

    def _measure(self, searcher: Searcher) -> None:
        import pandas as pd

        from archspace.analysis.front import hypervolume

        config = searcher.ledger.config
        finished = searcher.rungs[config.recipe.epochs].values()
        if finished:
            table = pd.DataFrame(
                {"state": "complete", "error": s.error, "cross_entropy": s.cross_entropy, config.measure: s.cost}
                for s in finished
            )
            self.area = hypervolume(table, config.measure, config.cap, config.task.classes)
            self.best = min(standing.error for standing in finished)

    def _line(self, number: int, epoch: int) -> str:
        searcher = self.searcher
        assert searcher is not None
        metrics, measure = searcher.curves[number][epoch], searcher.ledger.config.measure
        cost = si(searcher.rungs[epoch][number].cost, UNITS[measure])
        state = self.states.get(number) or ("goes on" if number in searcher.running else "pauses: time is up")
        state += f" (taken over from run {metrics['run']})" if "run" in metrics else ""
        return (
            f"trial {number:>3}  epoch {epoch:>3}  val error {percent(metrics['error']):>7}  {cost:>12}  "
            f"{metrics['seconds']:5.1f} s  {state}"
        )

    def _render(self) -> RenderableType:
        searcher, gone = self.searcher, time.monotonic() - self.began
        if searcher is None:
            return Text(f"starting ... {clock(gone)}")
        done, running = len(self.states), sorted(searcher.running)
        over = not running and (done >= searcher.trials or searcher.exhausted or searcher.out_of_time)
        outlook = "writing report and winner" if over else self._outlook(searcher)
        table = Table.grid(padding=(0, 2))
        table.add_row(
            ProgressBar(total=searcher.trials, completed=done, width=24, complete_style="green"),
            Text(f"{done}/{searcher.trials} trials done  {clock(gone)} gone, {outlook}"),
        )
        area = f"{self.area:.3f}" if self.area else "–"
        stands = [self._stand(searcher, number) for number in running[:SHOWN]]
        stands += [f"and {len(running) - SHOWN} more"] if len(running) > SHOWN else []
        return Group(
            table,
            Text(f"best error {percent(self.best)}  hypervolume {area}"),
            Text("   ".join(stands), style="dim"),
        )

    def _stand(self, searcher: Searcher, number: int) -> str:
        # `get`, for this runs in a thread of its own: a lookup in a defaultdict would change it.
        last, epochs = max(searcher.curves.get(number, {}), default=0), searcher.ledger.config.recipe.epochs
        return f"trial {number}: epoch {min(last + 1, epochs)} of {epochs}"

    def _outlook(self, searcher: Searcher) -> str:
        """When the trials will be done at the pace since this start, or the time is up if that is sooner."""
        limit, ended = max(searcher.deadline - time.time(), 0.0), len(self.states) - self.before
        if not limit:
            return "time is up: last epochs"
        if not ended or not self.seconds:
            return f"at most {clock(limit)} to go"
        left = (searcher.trials - len(self.states)) * self.seconds / ended / searcher.ledger.config.concurrency
        return f"ETA {clock(min(left, limit))}"


def clock(seconds: float) -> str:
    """Seconds as minutes:seconds or hours:minutes:seconds, which does not change its length as it ticks."""
    if seconds == float("inf"):
        return "no limit"
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def plan_line(searcher: Searcher) -> str:
    """What is about to happen, in a few lines."""
    from archspace.report.page import where_line
    from archspace.training.device import choose_mode
    from archspace.training.fastest import modes_text

    config = searcher.ledger.config
    begun = len(searcher.past)
    modes = modes_text(config.modes) if config.modes else str(choose_mode(config.recipe, config.device))
    limit = duration(max(searcher.deadline - time.time(), 0.0))
    return "\n".join(
        (
            f"run {config.name}: space {config.space_name}, budget {', '.join(config.budget)}, seed {config.seed}",
            where_line(config),
            f"up to {searcher.trials} trials{f' ({begun} begun before)' if begun else ''}, {config.concurrency} side "
            f"by side, stopping after {limit}; {modes}",
        )
    )
