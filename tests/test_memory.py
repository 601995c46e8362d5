"""Training memory: what autograd is seen to save, and the measured peak of whole training steps."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import blueprints

from archspace.blocks.basic import BasicGenes
from archspace.blocks.bottleneck import BottleneckGenes
from archspace.blocks.dense import DenseGenes
from archspace.blocks.highway import HighwayGenes
from archspace.blocks.inception import InceptionGenes
from archspace.blocks.plain import PlainGenes
from archspace.blueprint import Blueprint, draw
from archspace.closed_form import cost
from archspace.genome import Genome, Head, Stage, Stem, Survival
from archspace.measure.memory import peak_training_bytes, saved_bytes
from archspace.memory import breakdown, training_memory

shapes = st.tuples(st.integers(1, 4), st.integers(5, 20), st.integers(5, 20))
classes = st.integers(2, 12)


@settings(max_examples=120, deadline=None)
@given(blueprints(shapes, classes, max_depth=4, max_width=24), st.sampled_from([2, 3]))
def test_autograd_saves_what_the_closed_form_says(drawn: tuple[Genome, Blueprint], batch: int) -> None:
    _, blueprint = drawn
    assert batch * cost(blueprint).saved == saved_bytes(blueprint, batch)


@settings(max_examples=30, deadline=None)
@given(blueprints(shapes, classes, max_depth=4, max_width=24))
def test_rows_save_what_the_whole_saves(drawn: tuple[Genome, Blueprint]) -> None:
    whole = cost(drawn[1])
    assert sum(row.saved for row in whole.stages) == whole.saved


def network(genes: Any, block: str, stem: str = "cifar", widths: tuple[int, ...] = (32, 64), **others: Any) -> Genome:
    """Stages of three blocks, each further one at half the size; the last 64 wide."""
    growing = block == "dense"
    rows = enumerate(widths)
    stages = (Stage(block, 3, None if growing else width, 2 if number else 1, genes) for number, width in rows)
    return Genome(tuple(stages), Stem(stem, 32), **others)  # type: ignore[arg-type]


NETWORKS = {
    "plain": network(PlainGenes(), "plain"),
    "plain, pooled": network(PlainGenes(3, "none", "pool2"), "plain", head=Head("mlp", 0.5, 64, 2)),
    "inception": network(InceptionGenes(8, 12, 4, 8, 4), "inception"),
    "highway": network(HighwayGenes(2), "highway"),
    "highway, uncoupled": network(HighwayGenes(gates="uncoupled"), "highway"),
    "basic": network(BasicGenes("A"), "basic"),
    "basic, pre-activated": network(BasicGenes(order="full-preactivation", dropout=0.3), "basic", "bare"),
    "bottleneck": network(BottleneckGenes(8), "bottleneck", "imagenet", (32, 64, 128)),
    "ResNeXt": network(BottleneckGenes(4, 8), "bottleneck"),
    "ResNeXt, separate paths": network(BottleneckGenes(2, 8, form="separate"), "bottleneck"),
    "RegNetY": network(BottleneckGenes(8, 4, squeeze=0.25), "bottleneck", "regnet"),
    "dense": network(DenseGenes(12), "dense"),
    "dense, frugal": network(DenseGenes(12, memory="frugal"), "dense"),
    "dense, basic and frugal": network(DenseGenes(12, "basic", memory="frugal"), "dense"),
    "stochastic depth": network(BasicGenes(), "basic", survival=Survival(0.5)),
    "stochastic depth by image": network(BasicGenes(), "basic", survival=Survival(0.5, mode="sample")),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_closed_form_is_near_the_measured_peak(name: str) -> None:
    blueprint = draw(NETWORKS[name], (3, 32, 32), 10)
    for batch in (2, 16):
        assert training_memory(cost(blueprint), batch) == pytest.approx(peak_training_bytes(blueprint, batch), rel=0.1)


@pytest.mark.parametrize("name", ["plain, pooled", "stochastic depth by image", "dense, frugal"])
def test_what_is_counted_without_computing_is_what_is_there_when_computing(name: str) -> None:
    blueprint = draw(NETWORKS[name], (3, 32, 32), 10)
    assert peak_training_bytes(blueprint, 4, "meta") == peak_training_bytes(blueprint, 4)


def test_every_image_adds_at_least_what_is_saved_of_it() -> None:
    blueprint = draw(NETWORKS["ResNeXt"], (3, 32, 32), 10)
    added = peak_training_bytes(blueprint, 24) - peak_training_bytes(blueprint, 8)
    assert 16 * cost(blueprint).saved <= added < 1.2 * 16 * cost(blueprint).saved


def test_the_optimiser_may_need_the_most() -> None:
    """A hidden layer of 2048 x 1024 weights, of which decay and momentum make a copy each."""
    head = Head("mlp", hidden=1024, grid=4)
    blueprint = draw(network(PlainGenes(), "plain", widths=(32, 128), head=head), (3, 32, 32), 10)
    closed = cost(blueprint)
    assert training_memory(closed, 2) == pytest.approx(peak_training_bytes(blueprint, 2), rel=0.1)
    assert training_memory(closed, 2) > 3 * 4 * closed.params + 4 * 2048 * 1024
    assert training_memory(closed, 2, "cuda") == 4 * 4 * closed.params + 4 * 2 * 3 * 32 * 32


def test_recomputing_saves_memory() -> None:
    usual, frugal = (
        draw(network(DenseGenes(12, memory=memory), "dense"), (3, 32, 32), 10)
        for memory in ("usual", "frugal")  # type: ignore[arg-type]
    )
    assert cost(frugal).saved < 0.8 * cost(usual).saved
    assert training_memory(cost(frugal), 32) < 0.8 * training_memory(cost(usual), 32)
    assert peak_training_bytes(frugal, 32, "meta") < 0.8 * peak_training_bytes(usual, 32, "meta")


@pytest.mark.parametrize("name", ["basic", "dense", "highway", "inception"])
def test_in_bfloat16_half_as_much_is_saved_but_for_places_of_maxima(name: str) -> None:
    blueprint = draw(NETWORKS[name], (3, 32, 32), 10)
    half, seen = cost(blueprint).saved / 2, saved_bytes(blueprint, 1, bf16=True)
    if name == "inception":
        assert half < seen < 1.5 * half
    else:
        assert seen == half


def test_the_breakdown_tells_what_is_held() -> None:
    closed = cost(draw(NETWORKS["RegNetY"], (3, 32, 32), 10))
    told = breakdown(closed, 32)
    assert told.weights == told.gradients == told.optimizer == 4 * closed.params
    assert told.saved == 32 * closed.saved
    assert told.weights + told.optimizer + told.saved < training_memory(closed, 32)
