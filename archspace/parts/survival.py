"""Stochastic depth: residual branches that are skipped at random while training (Huang et al. 2016, 1603.09382)."""

import torch
from torch import Tensor, nn

from archspace.featuremap import FeatureMap
from archspace.plan import Part, Planned


class BatchSurvival(nn.Module):
    """Keeps `branch` for a whole mini-batch with probability `p`, else skips its computation; scales it by p in eval.

    Returns zero where the branch is skipped, so that the block is its shortcut.
    """

    def __init__(self, branch: nn.Module, p: float) -> None:
        super().__init__()
        self.branch = branch
        self.p = p

    def forward(self, x: Tensor) -> Tensor | float:
        if not self.training:
            out: Tensor = self.branch(x)
            return self.p * out
        if torch.rand(()) < self.p:
            kept: Tensor = self.branch(x)
            return kept
        return 0.0


class SampleSurvival(nn.Module):
    """Keeps `branch` for each image of a mini-batch with probability `p`; scales it by p in eval."""

    def __init__(self, branch: nn.Module, p: float) -> None:
        super().__init__()
        self.branch = branch
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.branch(x)
        if not self.training:
            return self.p * out
        kept = torch.rand(len(x), 1, 1, 1, device=x.device) < self.p
        return out * kept


def batch_survival_cost(x: FeatureMap, branch: Planned, p: float) -> FeatureMap:
    """Closed form in eval mode: the branch's own cost; fvcore does not count the scaling."""
    return x.surviving(branch.cost(x), p)


def sample_survival_cost(x: FeatureMap, branch: Planned, p: float) -> FeatureMap:
    """As batch_survival_cost, but while training the branch is computed for every image."""
    return branch.cost(x).flagged()


SURVIVAL = {
    "batch": Part(BatchSurvival, batch_survival_cost),
    "sample": Part(SampleSurvival, sample_survival_cost),
}
