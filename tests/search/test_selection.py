"""The choice: tables of losses in, a candidate and its epochs out."""

import numpy as np
import pytest

from sk_metalr._recorded import Recorded
from sk_metalr._search.halving import survivors
from sk_metalr._search.history import Rung
from sk_metalr._search.scoring import flattened
from sk_metalr._search.selection import choose
from sk_metalr._search.surface import (
    compress_losses,
    response_surface,
    smooth_losses,
    weights_over_rates,
)
from sk_metalr._search.sweep import usable_range
from sk_metalr._space import RATE, Candidates
from sk_metalr._task import Classification

RATES = np.geomspace(1e-5, 1, 16)
ONE_FAMILY = np.zeros(16)
BASELINE = 0.7


def bowl(rates=RATES, best=1e-2, n_splits=5, n_epochs=10, best_epoch=10, noise=0.0, seed=0):
    """Losses with one minimum over rates and one over epochs."""
    over_rates = 0.05 * (np.log10(rates / best)) ** 2
    over_epochs = 0.002 * (np.arange(1, n_epochs + 1) - best_epoch) ** 2
    losses = 0.3 + over_rates[:, None, None] + np.zeros((1, n_splits, 1)) + over_epochs
    return losses + np.random.default_rng(seed).normal(0, noise, losses.shape)


def pick(losses, rates=RATES, **options):
    return choose(response_surface(losses, rates, baseline_loss=BASELINE, **options), rates)


def lucky(losses):
    """Return the candidate of the lowest mean loss, as it was measured."""
    mean = losses.mean(axis=1)
    return np.unravel_index(mean.argmin(), mean.shape)[0]


def laplace(losses, sureness, n_rows):
    values = np.stack([losses, np.broadcast_to(sureness, losses.shape)])
    return Classification().smoothed(Recorded(("log_loss", "uniform_log_loss"), values), n_rows)


def test_without_noise_the_minimum_is_found():
    choice = pick(bowl(best_epoch=6))
    assert choice.index == np.abs(np.log10(RATES / 1e-2)).argmin()
    assert choice.n_epochs[choice.index] == 6


def test_smoothing_sees_through_a_lucky_candidate():
    losses = bowl(n_splits=1)
    losses[14] = 0.25
    assert lucky(losses) == 14
    assert abs(np.log10(RATES[pick(losses).index] / 1e-2)) < 0.7


def test_of_perfect_losses_the_least_sure_is_chosen():
    losses = np.minimum(bowl(), 0.3)
    losses[10:] = 1e-7  # right on every row
    sureness = np.linspace(1, 15, len(RATES))[:, None, None] + np.zeros_like(losses)
    smoothed = laplace(losses, sureness, n_rows=100)
    np.testing.assert_allclose(smoothed[12], (100 * losses[12] + sureness[12]) / 101)
    assert pick(losses).index > 12
    assert pick(smoothed).index in (10, 11, 12)
    # A row more or less tells little where rows do err.
    assert pick(laplace(bowl(), sureness, n_rows=10**5)).index == pick(bowl()).index


def test_smoothing_chooses_better_than_the_minimum_under_noise():
    smooth, lowest = [], []
    truth = bowl().mean(axis=1)[:, -1]
    for seed in range(100):
        losses = bowl(n_splits=1, noise=0.05, seed=seed)
        smooth.append(truth[pick(losses).index] - truth.min())
        lowest.append(truth[lucky(losses)] - truth.min())
    assert np.mean(smooth) < 0.6 * np.mean(lowest)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_a_diverged_neighbour_neither_wins_nor_harms(bad):
    losses = bowl()
    best = pick(losses).index
    losses[best + 1 :, 2, 4:] = bad
    choice = pick(losses)
    assert abs(choice.index - best) <= 1
    assert np.isfinite(choice.losses[choice.index])
    if not np.isfinite(bad):
        assert np.isinf(choice.losses[best + 1 :]).all()


def test_the_interval_is_unbroken_and_ends_where_losses_do_not_fit():
    losses = bowl(noise=0.02)
    choice = pick(losses)
    inside = (choice.interval[0] <= RATES) & (choice.interval[1] >= RATES)
    limit = choice.losses[choice.index] + choice.standard_errors[choice.index]
    assert (choice.losses[inside] <= limit).all()
    edges = np.flatnonzero(inside)[[0, -1]] + [-1, 1]
    assert (choice.losses[edges] > limit).all()


def test_one_split_has_a_standard_error_too():
    choice = pick(bowl(n_splits=1, noise=0.05))
    assert choice.standard_errors[choice.index] > 0


def test_a_single_candidate_is_chosen():
    choice = pick(bowl(RATES[:1]), RATES[:1])
    assert choice.index == 0
    assert choice.interval == (RATES[0], RATES[0])


def test_compression_keeps_order_and_what_is_better_than_the_baseline():
    losses = np.array([0.1, 0.69, 0.7, 0.71, 5.0, 1e3])
    compressed = compress_losses(losses, BASELINE)
    np.testing.assert_array_equal(compressed[:3], losses[:3])
    assert (np.diff(compressed) > 0).all()
    assert compressed[-1] <= 3.1 * BASELINE
    assert compressed[-1] < compress_losses(np.array([np.nan]), BASELINE)[0] <= 3.1 * BASELINE


def test_smoothing_keeps_constants_and_mixes_close_rates_only():
    constant = np.full((16, 2, 7), 0.4)
    weights = weights_over_rates(RATES, ONE_FAMILY)
    np.testing.assert_allclose(smooth_losses(constant, weights, np.ones((16, 7), bool)), 0.4)
    spike = np.zeros((8, 1, 1))
    spike[0] = 1.0
    rates = np.append([1e-3, 10**-2.75], 10.0 ** np.arange(6))
    for n, kernel in [(8, np.exp(-0.5)), (7, np.exp(-0.5 * (0.25 / 0.15) ** 2))]:  # few: less
        weights = weights_over_rates(rates[:n], np.zeros(n))
        near_and_far = smooth_losses(spike[:n], weights, np.ones((n, 1), bool))[:, 0, 0]
        expected = np.append([1 / (1 + kernel), kernel / (1 + kernel)], np.zeros(n - 2))
        np.testing.assert_allclose(near_and_far, expected, atol=1e-12)


def test_those_that_go_on_look_no_better_because_others_have_stopped():
    levels = np.array([0.3, 0.5, 0.6, 0.7])  # all are one model, and the first was lucky
    losses = (levels[:, None] + np.linspace(0.2, 0.0, 12))[:, None]
    is_trained = np.arange(12) < np.array([12, 12, 4, 4])[:, None]
    weights = np.full((4, 4), 0.25)
    of_all = smooth_losses(losses, weights, np.ones((4, 12), bool))[:, 0]
    stopped = smooth_losses(np.where(is_trained[:, None], losses, 99.0), weights, is_trained)[:, 0]
    np.testing.assert_allclose(stopped[:, [3, 7, 11]], of_all[:, [3, 7, 11]], atol=0.02)


def test_families_of_kin_count_for_less_and_others_not_at_all():
    rates, family = np.full(4, 1e-2), np.array([0, 0, 1, 2])
    weights = weights_over_rates(rates, family, None, kin=np.array([0, 0, 0, 3]))
    np.testing.assert_allclose(weights[0], np.array([1, 1, 0.6, 0]) / 2.6)
    np.testing.assert_allclose(weights[3], [0, 0, 0, 1])


@pytest.mark.parametrize(
    ("gain", "scatter", "expected"), [(0.1, 0.01, 1), (0.1, 0.3, 0), (0.0, 0.0, 0)]
)
def test_what_differs_in_more_than_its_rate_has_to_be_clearly_better(gain, scatter, expected):
    noise = np.linspace(-1, 1, 5)[:, None] * scatter
    losses = np.stack([np.full((5, 10), 0.4), 0.4 - gain + noise + np.zeros((5, 10))])
    family, rates = np.array([0, 1]), np.full(2, 1e-2)
    surface = response_surface(losses, rates, baseline_loss=BASELINE, family=family)
    assert choose(surface, rates, np.array([True, False])).index == expected
    assert choose(surface, rates, np.array([False, False])).index == int(gain > 0)


def test_of_the_epochs_the_first_ones_are_smoothed_hardly_at_all():
    def smoothed_spike(at, n_epochs=40):
        spike = np.zeros((1, 1, n_epochs))
        spike[0, 0, at - 1] = 1.0
        return smooth_losses(spike, np.ones((1, 1)), np.ones((1, n_epochs), bool))[0, 0]

    # How much of an epoch's own loss is left, the others being means of ever more of them.
    own = [smoothed_spike(epoch)[epoch - 1] for epoch in (1, 2, 3, 5, 20, 40)]
    np.testing.assert_allclose(own, [0.958, 0.510, 0.338, 0.202, 0.199, 0.333], atol=1e-3)
    # From the fifth on, the kernel is the same at every epoch.
    late = np.exp(-0.5 * (np.arange(-3, 4) / 2) ** 2)
    np.testing.assert_allclose(smoothed_spike(20)[16:23] / own[4], late, rtol=1e-3)


def overfitting(n_epochs):
    """Losses of a model that has learned all in three epochs at its best rate, then overfits."""
    epochs, speed = np.arange(1, n_epochs + 1), RATES[:, None] / 1e-2
    learned = 0.12 * (1 - np.exp(-1.2 * speed * epochs))
    overfitted = 0.02 * np.maximum(speed * epochs - 3, 0)
    slow = 0.02 * np.maximum(0, np.log10(1e-2 / RATES))[:, None]  # it finds less
    return (BASELINE - learned + slow + overfitted)[:, None, :]


@pytest.mark.parametrize("n_epochs", [10, 40, 200])
def test_the_best_epoch_of_a_model_that_overfits_at_once_is_found(n_epochs):
    losses = overfitting(n_epochs)
    choice = pick(losses)
    chosen = losses[choice.index, 0, choice.n_epochs[choice.index] - 1]
    assert chosen < losses.min() + 0.01
    assert choice.n_epochs[choice.index] <= 5


def test_who_was_best_within_the_first_epochs_stays_at_a_rung():
    losses = overfitting(40)[..., :5]
    staying = stay(losses, np.full(16, 5), 3)
    assert np.isin(losses[:, 0].min(axis=1).argsort()[:2], staying).all()


def test_a_perfect_loss_beyond_the_cliff_is_no_temptation():
    losses = np.full((16, 5, 10), 0.02)
    losses[12] = 0.0  # perfect on every fold
    losses[13:] = 3.0
    losses[11] = 1.0
    assert pick(losses).index < 11


def test_losses_are_left_as_they_were():
    losses = bowl(noise=0.1)
    losses[-1] = np.nan
    before = losses.copy()
    pick(losses)
    np.testing.assert_array_equal(losses, before)


def test_families_are_compared_but_not_mixed():
    good, bad = bowl(best=1e-1), bowl(best=1e-4) + 0.1
    rates, family = np.tile(RATES, 2), np.repeat([0, 1], 16)
    alone = pick(good)
    both = pick(np.concatenate([bad, good]), rates, family=family)
    assert both.index == alone.index + 16
    np.testing.assert_allclose(both.losses[16:], alone.losses)
    assert both.interval == alone.interval
    np.testing.assert_allclose(both.losses[:16], pick(bad).losses)


def test_an_interval_ends_where_its_family_ends():
    flat = np.broadcast_to([[[0.4], [0.6]]], (32, 2, 3))
    choice = pick(flat, np.tile(RATES, 2), family=np.repeat([0, 1], 16))
    assert choice.interval == (RATES[0], RATES[-1])
    assert choice.index < 16


def falling(n_epochs=40, n_trained=5):
    """Losses where high rates are best at first and low ones in the end."""
    epochs = np.arange(1, n_epochs + 1)
    speed = RATES[:, None] * epochs * 30
    floor = 0.1 + 0.08 * (np.log10(RATES) + 5)[:, None]
    losses = (floor + 0.6 * np.exp(-speed))[:, None, :]
    return np.where(np.arange(n_epochs) < n_trained, losses, np.nan), losses


def stay(losses, n_resources, n_keep, n_epochs=40, is_own=None):
    staying = np.flatnonzero(n_resources == n_resources.max())
    candidates = Candidates({RATE: RATES}, is_own=is_own)
    rung = Rung(candidates, losses, n_resources, staying, n_epochs, 0, BASELINE)
    return survivors(rung, n_keep)


def test_the_best_so_far_and_one_slow_starter_stay():
    seen, truth = falling()
    staying = stay(seen[..., :5], np.full(16, 5), 5)
    assert len(staying) == 6
    best_so_far = seen[:, 0, 4].argsort()[:5]
    assert np.isin(best_so_far[:3], staying).all()
    final = truth[:, 0, -1]
    assert final[best_so_far].min() > final.min() + 0.04
    assert final[staying].min() < final.min() + 0.04


def test_one_that_differs_in_its_rate_alone_stays():
    seen, _ = falling()
    order = seen[:, 0, 4].argsort()
    is_own = np.isin(np.arange(16), order[12:])
    some = seen[..., :5], np.full(16, 5), 4
    staying, others = stay(*some, is_own=is_own), stay(*some)
    assert not is_own[others][np.isin(others, order[:4])].any()
    assert len(staying) == len(others) == 5
    assert order[12] in staying
    assert stay(*some, is_own=np.zeros(16, bool)).tolist() == others.tolist()


def test_only_those_still_there_stay_and_none_that_diverged():
    seen, _ = falling(n_trained=20)
    n_resources = np.full(16, 20)
    n_resources[:8], seen[:8, :, 5:] = 5, np.nan
    seen[10, 0, 3:] = np.nan
    staying = stay(seen[..., :20], n_resources, 30)
    np.testing.assert_array_equal(staying, [8, 9, 11, 12, 13, 14, 15])


def test_who_left_is_not_chosen_though_it_looked_best():
    losses = bowl(n_epochs=6, best_epoch=6)
    n_resources = np.full(16, 6)
    losses[9], n_resources[9] = 0.1, 2
    losses[9, :, 2:] = np.nan
    choice = pick(losses, n_resources=n_resources)
    assert choice.index != 9
    assert np.isfinite(choice.losses[9])
    # What was not trained has no part in the means of its neighbours.
    without = pick(np.delete(losses, 9, axis=0), np.delete(RATES, 9))
    np.testing.assert_allclose(choice.losses[:5], without.losses[:5], rtol=1e-3)


@pytest.mark.parametrize(
    ("better", "expected"),
    [
        ([4, 5, 6], (1e-5, 1e-1)),
        ([4], (1e-5, 1e-3)),
        ([], (1e-5, 1.0)),
        ([1, 2, 3], (1e-8, 1e-4)),
        ([7, 8], (1e-2, 10.0)),
    ],
)
def test_a_usable_range_lies_between_no_progress_and_divergence(better, expected):
    rates = np.logspace(-8, 1, 10)
    losses = np.full(10, BASELINE)
    losses[better] = 0.5
    losses[9] = np.nan
    np.testing.assert_allclose(usable_range(rates, losses, BASELINE), expected, rtol=1e-9)


def test_scores_worse_than_those_of_equal_predictions_are_flattened():
    losses = np.array([-0.9, -0.5, 0.0, 0.5, 1e3, 1e12, np.nan])
    flat = flattened(losses, knowing_nothing=0.0)
    np.testing.assert_array_equal(flat[:3], losses[:3])
    assert (np.diff(flat[2:5]) > 0).all()
    assert flat[5] == 0.9 * 2
    assert np.isnan(flat[6])
    np.testing.assert_array_equal(flattened(losses, np.nan), losses)


def test_a_rate_beside_one_that_blows_up_is_chosen_by_any_score():
    """As by R², which has no lowest value: -1e12 is finite."""
    rates = np.geomspace(1e-3, 1, 10)
    by_rate = np.array([-0.1, -0.2, -0.3, -0.5, -0.7, -0.8, 1e2, 1e6, 1e12, np.nan])
    losses = np.zeros((10, 2, 3)) + by_rate[:, None, None]
    chosen = [
        choose(response_surface(one, rates, baseline_loss=None), rates).index
        for one in (losses, flattened(losses, 0.0))
    ]
    assert chosen == [2, 4]
