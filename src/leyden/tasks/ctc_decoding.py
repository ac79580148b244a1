"""Decoding of CTC: from a distribution for each step to the sequence that is said."""

from collections import defaultdict
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

BLANK = 0

Prefix = tuple[int, ...]


def greedy(log_probabilities: NDArray[np.float32]) -> Prefix:
    """Take the likeliest token of each step, join repeated ones and drop blanks.

    Graves et al. 2006, "Connectionist temporal classification", section 3.2: best path decoding.

    Args:
        log_probabilities: ``(steps, tokens)``.

    Returns:
        Numbers of tokens.
    """
    path = log_probabilities.argmax(axis=1).tolist()
    return tuple(token for token, _ in groupby(path) if token != BLANK)


def beam_search(log_probabilities: NDArray[np.float32], *, width: int) -> Prefix:
    """Find the likeliest sequence, summed over the paths that say it, without a language model.

    Prefix search of Hannun et al. 2014, arXiv:1408.2873, algorithm 1. Exact where the beam holds
    every prefix.

    Args:
        log_probabilities: ``(steps, tokens)``.
        width: prefixes kept, and tokens tried, at each step.

    Returns:
        Numbers of tokens.
    """
    # For each prefix: log probability of the paths that end in a blank, and of the others.
    beam: dict[Prefix, tuple[float, float]] = {(): (0.0, -np.inf)}
    for step in log_probabilities.astype(np.float64):
        likely = [token for token in np.argsort(-step)[: width + 1].tolist() if token != BLANK]
        grown: defaultdict[Prefix, tuple[float, float]] = defaultdict(lambda: (-np.inf, -np.inf))
        for prefix, (blank, spoken) in beam.items():
            total = np.logaddexp(blank, spoken)
            _add(grown, prefix, blank=total + step[BLANK])
            if prefix:
                _add(grown, prefix, spoken=spoken + step[prefix[-1]])
            for token in likely:
                # Only a blank parts a token from the same one before it.
                before = blank if prefix and token == prefix[-1] else total
                _add(grown, (*prefix, token), spoken=before + step[token])
        best = sorted(grown, key=lambda prefix: np.logaddexp(*grown[prefix]), reverse=True)
        beam = {prefix: grown[prefix] for prefix in best[:width]}
    return max(beam, key=lambda prefix: np.logaddexp(*beam[prefix]))


def _add(
    grown: defaultdict[Prefix, tuple[float, float]],
    prefix: Prefix,
    *,
    blank: float = -np.inf,
    spoken: float = -np.inf,
) -> None:
    old_blank, old_spoken = grown[prefix]
    grown[prefix] = (
        float(np.logaddexp(old_blank, blank)),
        float(np.logaddexp(old_spoken, spoken)),
    )
