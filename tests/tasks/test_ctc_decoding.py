from collections import defaultdict
from itertools import groupby, product

import numpy as np
import pytest

from leyden.tasks.ctc_decoding import beam_search, greedy


def distribution(steps, tokens, *, seed):
    logits = np.random.default_rng(seed).normal(0, 1.5, (steps, tokens))
    return np.log(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))


def certain(*path, tokens=4):
    return np.log(np.eye(tokens)[list(path)].clip(min=1e-9))


def collapsed(path):
    return tuple(token for token, _ in groupby(path) if token)


def most_probable(log_probabilities):
    """Sum the probabilities of all paths."""
    steps, tokens = log_probabilities.shape
    totals = defaultdict(float)
    for path in product(range(tokens), repeat=steps):
        totals[collapsed(path)] += np.exp(log_probabilities[range(steps), path].sum())
    return max(totals, key=totals.get)


@pytest.mark.parametrize("decode", [greedy, lambda rows: beam_search(rows, width=4)])
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((0, 0), ()),
        ((1, 1, 0, 2), (1, 2)),
        ((1, 0, 1), (1, 1)),
        ((3, 3, 3), (3,)),
        ((2, 3, 2), (2, 3, 2)),
    ],
)
def test_repeated_tokens_are_merged_and_blanks_removed(decode, path, expected):
    assert decode(certain(*path)) == expected


@pytest.mark.parametrize("seed", range(20))
def test_a_wide_beam_finds_the_most_probable_sequence(seed):
    log_probabilities = distribution(5, 3, seed=seed)

    assert beam_search(log_probabilities, width=200) == most_probable(log_probabilities)


def test_a_beam_sums_the_paths_that_the_best_path_leaves_out():
    # Graves et al. 2006, figure 2: two blanks are the most probable path, not sequence.
    log_probabilities = np.log([[0.6, 0.4], [0.6, 0.4]])

    assert greedy(log_probabilities) == ()
    assert beam_search(log_probabilities, width=3) == (1,)
