"""Progress of one thing after another, on stderr."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining


class Bar:
    """A bar for what is being done, on a terminal alone; words are printed everywhere, above the bar.

    A file or pipe is told once of each thing that has begun, but for what `quiet` names, which tells of itself.
    """

    def __init__(self, quiet: str = "") -> None:
        self.console = Console(stderr=True, highlight=False, emoji=False)
        self.console.soft_wrap = not self.console.is_terminal  # a file keeps its lines whole
        self.quiet, self.last, self.number, self.of = quiet, "", 0, 0
        words = TextColumn("{task.description}", markup=False)
        columns = (words, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), Remaining())
        self.bars = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self.bar: TaskID | None = None

    def __enter__(self) -> Bar:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def tell(self, words: str) -> None:
        """Print words."""
        self.console.print(words, markup=False)

    def show(self, what: str, done: int, of: int) -> None:
        """Take note of how much of something is done, and of how much there is."""
        begun = of != self.of or done < self.number or self.bar is None
        self.number, self.of = done, of
        if begun:
            if self.bar is not None:
                self.bars.remove_task(self.bar)
            self.bar = self.bars.add_task(what, total=of, completed=done)
        assert self.bar is not None
        self.bars.update(self.bar, description=what, completed=done)
        if begun and not self.console.is_terminal and not (self.quiet and what.startswith(self.quiet)):
            self.tell(f"{what} ({of:,})")
        self.last = what
