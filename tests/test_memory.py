"""Training memory: what autograd is seen to save, and the measured peak of whole training steps."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import blueprints

from archspace.blueprint import Blueprint
from archspace.costs import cost
from archspace.genome import Genome
from archspace.measure.memory import saved_bytes

shapes = st.tuples(st.integers(1, 4), st.integers(5, 20), st.integers(5, 20))
classes = st.integers(2, 12)


@settings(max_examples=200, deadline=None)
@given(blueprints(shapes, classes, max_depth=4, max_width=24), st.sampled_from([2, 3]))
def test_autograd_saves_what_the_closed_form_says(drawn: tuple[Genome, Blueprint], batch: int) -> None:
    _, blueprint = drawn
    assert batch * cost(blueprint).saved == saved_bytes(blueprint, batch)
