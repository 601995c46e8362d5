"""A mixed-effects model of both arms' errors: what another method would have said."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from archspace.analysis.contrasts import Paired

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Mixed:
    """Effect of arm a over b with its Wald interval, in the effect's unit; `words` say how the fit went.

    Not-a-number where there was no fit. Wald intervals take few anchors for many: they are a check, not a result.
    """

    estimate: float
    low: float
    high: float
    p: float
    converged: bool
    words: str


def mixed_model(paired: Paired, confidence: float = 0.95) -> Mixed:
    """Restricted maximum likelihood of error ~ arm, anchors random, arms within anchors random too where seeds repeat.

    A failure to converge is told in words, never raised.
    """
    import statsmodels.formula.api as formulas
    from scipy import stats

    # With one seed an arm within an anchor is one training: its variance is the residual.
    within = {"arm": "0 + C(arm)"} if len(paired.seeds) > 1 else None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model = formulas.mixedlm(
                "points ~ is_a", _table(paired), groups="anchor", re_formula="1", vc_formula=within
            )
            fit = model.fit(reml=True)
            estimate, error = float(fit.fe_params["is_a"]), float(fit.bse_fe["is_a"])
            converged, p = bool(fit.converged), float(fit.pvalues["is_a"])
        except (np.linalg.LinAlgError, ValueError, ArithmeticError) as failure:
            words = f"The mixed model could not be fitted: {failure}."
            return Mixed(math.nan, math.nan, math.nan, math.nan, False, words)
    half = error * float(stats.norm.ppf(0.5 + confidence / 2))
    words = _words(converged and math.isfinite(error), [str(entry.message) for entry in caught])
    return Mixed(estimate, estimate - half, estimate + half, p, converged and math.isfinite(error), words)


def _table(paired: Paired) -> pd.DataFrame:
    import pandas as pd

    scaled = [100.0 * error / paired.doublings[:, None] for error in (paired.a, paired.b)]
    anchors = np.repeat(np.arange(len(paired.anchors)), len(paired.seeds))
    arms = [
        pd.DataFrame({"points": points.ravel(), "is_a": is_a, "arm": arm, "anchor": anchors})
        for points, is_a, arm in zip(scaled, (1.0, 0.0), ("a", "b"), strict=True)
    ]
    return pd.concat(arms, ignore_index=True)


def _words(converged: bool, messages: list[str]) -> str:
    if not converged:
        return "The mixed model did not converge; do not read its figures."
    if any("boundary" in message or "singular" in message for message in messages):
        return "The mixed model converged with a variance at its boundary, 0: that part of the spread was not seen."
    return "The mixed model converged."
