"""Recognition of strings of spoken syllables, and what it has to beat."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.text import char_error_rate, word_error_rate

from leyden.config.compose import compose, freeze
from leyden.data.audio.files import fitted, read_sound
from leyden.data.sets.mandarin_strings import MandarinStrings
from leyden.data.sets.mandarin_tones import INITIALS
from leyden.workflows.assembly import build_data
from measure import command, metrics_of, write_section

SECONDS = 0.6
MEDIALS = "ㄧㄨㄩ"
FRAMES = 12
PENALTY = 100.0

Model = Callable[[NDArray[np.float32]], NDArray[np.str_]]
"""Gives the symbol of each row of features."""

NOTE = (
    "Strings of 2 to 4 Mandarin syllables, none of which was heard in training; the word error "
    "rate counts syllables. The baselines are told where each syllable begins and ends: they "
    "classify its log-mel spectrogram once for each place in zhuyin (initial, medial, final, "
    "tone). The constant answer is the likeliest symbol of each place. One thread."
)


def main() -> None:
    """Measure the baselines, then train."""
    header = ["what", "n", "test CER", "test WER", "CPU s"]
    write_section("Speech recognition", NOTE, header, [*baselines(), trained()])


def trained() -> list[str]:
    """Run the experiment."""
    words = ["train", "experiment=mandarin_strings"]
    with tempfile.TemporaryDirectory() as folder:
        done = command(words, folder=Path(folder))
        if done.returncode:
            raise SystemExit(done.output)
        metrics = metrics_of(Path(folder))
    name = f"`{' '.join(['leyden', *words])}`"
    return [name, "1", *_shares(metrics["test/cer"], metrics["test/wer"]), f"{done.cpu:.0f}"]


def baselines() -> Iterator[list[str]]:
    """Fit on the clips of the training strings, and measure the strings of the test split."""
    data = build_data(freeze(compose(["data=mandarin_strings"])))
    assert isinstance(data, MandarinStrings)
    log_mel = data.log_mel()

    def features(path: Path) -> NDArray[np.float32]:
        sound = read_sound(path, sample_rate=data.sample_rate, seconds=SECONDS)
        clip = fitted(sound, sample_rate=data.sample_rate, seconds=SECONDS)
        image = log_mel(torch.from_numpy(clip).unsqueeze(0)).squeeze(1)
        return torch.nn.functional.adaptive_avg_pool1d(image, FRAMES).flatten().numpy()

    strings = {
        split: [each for each in data.utterances() if each.split == split]
        for split in ("train", "test")
    }
    learnt = {
        path: word
        for each in strings["train"]
        for path, word in zip(each.paths, each.transcript.split(), strict=True)
    }
    inputs = np.stack([features(path) for path in learnt])
    places = np.array([split(word) for word in learnt.values()])
    tested = [[features(path) for path in each.paths] for each in strings["test"]]
    said = [each.transcript for each in strings["test"]]
    for name, fit in {
        "constant": likeliest,
        "logistic regression, boundaries given": logistic_regression,
    }.items():
        models = [fit(inputs, symbols) for symbols in places.T]
        found = [model(np.concatenate(tested)) for model in models]
        words = ["".join(row) for row in zip(*found, strict=True)]
        ends = np.cumsum([len(string) for string in tested])
        heard = [" ".join(split) for split in np.split(np.array(words), ends[:-1])]
        cer, wer = char_error_rate(heard, said), word_error_rate(heard, said)
        yield [name, "1", *_shares(float(cer), float(wer)), ""]


def likeliest(inputs: NDArray[np.float32], symbols: NDArray[np.str_]) -> Model:  # noqa: ARG001
    """Answer with the most frequent symbol."""
    found, counts = np.unique(symbols, return_counts=True)
    return lambda features: np.repeat(found[counts.argmax()], len(features))


def logistic_regression(inputs: NDArray[np.float32], symbols: NDArray[np.str_]) -> Model:
    """Fit on standardised features, with an L2 penalty."""
    found, targets = np.unique(symbols, return_inverse=True)
    mean, std = inputs.mean(axis=0), inputs.std(axis=0)

    def standard(features: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy((features - mean) / std)

    features, classes = standard(inputs), torch.from_numpy(targets)
    layer = torch.nn.Linear(inputs.shape[1], len(found))
    solver = torch.optim.LBFGS(layer.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def objective() -> torch.Tensor:
        solver.zero_grad()
        misfit = torch.nn.functional.cross_entropy(layer(features), classes, reduction="sum")
        loss = misfit + PENALTY / 2 * layer.weight.square().sum()
        loss.backward()
        return loss

    solver.step(objective)
    return lambda rows: found[layer(standard(rows)).argmax(dim=1).numpy()]


def _shares(*shares: float) -> list[str]:
    return [f"{100 * share:.1f} %" for share in shares]


def split(word: str) -> tuple[str, str, str, str]:
    """Split a syllable in zhuyin into initial, medial, final and tone, of which some are empty."""
    syllable, tone = word[:-1], word[-1]
    initial = syllable[0] if syllable[0] in INITIALS else ""
    rest = syllable.removeprefix(initial)
    medial = rest[0] if rest and rest[0] in MEDIALS else ""
    return initial, medial, rest.removeprefix(medial), tone


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    main()
