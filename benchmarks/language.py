"""Perplexity of a language model of docstrings, compared with n-gram models."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import exp, log

import torch

from leyden.config.compose import compose, freeze
from leyden.data.base import DataModule
from leyden.tasks.language_modelling import START
from leyden.workflows.assembly import build_data
from measure import train, write_section

NOTE = (
    "Perplexity per token of docstrings from modules that are not in the training split. The "
    "baselines count the tokens of the same training split, with interpolated Kneser-Ney "
    "smoothing. One thread."
)

ORDERS = {1: "unigrams", 2: "bigrams, Kneser-Ney", 3: "trigrams, Kneser-Ney"}

Text = Sequence[int]


def main() -> None:
    """Measure the baselines, then train."""
    header = ["model", "n", "test perplexity", "CPU s"]
    write_section("Language modelling", NOTE, header, [*baselines(), trained()])


def trained() -> list[str]:
    """Train the experiment, and return its row of the table."""
    metrics, done = train(["experiment=docstrings"])
    name = "`leyden train experiment=docstrings`"
    return [name, "1", f"{metrics['test/perplexity']:.1f}", f"{done.cpu:.0f}"]


def baselines() -> Iterator[list[str]]:
    """Fit n-gram models on the training split, and yield a row for each."""
    data = build_data(freeze(compose(["experiment=docstrings"])))
    data.prepare_data()
    data.setup()
    known, tested = list(texts(data, "train")), list(texts(data, "test"))
    vocab_size = data.network_sizes()["vocab_size"]
    for order, name in ORDERS.items():
        model = KneserNey(known, order=order, vocab_size=vocab_size)
        yield [name, "1", f"{model.perplexity(tested):.1f}", ""]


def texts(data: DataModule, split: str) -> Iterator[Text]:
    """Yield the token ids of each text of a split."""
    fetched = data.dataset(data.cached)
    for row in data.row_numbers(split).tolist():
        (tokens,) = fetched[0, torch.tensor([row])].inputs["tokens"].tolist()
        yield tokens


class KneserNey:
    """N-grams with interpolated Kneser-Ney smoothing (Chen & Goodman 1999, section 4).

    Args:
        texts: Token ids of the training texts.
        order: Length of the longest n-grams.
        vocab_size: Number of tokens; unigrams are interpolated with the uniform distribution.
    """

    def __init__(self, texts: Iterable[Text], *, order: int, vocab_size: int) -> None:
        self.order = order
        self.vocab_size = vocab_size
        counts = Counter(gram for text in texts for gram in grams(text, order))
        self.levels = []
        for _ in range(order):
            self.levels.append(Level(counts))
            # The count of a shorter n-gram is the number of distinct tokens that precede it.
            counts = Counter(gram[1:] for gram in counts)

    def perplexity(self, texts: Iterable[Text]) -> float:
        """Return the exponential of the mean negative log likelihood per token."""
        losses = [-log(self.probability(g)) for text in texts for g in grams(text, self.order)]
        return exp(sum(losses) / len(losses))

    def probability(self, gram: tuple[int, ...]) -> float:
        """Return the probability of the last token given those before it."""
        probability = 1 / self.vocab_size
        for length, level in enumerate(reversed(self.levels), start=1):
            probability = level.interpolated(gram[-length:], probability)
        return probability


class Level:
    """Discounted counts of n-grams of one length."""

    def __init__(self, counts: Counter[tuple[int, ...]]) -> None:
        self.counts = counts
        self.totals: Counter[tuple[int, ...]] = Counter()
        self.followers: Counter[tuple[int, ...]] = Counter()
        for gram, count in counts.items():
            self.totals[gram[:-1]] += count
            self.followers[gram[:-1]] += 1
        seen = Counter(counts.values())
        self.discount = seen[1] / (seen[1] + 2 * seen[2])

    def interpolated(self, gram: tuple[int, ...], shorter: float) -> float:
        """Return the probability of an n-gram, interpolated with that of the shorter n-gram."""
        context = gram[:-1]
        if context not in self.totals:
            return shorter
        kept = max(self.counts[gram] - self.discount, 0)
        return (kept + self.discount * self.followers[context] * shorter) / self.totals[context]


def grams(text: Text, order: int) -> Iterator[tuple[int, ...]]:
    """Return the n-gram that ends in each token of a text, which is padded with ``START``."""
    tokens = [START] * (order - 1) + list(text)
    return zip(*(tokens[i:] for i in range(order)), strict=False)


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    main()
