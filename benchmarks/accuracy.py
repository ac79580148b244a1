"""Whole ``leyden train`` commands: what accuracy, in how many seconds, imports included."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from measure import Measured, command, metrics_of, spread, write_section

NOTE = (
    "Each row is the whole command in a process of its own, imports and the test of the best "
    "checkpoint included, on prepared data. Seconds: median (least to greatest)."
)

EXPERIMENTS: tuple[tuple[str, Sequence[str], int], ...] = (
    ("digits", (), 5),
    ("fashion_mnist_fast", ("experiment=fashion_mnist_fast",), 3),
    ("fashion_mnist", ("experiment=fashion_mnist",), 2),
)


def main() -> None:
    """Run every experiment with several seeds."""
    rows = []
    for name, words, seeds in EXPERIMENTS:
        command(["train", *words, "debug=smoke"], folder=Path(tempfile.mkdtemp()))  # prepares data
        accuracies, runs = zip(*(_train(words, seed) for seed in range(seeds)), strict=True)
        rows.append(
            [
                f"`{' '.join(['leyden train', *words])}`",
                str(seeds),
                f"{100 * mean(accuracies):.2f} %",
                f"{100 * accuracies[0]:.2f} %",
                f"{100 * min(accuracies):.2f} %",
                spread([run.wall for run in runs], 1),
                spread([run.cpu for run in runs], 1),
            ]
        )
        print(name, rows[-1], flush=True)
    header = ["command", "n", "test accuracy, mean", "seed 0", "least", "wall s", "CPU s"]
    write_section("Accuracy", NOTE, header, rows)


def _train(words: Sequence[str], seed: int) -> tuple[float, Measured]:
    with tempfile.TemporaryDirectory() as folder:
        done = command(["train", *words, f"seed={seed}"], folder=Path(folder))
        if done.returncode:
            raise SystemExit(done.output)
        return metrics_of(Path(folder))["test/accuracy"], done


if __name__ == "__main__":
    main()
