"""Heads: from the last feature map to class scores."""

from torch import Tensor, nn

from archspace.featuremap import FeatureMap
from archspace.plan import Part


class AverageHead(nn.Module):
    """Global average pooling and a linear classifier (He et al. 2015, Table 1)."""

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.pool(x).flatten(1))
        return scores


def average_head_cost(x: FeatureMap, width: int, num_classes: int) -> FeatureMap:
    """Closed form of AverageHead."""
    return x.average_pool().linear(num_classes)


HEADS = {"average": Part(AverageHead, average_head_cost)}
