"""CTC decoding: from the log probabilities of tokens in each step to a sequence of tokens."""

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
        width: Number of prefixes that are kept in each step, and of tokens that extend each.

    Returns:
        Token ids.

    Example:
        The most probable path is two blanks (0.36), but the paths of token 1 sum to 0.64.

        >>> log_probabilities = np.log(np.array([[0.6, 0.4], [0.6, 0.4]], dtype=np.float32))
        >>> greedy(log_probabilities), beam_search(log_probabilities, width=4)
        ((), (1,))
    """
    # Log probabilities of each prefix: of its paths that end in a blank, and of its other paths.
    beam: dict[Prefix, list[float]] = {(): [0.0, -np.inf]}
    for step in log_probabilities.astype(np.float64):
        likely = [token for token in np.argsort(-step)[: width + 1].tolist() if token != BLANK]
        grown: defaultdict[Prefix, list[float]] = defaultdict(lambda: [-np.inf, -np.inf])
        for prefix, (blank, other) in beam.items():
            total = _sum(blank, other)
            grown[prefix][0] = total + step[BLANK]
            if prefix:
                grown[prefix][1] = _sum(grown[prefix][1], other + step[prefix[-1]])
            for token in likely:
                # A repeated token extends the prefix only after a blank.
                before = blank if prefix and token == prefix[-1] else total
                longer = grown[(*prefix, token)]
                longer[1] = _sum(longer[1], before + step[token])
        best = sorted(grown, key=lambda prefix: _sum(*grown[prefix]), reverse=True)
        beam = {prefix: grown[prefix] for prefix in best[:width]}
    return max(beam, key=lambda prefix: _sum(*beam[prefix]))


def _sum(first: float, second: float) -> float:
    """Return the log of the sum of two probabilities, given their logs."""
    return float(np.logaddexp(first, second))
