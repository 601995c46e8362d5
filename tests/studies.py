"""Results of studies, made up for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from archspace.analysis.contrasts import Contrast, Paired, grid_of, pair

CONTRAST = Contrast("a/b", "a", "b")


def results(
    errors: Mapping[str, Sequence[Sequence[float]]],
    doublings: Mapping[str, float] | None = None,
    strata: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Rows of arms whose errors, in percent, are given by anchor and seed; an error of 90 has failed."""
    rows = [
        {
            "anchor": f"n{anchor}",
            "stratum": strata[anchor] if strata else "all",
            "arm": arm,
            "seed": seed,
            "error": error / 100,
            "failed": error == 90,
            "doublings": (doublings or {}).get(arm, 1.0),
        }
        for arm, by_anchor in errors.items()
        for anchor, by_seed in enumerate(by_anchor)
        for seed, error in enumerate(by_seed)
    ]
    return pd.DataFrame(rows)


def of_effects(effects: Sequence[float], spread: float = 0.1, strata: Sequence[str] | None = None) -> pd.DataFrame:
    """Two arms, two seeds: b has an error of 10 %, a that and the effect; seeds lie `spread` either side."""
    a = [[10 + effect - spread, 10 + effect + spread] for effect in effects]
    return results({"a": a, "b": [[10.0, 10.0]] * len(effects)}, strata=strata)


def paired(effects: Sequence[float], spread: float = 0.1, strata: Sequence[str] | None = None) -> Paired:
    """The contrast of a and b with these effects of anchors."""
    return pair(grid_of(of_effects(effects, spread, strata)), CONTRAST)


def known_effects(seed: int, anchors: int, mean: float = 0.2, sd: float = 0.3) -> list[float]:
    """Effects from a normal distribution."""
    found: list[float] = np.random.default_rng(seed).normal(mean, sd, anchors).tolist()
    return found
