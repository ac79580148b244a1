"""Cross-validation: two folds side by side against one after the other, in whole commands."""

import tempfile
from pathlib import Path

from measure import Measured, run, spread, write_section

NOTE = (
    "Seconds of the whole run, imports included, on prepared data; median (least to greatest). "
    "One after the other, each fold has all cores; side by side, each has half of them."
)

WORDS = ("folds=2", "trainer.max_epochs=200", "callbacks.early_stopping=null", "logger=null")
"""Folds of the digits that take about half a minute each on one core."""

RUNS = 3


def main() -> None:
    """Run both several times, in turn."""
    measured: dict[int, list[Measured]] = {1: [], 2: []}
    _run("trainer.max_epochs=1")  # prepares the data
    for _ in range(RUNS):
        for jobs, runs in measured.items():
            runs.append(_run(f"jobs={jobs}"))
    ratios = [alone.wall / beside.wall for alone, beside in zip(*measured.values(), strict=True)]
    rows = [
        [
            f"`leyden crossval {' '.join(WORDS)} jobs={jobs}`",
            str(RUNS),
            spread([run.wall for run in runs], 1),
            spread([run.cpu for run in runs], 1),
            spread(ratios) if jobs == 2 else "1",
        ]
        for jobs, runs in measured.items()
    ]
    write_section(
        "Cross-validation", NOTE, ["command", "n", "wall s", "CPU s", "times faster"], rows
    )


def _run(*words: str) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        return run(["crossval", *WORDS, *words], folder=Path(folder))


if __name__ == "__main__":
    main()
