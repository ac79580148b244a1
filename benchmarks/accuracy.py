"""Metrics and duration of whole ``leyden train`` commands.

Arguments select kinds of data, and overrides are passed to every command, such as the path of a
local copy of the data: ``python benchmarks/accuracy.py texts data.root=PATH``.
"""

import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from measure import run, spread, train, write_section

NOTE = (
    "Each row is the whole command in processes of their own, imports and the test of the best "
    "checkpoint included, on prepared data. Seconds: median (least to greatest)."
)

HEADER = ["command", "n", "repeated with", "metric", "mean", "first", "range", "wall s", "CPU s"]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A command, the overrides of its repetitions, and the metrics to report."""

    words: Sequence[str] = ()
    repeats: Sequence[str]
    metrics: Sequence[str] = ("test/accuracy",)


def seeds(count: int) -> list[str]:
    """Return overrides for several seeds, the default first."""
    return [f"seed={seed}" for seed in range(count)]


GPU = "images on a GPU"

KINDS = {
    "images": [
        Experiment(repeats=seeds(5)),
        Experiment(words=["experiment=fashion_mnist_fast"], repeats=seeds(3)),
        Experiment(words=["experiment=fashion_mnist"], repeats=seeds(3)),
        Experiment(words=["experiment=fashion_mnist_best"], repeats=seeds(1)),
    ],
    GPU: [
        Experiment(words=["experiment=fashion_mnist"], repeats=seeds(1)),
        Experiment(words=["experiment=fashion_mnist_gpu"], repeats=seeds(3)),
    ],
    "speech": [
        Experiment(words=["experiment=mandarin_tones"], repeats=seeds(3)),
        Experiment(words=["experiment=mandarin_strings"], repeats=seeds(1), metrics=["test/cer"]),
    ],
    "texts": [
        Experiment(
            words=["experiment=spam"],
            repeats=[f"data.splitter.seed={seed}" for seed in range(5)],
            metrics=["test/accuracy", "test/f1"],
        ),
    ],
    "tables": [
        Experiment(
            words=[
                "experiment=penguins",
                "data/splitter=kfold",
                "data.splitter.test_fraction=0",
            ],
            repeats=[f"data.splitter.fold={fold}" for fold in range(5)],
        ),
        Experiment(words=["experiment=flights"], repeats=seeds(2), metrics=["test/auroc"]),
    ],
}


def main() -> None:
    """Run the experiments of the given kinds, by default of all kinds that the machine supports."""
    more = [word for word in sys.argv[1:] if "=" in word]
    able = [kind for kind in KINDS if kind != GPU or shutil.which("nvidia-smi")]
    for kind in [word for word in sys.argv[1:] if "=" not in word] or able:
        rows = [row for experiment in KINDS[kind] for row in _measured(experiment, more)]
        write_section(f"Accuracy: {kind}", NOTE, HEADER, rows)


def _measured(experiment: Experiment, more: Sequence[str]) -> list[list[str]]:
    with tempfile.TemporaryDirectory() as folder:  # prepares the data
        run(["train", *experiment.words, *more, "debug=smoke"], folder=Path(folder))
    measured = (train([*experiment.words, *more, word]) for word in experiment.repeats)
    results, runs = zip(*measured, strict=True)
    rows = []
    for metric in experiment.metrics:
        values = [result[metric] for result in results]
        rows.append(
            [
                f"`{' '.join(['leyden train', *experiment.words])}`",
                str(len(values)),
                f"`{experiment.repeats[0]}` …" if len(values) > 1 else experiment.repeats[0],
                f"`{metric}`",
                f"{mean(values):.4f}",
                f"{values[0]:.4f}",
                f"{min(values):.4f} to {max(values):.4f}",
                spread([run.wall for run in runs], 1),
                spread([run.cpu for run in runs], 1),
            ]
        )
    return rows


if __name__ == "__main__":
    main()
