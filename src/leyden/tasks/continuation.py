"""Continuation of texts by a language model, token by token, without torch."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


class Continuation:
    """Texts that grow by one token at a time.

    It does not call the network: for each token, the caller computes the answers for ``values`` and
    passes them to ``extend``.

    Args:
        tokens: Token ids of the texts, ``(batch, length)`` int64, padded with 0.
        temperature: Divisor of the logarithms of the probabilities before sampling; 0 takes the
            most probable token.
        top_k: Number of the most probable tokens to sample from.
        seed: Seed of the sampling, the same for each text.

    Example:
        >>> texts = Continuation(np.array([[2, 1], [1, 0]]), temperature=0, top_k=1, seed=0)
        >>> texts.extend({"probabilities": np.array([[0.1, 0.9], [0.1, 0.9]])})
        array([1, 1])
        >>> texts.ids
        [[2, 1, 1], [1, 1]]
    """

    def __init__(
        self, tokens: NDArray[np.int64], *, temperature: float, top_k: int, seed: int
    ) -> None:
        self._tokens = tokens
        self._lengths = (tokens != 0).sum(axis=1)
        self._temperature = temperature
        self._top_k = top_k
        self._generators = [np.random.default_rng(seed) for _ in tokens]

    @property
    def values(self) -> dict[str, NDArray[np.int64]]:
        """``tokens`` of the texts so far, ``(batch, longest)``, as the network takes them."""
        return {"tokens": np.ascontiguousarray(self._tokens[:, : self._lengths.max() or 1])}

    @property
    def ids(self) -> list[list[int]]:
        """Token ids of each text so far."""
        rows = zip(self._tokens, self._lengths, strict=True)
        return [row[:length].tolist() for row, length in rows]

    def extend(self, answers: Mapping[str, NDArray[np.float32]]) -> NDArray[np.int64]:
        """Sample the next token of each text.

        Args:
            answers: ``probabilities`` of the tokens after each text, ``(batch, vocab_size)``.

        Returns:
            The new token ids, ``(batch,)``.
        """
        drawn = np.array(list(map(self._sample, answers["probabilities"], self._generators)))
        self._tokens = np.pad(self._tokens, [(0, 0), (0, 1)])
        self._tokens[np.arange(len(drawn)), self._lengths] = drawn
        self._lengths = self._lengths + 1
        return drawn

    def _sample(self, probabilities: NDArray[np.float32], generator: np.random.Generator) -> int:
        """Sample a token id from probabilities ``(vocab_size,)``."""
        if self._temperature == 0:
            return int(probabilities.argmax())
        likely = np.argsort(-probabilities)[: self._top_k]
        weights = probabilities[likely].astype(np.float64)
        weights = (weights / weights.max()) ** (1 / self._temperature)
        return int(generator.choice(likely, p=weights / weights.sum()))
