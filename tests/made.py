"""Tasks made of given tensors."""

from archspace.data.tasks import Split, Task
from archspace.genome import Shape


def made_task(input: Shape, classes: int, train: Split, val: Split, test: Split) -> Task:
    """A task whose images are trained on as they are."""
    names = tuple(map(str, range(classes)))
    zeros, ones = (0.0,) * input[0], (1.0,) * input[0]
    return Task("made", input, classes, train, val, test, zeros, ones, names, "as handed over", "made")
