"""Rows into batches and blocks."""

import numpy as np
import pytest

from sk_metalr._population.batches import (
    MAX_STEPS_PER_BLOCK,
    rows_per_score_batch,
    score_blocks,
    shuffled,
    steps_per_block,
    take,
    training_blocks,
)

N_STEPS = 16


def blocks_of(n_rows, batch_size, may_pad, weight=None):
    rows = np.arange(100, 100 + n_rows)
    weight = np.ones(n_rows, np.float32) if weight is None else weight
    return list(training_blocks(rows, weight, batch_size, N_STEPS, may_pad=may_pad))


@pytest.mark.parametrize("may_pad", [False, True])
@pytest.mark.parametrize(("n_rows", "batch_size"), [(64, 16), (70, 16), (16, 16), (700, 4), (5, 5)])
def test_every_row_is_trained_on_once_in_its_order(n_rows, batch_size, may_pad):
    seen = []
    for block in blocks_of(n_rows, batch_size, may_pad):
        for step in range(block.n_steps):
            seen.extend(block.rows[step][block.weight[step] > 0])
    np.testing.assert_array_equal(seen, np.arange(100, 100 + n_rows))


def test_a_padded_batch_has_the_mean_of_its_rows():
    weight = np.random.default_rng(0).uniform(0.5, 2, 70).astype(np.float32)
    *_, block = blocks_of(70, 16, True, weight)
    last, losses = block.n_steps - 1, np.random.default_rng(1).uniform(size=200)
    padded_mean = np.mean(block.weight[last] * losses[block.rows[last]])
    np.testing.assert_allclose(padded_mean, np.mean(weight[64:] * losses[164:170]), rtol=1e-6)
    assert block.n_rows[last] == 6
    # Copies of the batch's own rows: a loss that overflows there has overflown anyway.
    assert set(block.rows[last]) == set(range(164, 170))


def test_an_unpadded_rest_is_a_block_of_its_own_shape():
    first, rest = blocks_of(70, 16, False)
    assert first.rows.shape == (N_STEPS, 16)
    assert (first.n_steps, rest.n_steps) == (4, 1)
    assert rest.rows.shape == (1, 6)


def test_all_full_blocks_have_one_shape():
    shapes = {block.rows.shape for n in (20, 300, 1000) for block in blocks_of(n, 10, True)}
    assert shapes == {(N_STEPS, 10)}


def test_blocks_hold_many_batches_but_few_megabytes():
    row = np.zeros((1, 1000), np.float32)
    assert steps_per_block(row, 1) == MAX_STEPS_PER_BLOCK
    assert steps_per_block(row, 1000) == 4
    assert steps_per_block([row, row], 1000) == 2
    assert steps_per_block({"a": row}, 10**6) == 1


@pytest.mark.parametrize("batch_size", [32, 96, 128, None])
@pytest.mark.parametrize("n_rows", [1, 31, 128, 129, 1000])
def test_scoring_sees_every_row_once(n_rows, batch_size):
    rows, weight = np.arange(n_rows), np.random.default_rng(0).uniform(0.5, 2, n_rows)
    total = np.zeros(n_rows)
    for block in score_blocks(rows, weight, batch_size):
        used = slice(block.n_steps)
        np.add.at(total, block.rows[used], block.weight[used])
    np.testing.assert_allclose(total, weight)


def test_without_rows_there_is_nothing_to_score():
    assert list(score_blocks(np.arange(0), np.ones(0), 32)) == []


@pytest.mark.parametrize("n_rows", [0, 1, 32, 33, 128, 129, 270, 1000, 10**6])
def test_batches_for_scoring_are_of_few_sizes_and_fill_up_few_rows(n_rows):
    size = rows_per_score_batch(n_rows)
    n_batches = -(-n_rows // size)
    assert size in (32, 64, 96, 128)
    assert n_rows <= n_batches * size < n_rows + 32 * max(1, n_batches)


def test_orders_are_permutations_that_the_seed_decides():
    first, again, other = (shuffled(50, seed, True) for seed in [(1, 2), (1, 2), (1, 3)])
    np.testing.assert_array_equal(np.sort(first), np.arange(50))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(shuffled(50, (1, 2), False), np.arange(50))


def test_rows_are_taken_from_every_input():
    arrays = {"a": np.arange(10), "b": np.arange(20).reshape(10, 2)}
    taken = take(arrays, np.array([[1, 3]]))
    np.testing.assert_array_equal(taken["a"], [[1, 3]])
    assert taken["b"].shape == (1, 2, 2)
