"""The digits task."""

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from archspace.data.tasks import Task, load_task
from archspace.errors import UserError


@pytest.fixture(scope="module")
def digits() -> Task:
    return load_task("digits")


def test_digits_are_split_by_class_without_overlap(digits: Task) -> None:
    assert [len(part.labels) for part in (digits.train, digits.val, digits.test)] == [1077, 360, 360]
    assert digits.input == tuple(digits.train.images.shape[1:]) == (1, 32, 32)
    shares = load_digits().target
    for part in (digits.train, digits.val, digits.test):
        counts = torch.bincount(part.labels, minlength=10)
        expected = [len(part.labels) * (shares == label).mean() for label in range(10)]
        assert all(abs(int(counts[label]) - expected[label]) <= 1 for label in range(10))
    images = torch.cat([part.images for part in (digits.train, digits.val, digits.test)])
    assert len(torch.unique(images.flatten(1), dim=0)) == len(images) == 1797


def test_digits_are_normalised_by_what_is_trained_on(digits: Task) -> None:
    pixels = digits.train.images.float()
    assert digits.mean == pytest.approx((float(pixels.mean()),))
    assert digits.std == pytest.approx((float(pixels.std()),))
    assert digits.train.images.dtype == torch.uint8
    assert int(digits.train.images.max()) == 255
    assert torch.equal(load_task("digits").test.images, digits.test.images)


def test_digits_are_those_of_scikit_learn(digits: Task) -> None:
    small = nn.functional.adaptive_avg_pool2d(digits.train.images[:50].float(), 8).flatten(1)
    originals = torch.from_numpy(load_digits().data).float()
    centred = (nn.functional.normalize(rows - rows.mean(1, keepdim=True)) for rows in (small, originals))
    likeness = next(centred) @ next(centred).T
    labels = torch.from_numpy(load_digits().target)[likeness.argmax(1)]
    assert torch.equal(labels, digits.train.labels[:50])


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown task 'digit' \(did you mean 'digits'\?\); known are .*digits"):
        load_task("digit")
