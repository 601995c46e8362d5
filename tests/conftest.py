"""What all tests share."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)  # the networks here are too small to share among threads


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is remembered from outside, nor left there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARCHSPACE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
