"""Distributions of error: weights, bands, tests and best-of-n, by hand and by simulation of what they promise."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binom, ks_2samp

from archspace.analysis.best_of import best_of, expected_best, resampled, stopping
from archspace.analysis.distribution import edf, half_width, ks, ks_test, matched_ks_test, models_for, quantile
from archspace.analysis.matching import OUT, Matched, matched, mean_cost, unmatched

ROUNDS = 400


def at_least(hits: int, level: float, rounds: int = ROUNDS) -> bool:
    """Whether so many hits are no evidence that the chance of one is below `level` (one in ten thousand)."""
    return bool(binom.cdf(hits, rounds, level) > 1e-4)


def drawn(rng: np.random.Generator, n: int, dear: float = 0.0, worse: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Costs and errors of n networks: error falls with cost, by steps of one image in 200, so with ties."""
    logs = rng.normal(dear, 1.0, n)
    errors = 0.4 - 0.05 * logs + worse + 0.15 * rng.random(n)
    return np.exp(logs), np.round(errors * 200) / 200


def exact(rng: np.random.Generator, n: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Costs in bins of which each is one value, unlike for both samples; errors depend on the bin alone."""
    place = rng.choice(4, n, p=[(0.1, 0.2, 0.3, 0.4), (0.4, 0.3, 0.2, 0.1)][number])
    place[:4] = range(4)
    return 2.0**place * 1.01, np.round((0.4 - 0.08 * place + 0.1 * rng.random(n)) * 100) / 100


def test_weights_by_hand() -> None:
    held = matched([np.array([1.0, 1, 3, 9, 50]), np.array([1.0, 3.5, 8, 9])], bins=2)
    assert held is not None
    assert held.edges == pytest.approx((1, 3, 9))
    assert held.kept == (0, 1)
    np.testing.assert_allclose(held.weights[0], [1 / 4, 1 / 4, 1 / 4, 1 / 4, 0])
    np.testing.assert_allclose(held.weights[1], [1 / 2, 1 / 6, 1 / 6, 1 / 6])
    assert list(held.bins[0]) == [0, 0, 1, 1, OUT]
    assert held.left_out == (1, 0)


def test_a_bin_that_one_sample_does_not_reach_is_left_out_of_both() -> None:
    held = matched([np.array([1.0, 10, 100]), np.array([1.0, 1.5, 100])], bins=3)
    assert held is not None
    assert held.kept == (0, 2)
    assert held.left_out == (1, 0)
    assert held.weights[0].sum() == pytest.approx(1)
    np.testing.assert_allclose(held.weights[1], [1 / 4, 1 / 4, 1 / 2])


def test_costs_without_a_common_range_are_not_matched() -> None:
    assert matched([np.array([1.0, 2]), np.array([3.0, 4])]) is None
    same = matched([np.array([5.0, 5]), np.array([5.0, 5, 5])])
    assert same is not None
    np.testing.assert_allclose(same.weights[1], 1 / 3)


def test_matching_makes_costs_equal() -> None:
    rng = np.random.default_rng(0)
    costs = [drawn(rng, 200)[0], drawn(rng, 200, dear=1.0)[0]]
    held = matched(costs)
    assert held is not None
    means = [mean_cost(cost, weight) for cost, weight in zip(costs, held.weights, strict=True)]
    assert mean_cost(costs[1], np.ones(200)) / mean_cost(costs[0], np.ones(200)) > 2
    assert 0.95 < means[1] / means[0] < 1.05


def test_edf_and_quantiles_by_hand() -> None:
    found = edf(np.array([0.3, 0.1, 0.3, 0.2]))
    np.testing.assert_allclose(found.errors, [0.1, 0.2, 0.3])
    np.testing.assert_allclose(found.shares, [0.25, 0.5, 1])
    weighted = edf(np.array([0.3, 0.1, 0.2]), np.array([0.5, 0.25, 0.25]))
    np.testing.assert_allclose(weighted.shares, [0.25, 0.5, 1])
    assert weighted.effective == pytest.approx(1 / (0.25 + 2 / 16))
    assert quantile(np.array([0.4, 0.1, 0.2, 0.3]), np.full(4, 0.25), 0.5) == pytest.approx(
        np.median([0.1, 0.2, 0.3, 0.4])
    )
    assert quantile(np.array([0.4, 0.1, 0.2]), np.array([0.6, 0.2, 0.2]), 0.5) == pytest.approx(0.4)


def test_how_many_models_a_band_takes() -> None:
    assert half_width(185) <= 0.1 < half_width(184)
    assert models_for(0.1) == 185
    assert half_width(1) == 1


@pytest.mark.parametrize("n", [8, 40])
def test_the_band_covers_the_whole_distribution(n: int) -> None:
    rng, hits = np.random.default_rng(n), 0
    for _ in range(ROUNDS):
        held = edf(np.round(rng.random(n) ** 2 * 50) / 50)
        grid = np.arange(51) / 50
        truth = np.sqrt(np.clip((np.arange(51) + 0.5) / 50, 0, 1))
        places = np.searchsorted(held.errors, grid, side="right")
        low, high = np.append(0, held.low)[places], np.append(held.half_width, held.high)[places]
        hits += bool(((low <= truth) & (truth <= high)).all())
    assert at_least(hits, 0.95)


@pytest.mark.parametrize("n", [16, 60])
def test_the_weighted_band_covers_the_distribution_at_equal_cost(n: int) -> None:
    rng, hits, grid = np.random.default_rng(n), 0, np.arange(100) / 100 + 0.005
    steps = np.clip((grid[:, None] - (0.4 - 0.08 * np.arange(4))) / 0.1, 0, 1).mean(axis=1)
    for _ in range(ROUNDS):
        samples = [exact(rng, n, number) for number in range(2)]
        held = matched([cost for cost, _ in samples], bins=4)
        assert held is not None
        found = edf(samples[0][1], held.weights[0])
        places = np.searchsorted(found.errors, grid, side="right")
        low, high = np.append(0, found.low)[places], np.append(found.half_width, found.high)[places]
        hits += bool(((low <= steps) & (steps <= high)).all())
    assert at_least(hits, 0.95)


def test_ks_is_scipys() -> None:
    rng = np.random.default_rng(1)
    one, other = (np.round(rng.random(n) * 20) / 20 for n in (13, 21))
    assert ks(one, other) == pytest.approx(ks_2samp(one, other).statistic)
    assert ks_test(one, other).p == ks_2samp(one, other).pvalue


def test_permutations_within_one_bin_give_the_exact_p() -> None:
    one, other = np.array([0.1, 0.2, 0.3, 0.35]), np.array([0.25, 0.4, 0.5])
    held = unmatched([np.ones(4), np.ones(3)])
    pooled = np.concatenate([one, other])
    statistics = [
        ks(pooled[list(chosen)], np.delete(pooled, list(chosen))) for chosen in combinations(range(7), 4)
    ]  # fmt: skip
    expected = np.mean(np.array(statistics) >= ks(one, other) - 1e-9)
    found = matched_ks_test((one, other), held.weights, held.bins, np.random.default_rng(0), 20_000)  # type: ignore[arg-type]
    assert found.statistic == pytest.approx(ks(one, other))
    assert found.p == pytest.approx(expected, abs=5 * math.sqrt(expected / 20_000))


def rejections(worse: float, n: int = 40, rounds: int = 200) -> int:
    rng, count = np.random.default_rng(7), 0
    for _ in range(rounds):
        samples = [exact(rng, n, number) for number in range(2)]
        errors = samples[0][1], samples[1][1] + worse
        held = matched([cost for cost, _ in samples], bins=4)
        assert held is not None
        count += matched_ks_test(errors, held.weights, held.bins, rng, 199).p <= 0.05  # type: ignore[arg-type]
    return count


def test_the_test_at_equal_cost_keeps_its_level_where_the_plain_one_does_not() -> None:
    assert rejections(0.0) <= binom.ppf(1 - 1e-4, 200, 0.05)
    rng = np.random.default_rng(8)
    plain = sum(ks_test(exact(rng, 40, 0)[1], exact(rng, 40, 1)[1]).p <= 0.05 for _ in range(50))
    assert plain > 25


def test_the_test_at_equal_cost_finds_what_is_there() -> None:
    assert rejections(0.05) > 180


def test_expected_best_by_hand() -> None:
    errors = np.array([0.4, 0.1, 0.2])
    np.testing.assert_allclose(expected_best(errors, np.array([1, 2, 3])), [0.7 / 3, (0.1 + 0.1 + 0.2) / 3, 0.1])
    weighted = expected_best(errors, np.array([1, 2]), np.array([0.5, 0.25, 0.25]))
    np.testing.assert_allclose(weighted, [0.275, 0.4375 * 0.1 + 0.3125 * 0.2 + 0.25 * 0.4])


def test_expected_best_is_the_mean_over_all_subsets() -> None:
    errors = np.random.default_rng(2).random(9)
    for n in range(1, 10):
        mean = np.mean([min(errors[list(chosen)]) for chosen in combinations(range(9), n)])
        assert expected_best(errors, np.array([n]))[0] == pytest.approx(mean)


def test_the_interval_of_the_best_of_n_covers_it_as_far_as_it_is_given() -> None:
    rng, hits, n = np.random.default_rng(3), {1: 0, 3: 0, 10: 0}, 40
    truth = {draws: (0.03 + 0.3 * rng.random((200_000, draws)).min(axis=1) ** 2).mean() for draws in hits}
    ones, zeros = np.full(n, 1 / n), np.zeros(n, dtype=int)
    for _ in range(200):
        errors = 0.03 + 0.3 * rng.random(n) ** 2
        rows = expected_best(resampled(errors, ones, zeros, rng, 500)[0], np.array(list(hits)))
        low, high = np.quantile(rows, (0.025, 0.975), axis=0)
        for place, draws in enumerate(hits):
            hits[draws] += bool(low[place] <= truth[draws] <= high[place])
    assert all(at_least(count, 0.92, 200) for count in hits.values()), hits
    curve = best_of(errors, ones, zeros, rng)
    assert math.isnan(curve.low[curve.draws > 10][0])
    assert not np.isnan(curve.low[curve.draws <= 10]).any()
    assert curve.expected[-1] == pytest.approx(errors.min())


def test_stopping_by_hand() -> None:
    errors, weights = np.array([0.1, 0.2, 0.3, 0.4]), np.full(4, 0.25)
    found = stopping(errors, weights, tolerance=0.02)
    assert found.last == 1
    assert found.gain == pytest.approx((0.1 * 3 + 0.2) / 4 - 0.1)
    assert not found.best_found
    assert stopping(errors, weights, tolerance=0.03).best_found
    assert found.more == 185 - 4
    uneven = stopping(errors, np.array([0.5, 0.25, 0.25, 0]))
    assert uneven.more == math.ceil(185 * 4 / (1 / 0.375)) - 4


def test_the_last_draws_bound_what_further_ones_bring() -> None:
    rng, last, following = np.random.default_rng(4), [], []
    for _ in range(500):
        errors = rng.random(25) ** 2
        last.append(stopping(errors[:20], np.full(20, 1 / 20)).gain)
        following.append(errors[:20].min() - errors.min())
    assert np.mean(following) < np.mean(last)


def test_matched_keeps_the_type_of_unmatched() -> None:
    held = unmatched([np.array([1.0, 2]), np.array([3.0])])
    assert isinstance(held, Matched)
    assert [weight.sum() for weight in held.weights] == [1, 1]


def test_samples_drawn_bin_by_bin_vary_as_means_of_bins_do() -> None:
    rng = np.random.default_rng(4)
    bins = np.repeat([0, 1, 2, 3], [2, 3, 5, 10])
    errors, weights = rng.random(20) + bins, 1 / (4 * np.array([2, 3, 5, 10])[bins])
    rows, shares = resampled(errors, weights, bins, rng, 20_000)
    assert shares.sum() == pytest.approx(1)
    means = rows @ shares
    assert means.mean() == pytest.approx(errors @ weights, abs=0.01)
    expected = sum(errors[bins == place].var(ddof=1) / (16 * (bins == place).sum()) for place in range(4))
    assert means.var() == pytest.approx(expected, rel=0.05)


def test_a_model_alone_in_its_bin_is_drawn_from_with_its_neighbours() -> None:
    errors, weights, bins = np.array([0.1, 0.5, 0.6, 0.9]), np.array([1, 0.5, 0.5, 1]) / 3, np.array([0, 1, 1, 2])
    rows, shares = resampled(errors, weights, bins, np.random.default_rng(0), 20_000)
    assert rows.shape == (20_000, 3)
    assert set(rows.ravel()) == set(errors)
    assert (rows @ shares).mean() == pytest.approx(errors @ weights, abs=0.01)
