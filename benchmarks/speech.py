"""Error rates of a recogniser of spoken syllables, compared with baselines."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.text import char_error_rate, word_error_rate

from leyden.config.compose import compose, freeze
from leyden.data.audio.reader import ClipReader
from leyden.data.sets.mandarin_strings import MandarinStrings
from leyden.data.sets.mandarin_tones import INITIALS
from leyden.workflows.assembly import build_data
from measure import metrics_of, run, write_section

SECONDS = 0.6
MEDIALS = "ㄧㄨㄩ"
FRAMES = 12
PENALTY = 100.0

Model = Callable[[NDArray[np.float32]], NDArray[np.str_]]
"""Maps features ``(rows, features)`` to symbols ``(rows,)``."""

NOTE = (
    "Strings of 2 to 4 Mandarin syllables, none of which is in the training split; the word error "
    "rate counts syllables. The baselines are given the boundaries of each syllable and classify "
    "its log-mel spectrogram once for each position in zhuyin (initial, medial, final, tone). The "
    "constant baseline predicts the most frequent symbol of each position. One thread."
)


def main() -> None:
    """Measure the baselines, then train."""
    header = ["model", "n", "test CER", "test WER", "CPU s"]
    write_section("Speech recognition", NOTE, header, [*baselines(), trained()])


def trained() -> list[str]:
    """Train the experiment, and return its row of the table."""
    words = ["train", "experiment=mandarin_strings"]
    with tempfile.TemporaryDirectory() as folder:
        done = run(words, folder=Path(folder))
        metrics = metrics_of(Path(folder))
    name = f"`{' '.join(['leyden', *words])}`"
    return [name, "1", *_percent(metrics["test/cer"], metrics["test/wer"]), f"{done.cpu:.0f}"]


def baselines() -> Iterator[list[str]]:
    """Fit classifiers of syllables on the training split, and yield a row for each."""
    data = build_data(freeze(compose(["data=mandarin_strings"])))
    assert isinstance(data, MandarinStrings)
    log_mel, reader = data.log_mel(), ClipReader(sample_rate=data.sample_rate, seconds=SECONDS)

    def features(path: Path) -> NDArray[np.float32]:
        clips = reader.join([reader.decode_sound(path).waveform])["waveforms"]
        image = log_mel(torch.from_numpy(clips)).squeeze(1)
        return torch.nn.functional.adaptive_avg_pool1d(image, FRAMES).flatten().numpy()

    strings = {
        split: [each for each in data.utterances() if each.split == split]
        for split in ("train", "test")
    }
    training_words = {
        path: word
        for each in strings["train"]
        for path, word in zip(each.paths, each.transcript.split(), strict=True)
    }
    inputs = np.stack([features(path) for path in training_words])
    places = np.array([split(word) for word in training_words.values()])
    tested = [[features(path) for path in each.paths] for each in strings["test"]]
    references = [each.transcript for each in strings["test"]]
    for name, fit in {
        "constant": most_frequent,
        "logistic regression, boundaries given": logistic_regression,
    }.items():
        models = [fit(inputs, symbols) for symbols in places.T]
        found = [model(np.concatenate(tested)) for model in models]
        words = ["".join(row) for row in zip(*found, strict=True)]
        ends = np.cumsum([len(string) for string in tested])
        predicted = [" ".join(string) for string in np.split(np.array(words), ends[:-1])]
        cer = char_error_rate(predicted, references)
        wer = word_error_rate(predicted, references)
        yield [name, "1", *_percent(float(cer), float(wer)), ""]


def most_frequent(inputs: NDArray[np.float32], symbols: NDArray[np.str_]) -> Model:  # noqa: ARG001
    """Return a model that predicts the most frequent symbol."""
    found, counts = np.unique(symbols, return_counts=True)
    return lambda features: np.repeat(found[counts.argmax()], len(features))


def logistic_regression(inputs: NDArray[np.float32], symbols: NDArray[np.str_]) -> Model:
    """Fit a logistic regression on standardised features, with an L2 penalty."""
    found, targets = np.unique(symbols, return_inverse=True)
    mean, std = inputs.mean(axis=0), inputs.std(axis=0)

    def standardise(features: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy((features - mean) / std)

    features, classes = standardise(inputs), torch.from_numpy(targets)
    layer = torch.nn.Linear(inputs.shape[1], len(found))
    solver = torch.optim.LBFGS(layer.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def objective() -> torch.Tensor:
        solver.zero_grad()
        error = torch.nn.functional.cross_entropy(layer(features), classes, reduction="sum")
        loss = error + PENALTY / 2 * layer.weight.square().sum()
        loss.backward()
        return loss

    solver.step(objective)
    return lambda rows: found[layer(standardise(rows)).argmax(dim=1).numpy()]


def _percent(*fractions: float) -> list[str]:
    return [f"{100 * fraction:.1f} %" for fraction in fractions]


def split(word: str) -> tuple[str, str, str, str]:
    """Split a syllable in zhuyin into initial, medial, final and tone; some may be empty."""
    syllable, tone = word[:-1], word[-1]
    initial = syllable[0] if syllable[0] in INITIALS else ""
    rest = syllable.removeprefix(initial)
    medial = rest[0] if rest and rest[0] in MEDIALS else ""
    return initial, medial, rest.removeprefix(medial), tone


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    main()
