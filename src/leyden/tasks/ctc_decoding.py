"""Decoding of CTC: from log probabilities of tokens in each step to a sequence of tokens."""

from collections import defaultdict
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

BLANK = 0
"""Id of the token that separates repeated tokens and is not part of a sequence."""

Prefix = tuple[int, ...]


def greedy(log_probabilities: NDArray[np.float32]) -> Prefix:
    """Decode the most probable path: merge repeated tokens, then remove blanks.

    Best path decoding of Graves et al. 2006, "Connectionist Temporal Classification", section 3.2.

    Args:
        log_probabilities: ``(steps, tokens)``, floating.

    Returns:
        Token ids.

    Example:
        >>> path = [1, 1, 0, 1, 2]
        >>> greedy(np.log(np.eye(3, dtype=np.float32)[path] + 1e-3))
        (1, 1, 2)
    """
    path = log_probabilities.argmax(axis=1).tolist()
    return tuple(token for token, _ in groupby(path) if token != BLANK)


def beam_search(log_probabilities: NDArray[np.float32], *, width: int) -> Prefix:
    """Decode the most probable sequence, summed over its paths, without a language model.

    Prefix beam search of Hannun et al. 2014, arXiv:1408.2873, algorithm 1. Exact if the beam holds
    every prefix.

    Args:
        log_probabilities: ``(steps, tokens)``, floating.
        width: Prefixes that are kept, and tokens that extend them, in each step.

    Returns:
        Token ids.

    Example:
        The most probable path is two blanks (0.36), but more paths give the token 1 (0.64).

        >>> log_probabilities = np.log(np.array([[0.6, 0.4], [0.6, 0.4]], dtype=np.float32))
        >>> greedy(log_probabilities), beam_search(log_probabilities, width=4)
        ((), (1,))
    """
    # For each prefix: log probability of the paths that end in a blank, and of the others.
    beam: dict[Prefix, list[float]] = {(): [0.0, -np.inf]}
    for step in log_probabilities.astype(np.float64):
        likely = [token for token in np.argsort(-step)[: width + 1].tolist() if token != BLANK]
        grown: defaultdict[Prefix, list[float]] = defaultdict(lambda: [-np.inf, -np.inf])
        for prefix, (blank, spoken) in beam.items():
            total = _sum(blank, spoken)
            grown[prefix][0] = total + step[BLANK]
            if prefix:
                _add_spoken(grown[prefix], spoken + step[prefix[-1]])
            for token in likely:
                # Only after a blank does a repeated token count twice.
                before = blank if prefix and token == prefix[-1] else total
                _add_spoken(grown[(*prefix, token)], before + step[token])
        best = sorted(grown, key=lambda prefix: _sum(*grown[prefix]), reverse=True)
        beam = {prefix: grown[prefix] for prefix in best[:width]}
    return max(beam, key=lambda prefix: _sum(*beam[prefix]))


def _add_spoken(endings: list[float], log_probability: float) -> None:
    """Add paths that do not end in a blank to those of their prefix."""
    endings[1] = _sum(endings[1], log_probability)


def _sum(one: float, other: float) -> float:
    """Return the log of the sum of two probabilities from their logs."""
    return float(np.logaddexp(one, other))
