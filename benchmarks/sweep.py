"""CPU time of a sweep of small jobs, compared with a process for each job."""

import tempfile
from pathlib import Path

from measure import run, spread, write_section

NOTE = (
    "CPU seconds for 8 runs of a linear network on the digits, one epoch each: median (least to "
    "greatest)."
)

SEEDS = 8

ROUNDS = 3

WORDS = ("train", "network=linear", "trainer=cpu", "trainer.max_epochs=1")


def main() -> None:
    """Measure both in turn."""
    sweeps, processes = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            sweeps.append(_cpu(f"seeds={SEEDS}", folder=Path(folder)))
            alone = [_cpu(f"seed={seed}", folder=Path(folder)) for seed in range(SEEDS)]
            processes.append(sum(alone))
    ratios = [sweep / alone for sweep, alone in zip(sweeps, processes, strict=True)]
    rows = [
        ["one sweep", str(ROUNDS), spread(sweeps)],
        ["8 processes", str(ROUNDS), spread(processes)],
        ["ratio", str(ROUNDS), spread(ratios)],
    ]
    write_section("Sweep", NOTE, ["", "n", "CPU s"], rows)


def _cpu(word: str, *, folder: Path) -> float:
    return run([*WORDS, word], folder=folder).cpu


if __name__ == "__main__":
    main()
