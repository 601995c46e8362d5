"""archspace: explore convolutional network design spaces within an exact budget."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archspace.api import build, cost, costs, load_genome, load_space, open_run, plan_search, resume, sample, search
    from archspace.comparing.compare import compare
    from archspace.comparing.prepare import CompareRequest
    from archspace.errors import BudgetError, GenomeError, RunFailed, UserError
    from archspace.genome import Genome, Stage
    from archspace.solo import train
    from archspace.trained import evaluate

__version__ = "0.1.0"

_HOMES = {
    "archspace.api": (
        "build",
        "cost",
        "costs",
        "load_genome",
        "load_space",
        "open_run",
        "plan_search",
        "resume",
        "sample",
        "search",
    ),
    "archspace.comparing.compare": ("compare",),
    "archspace.comparing.prepare": ("CompareRequest",),
    "archspace.errors": ("BudgetError", "GenomeError", "RunFailed", "UserError"),
    "archspace.genome": ("Genome", "Stage"),
    "archspace.solo": ("train",),
    "archspace.trained": ("evaluate",),
}

__all__ = [
    "BudgetError",
    "CompareRequest",
    "Genome",
    "GenomeError",
    "RunFailed",
    "Stage",
    "UserError",
    "build",
    "compare",
    "cost",
    "costs",
    "evaluate",
    "load_genome",
    "load_space",
    "open_run",
    "plan_search",
    "resume",
    "sample",
    "search",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that importing archspace costs nothing."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'archspace' has no attribute {name!r}")
