"""Models of several spaces at equal cost: weights by which their costs have one distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MOST_BINS = 10
"""As many as the paper takes for samples of a hundred models and more."""
PER_BIN = 5
"""Models of the smallest sample for each bin, in the mean: with fewer, single models would carry a bin's weight."""
OUT = -1
"""The bin of a model that is left out."""


@dataclass(frozen=True)
class Matched:
    """For each sample the weight and the bin of each model, and how many were left out of it.

    Weights of a sample sum to 1; a model left out has weight 0 and bin OUT. `edges` are the ends of the bins in units
    of cost, ascending, those of bins that were left out among them; `kept` are the bins that count.
    """

    weights: tuple[Array, ...]
    bins: tuple[Array, ...]
    left_out: tuple[int, ...]
    edges: tuple[float, ...]
    kept: tuple[int, ...]


def matched(costs: Sequence[Array], bins: int | None = None) -> Matched | None:
    """Weights that spread every sample equally over bins of cost; None where the samples share no range of costs.

    `costs` holds an array above 0 for each sample. The range that all samples reach is cut into `bins` parts, equal in
    the logarithm; of a bin with m models each weighs 1 / (bins x m), so that every bin weighs the same in every sample
    (Radosavovic et al. 2019, 1905.13214, on controlling for complexity). What has no counterpart is left out: models
    outside the common range, and bins that some sample does not reach.
    """
    logs = [np.log(np.asarray(sample, dtype=float)) for sample in costs]
    if not logs or min(len(sample) for sample in logs) == 0:
        return None
    low, high = max(sample.min() for sample in logs), min(sample.max() for sample in logs)
    if low > high:
        return None
    number = bins or max(1, min(MOST_BINS, min(len(sample) for sample in logs) // PER_BIN))
    edges = np.linspace(low, high, number + 1 if high > low else 2)
    placed = [_placed(sample, edges) for sample in logs]
    shared = [place for place in range(len(edges) - 1) if all((sample == place).any() for sample in placed)]
    if not shared:
        return None
    placed = [np.where(np.isin(sample, shared), sample, OUT) for sample in placed]
    return Matched(
        weights=tuple(_weights(sample, shared) for sample in placed),
        bins=tuple(placed),
        left_out=tuple(int((sample == OUT).sum()) for sample in placed),
        edges=tuple(np.exp(edges).tolist()),
        kept=tuple(shared),
    )


def unmatched(costs: Sequence[Array]) -> Matched:
    """Every model with the same weight, in one bin: the samples as they were drawn."""
    return Matched(
        weights=tuple(np.full(len(sample), 1 / len(sample)) for sample in costs),
        bins=tuple(np.zeros(len(sample), dtype=int) for sample in costs),
        left_out=(0,) * len(costs),
        edges=(float(min(np.min(sample) for sample in costs)), float(max(np.max(sample) for sample in costs))),
        kept=(0,),
    )


def mean_cost(costs: Array, weights: Array) -> float:
    """The weighted geometric mean, by which one sees how equal the costs of matched samples are."""
    return float(np.exp(np.average(np.log(np.asarray(costs, dtype=float)), weights=weights)))


def _placed(logs: Array, edges: Array) -> Array:
    """The bin of each model, the upper end of the range included; OUT beyond the range."""
    inside = (logs >= edges[0]) & (logs <= edges[-1])
    places = np.clip(np.searchsorted(edges, logs, side="right") - 1, 0, len(edges) - 2)
    return np.where(inside, places, OUT)


def _weights(places: Array, shared: Sequence[int]) -> Array:
    weights = np.zeros(len(places))
    for place in shared:
        inside = places == place
        weights[inside] = 1 / (len(shared) * inside.sum())
    return weights
