"""Progress of a queue of trainings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archspace.cli.bar import Bar
    from archspace.searching.queue import Queue


class Trainings:
    """Tells a bar of trainings as they end."""

    def __init__(self, bar: Bar) -> None:
        self.bar, self.running = bar, set[int]()

    def __call__(self, queue: Queue) -> None:
        for number in sorted(self.running - set(queue.running)):
            self.bar.tell(queue.line(number))
        self.running = set(queue.running)
        self.bar.show("training networks", queue.done, len(queue.trainings))
