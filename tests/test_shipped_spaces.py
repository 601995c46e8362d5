"""The shipped spaces: what they hold, what they reach, how many genomes they have near any cost."""

import random
from statistics import NormalDist

import numpy as np
import pytest

from archspace import zoo
from archspace.blueprint import draw
from archspace.closed_form import cost_of
from archspace.document import read_text
from archspace.network import build
from archspace.space.budget import parse_budget
from archspace.space.file import load_space, read_space, shipped_spaces
from archspace.space.reach import reachable
from archspace.space.sampler import candidate, sample
from archspace.space.space import family_of, genome_of, values_of

FAMILIES = ("plain", "inception", "highway", "resnet", "preact", "resnext", "densenet", "stochastic_depth", "regnet")
MFLOPS = 1_000_000


def test_the_shipped_spaces_are_those_of_the_overview() -> None:
    assert set(shipped_spaces()) == {*FAMILIES, "overview"}
    assert set(load_space("overview").families) == set(FAMILIES)


@pytest.mark.parametrize("name", [*FAMILIES, "overview"])
def test_each_reaches_from_300_mflops_to_8_gflops(name: str) -> None:
    space = load_space(name)
    assert space.input == (3, 224, 224)
    assert space.classes == 1000
    low, high = reachable(space, "flops")
    assert low <= 300 * MFLOPS
    assert high >= 8000 * MFLOPS


@pytest.mark.parametrize("name", FAMILIES)
def test_each_draws_networks_within_a_budget_that_can_be_built(name: str) -> None:
    budget = parse_budget(["600MFLOPs±5%"])
    for found in sample(load_space(name), budget, 3, 1):
        assert budget.allows(cost_of(found.genome))
        small = build(draw(found.genome, (1, 32, 32), 10))
        assert sum(value.numel() for value in small.parameters()) == cost_of(found.genome, (1, 32, 32), 10).params


@pytest.mark.parametrize(
    ("space", "network"),
    [
        ("plain", "plain18"),
        ("plain", "plain34"),
        ("preact", "PreResNet-152_imagenet"),
        ("preact", "ResNet-200_1x64d"),
        ("densenet", "densenet121"),
        ("densenet", "densenet161"),
        ("densenet", "densenet169"),
    ],
)
def test_they_hold_published_networks(space: str, network: str) -> None:
    held, genome = load_space(space), zoo.entry(network).genome
    values = values_of(held, genome)
    assert values is not None
    assert genome_of(held, values).id == genome.id


def test_regnet_networks_are_in_the_space_by_their_five_numbers() -> None:
    space = load_space("regnet")
    for name, numbers in {
        "RegNetX-400MF": {"w0": 24, "wa": 24.5, "wm": 2.55, "depth": 22, "group_width": 16, "squeeze": 0.0},
    }.items():
        values = {f"stages.{key}": value for key, value in numbers.items()}
        assert all(value in gene.values for gene in space.genes for value in [values[gene.name]])
        # the published numbers have more digits than the space's steps: near it, not it
        near, published = cost_of(genome_of(space, values)), zoo.entry(name)
        assert near.layers == published.layers
        assert abs(near.flops / published.flops - 1) < 0.05


def test_a_draw_of_the_overview_has_the_genes_of_its_family_alone() -> None:
    space = load_space("overview")
    seen = set()
    for found in sample(space, parse_budget(["600MFLOPs"]), 40, 3):
        family = str(found.values["family"])
        inner, values = family_of(space, found.values)
        assert set(values) == {gene.name for gene in inner.genes}
        assert genome_of(inner, values) == found.genome == genome_of(space, found.values)
        seen.add(family)
    assert len(seen) >= 7  # nine families, forty uniform draws


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_more_than_a_thousand_genomes_in_any_band_of_one_percent(name: str) -> None:
    """From 600 MFLOPs to 4 GFLOPs, by uniform draws: the lower end of a 99.9 % interval, bands 1 % apart."""
    space = load_space(name)
    rng = random.Random(0)
    drawn = [candidate(space, {gene.name: rng.choice(gene.values) for gene in space.genes}) for _ in range(40_000)]
    found = [item for item in drawn if item is not None]
    flops = np.sort([item.cost.flops for item in found])
    # Settings that stand for the same genome count once: the share of distinct ones among settings of the same band.
    centres = 600 * MFLOPS * 1.01 ** np.arange(191)
    assert centres[-1] > 3970 * MFLOPS
    within = np.searchsorted(flops, centres * 1.01, "right") - np.searchsorted(flops, centres * 0.99, "left")
    settings = space.size * _lower(within.min(), len(drawn))
    if name == "regnet":
        assert settings > 5000
        assert len(sample(space, parse_budget(["600MFLOPs±1%"]), 1001, 0)) == 1001
    else:
        assert len({item.genome.id for item in found}) > 0.99 * len({str(item.values) for item in found})
        assert settings > 1000


def _lower(hits: int, draws: int) -> float:
    """Lower end of Wilson's 99.9 % interval of a share."""
    z = NormalDist().inv_cdf(0.999)
    share = hits / draws
    middle, spread = share + z * z / (2 * draws), z * (share * (1 - share) / draws + z * z / (4 * draws**2)) ** 0.5
    return (middle - spread) / (1 + z * z / draws)


def test_a_widen_factor_is_a_width_with_factors() -> None:
    text = """\
target: {input: [3, 32, 32], classes: 10}
stem: {kind: bare, width: 16}
stages:
  number: 3
  block: basic
  depth: {range: [2, 6]}
  width: {choices: [1, 2, 4, 8, 10, 12], times: [16, 32, 64]}
  order: full-preactivation
  dropout: {choices: [0.0, 0.3]}
"""
    space = read_space(read_text(text, "wide.yaml"))
    for name, depth, widen in (("WRN-40-4_c10", 6, 4), ("WRN-28-10_c10", 4, 10), ("WRN-16-8_c10", 2, 8)):
        values = {"depth": depth, "width": widen, "dropout": 0.0}
        assert values_of(space, zoo.entry(name).genome) == values
        dropped = genome_of(space, {**values, "dropout": 0.3})
        assert cost_of(dropped, (3, 32, 32), 10).flops == zoo.entry(name).flops
