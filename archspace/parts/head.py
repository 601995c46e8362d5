"""Heads: from the last feature map to class scores."""

from torch import Tensor, nn
from torch.nn import functional as F

from archspace.featuremap import FeatureMap
from archspace.genome import Head
from archspace.plan import Part, Planned, Symbol


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
    return x.adaptive_pool().linear(num_classes)


class DropoutHead(nn.Module):
    """Global average pooling, dropout, a linear classifier (Szegedy et al. 2015, 1409.4842, Table 1)."""

    def __init__(self, width: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.dropout(self.pool(x).flatten(1)))
        return scores


def dropout_head_cost(x: FeatureMap, width: int, num_classes: int, dropout: float) -> FeatureMap:
    """Closed form of DropoutHead."""
    return x.adaptive_pool().dropout(dropout).linear(num_classes)


class MLPHead(nn.Module):
    """Max pooling, adaptive pooling to grid x grid, two hidden layers, a classifier (1409.1556, Table 1)."""

    def __init__(self, width: int, num_classes: int, hidden: int, grid: int, pool: int, dropout: float) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(pool, stride=2, ceil_mode=True)
        self.grid = nn.AdaptiveAvgPool2d(grid)
        self.hidden1 = nn.Linear(width * grid * grid, hidden)
        self.hidden2 = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.grid(self.pool(x)).flatten(1)
        x = self.dropout(F.relu(self.hidden1(x)))
        x = self.dropout(F.relu(self.hidden2(x)))
        scores: Tensor = self.classifier(x)
        return scores


def mlp_head_cost(
    x: FeatureMap, width: int, num_classes: int, hidden: int, grid: int, pool: int, dropout: float
) -> FeatureMap:
    """Closed form of MLPHead."""
    x = x.max_pool(pool, 2).adaptive_pool(grid).linear(hidden).relu().dropout(dropout)
    return x.linear(hidden).relu().dropout(dropout).linear(num_classes)


AVERAGE_HEAD = Part(AverageHead, average_head_cost)
DROPOUT_HEAD = Part(DropoutHead, dropout_head_cost)
MLP_HEAD = Part(MLPHead, mlp_head_cost)


def plan_head(head: Head, width: int, classes: Symbol) -> Planned:
    """The head for maps of `width` channels."""
    if head.kind == "mlp":
        return MLP_HEAD(
            width=width,
            num_classes=classes,
            hidden=head.hidden,
            grid=head.grid,
            pool=head.pool,
            dropout=head.dropout,
        )
    if head.dropout > 0:
        return DROPOUT_HEAD(width=width, num_classes=classes, dropout=head.dropout)
    return AVERAGE_HEAD(width=width, num_classes=classes)
