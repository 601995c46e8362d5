"""Feature maps: the rules of the cost algebra that no single network shows."""

from hypothesis import given
from hypothesis import strategies as st

from archspace.featuremap import FeatureMap

sizes = st.integers(1, 300)
maps = st.builds(FeatureMap, sizes, sizes, sizes, *[sizes] * 8, kept=st.booleans(), listed=st.booleans())


@given(maps)
def test_norm_relu_is_norm_and_relu(x: FeatureMap) -> None:
    assert x.norm_relu() == x.norm().relu()


@given(maps)
def test_what_is_kept_counts_once(x: FeatureMap) -> None:
    once = x.keep()
    assert once.kept
    assert once.keep() == once
    assert once.saved - x.saved == (0 if x.kept else 4 * x.elements)
    assert once._replace(saved=0, kept=False, listed=False) == x._replace(saved=0, kept=False, listed=False)
