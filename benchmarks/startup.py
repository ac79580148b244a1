"""CPU time of commands that do not train: help, printing the config, refusing mistakes."""

import tempfile
from pathlib import Path

from measure import command, spread, write_section

NOTE = "CPU seconds of the whole process, median (least to greatest)."

COMMANDS = (
    "--help",
    "train --help",
    "evaluate --help",
    "predict --help",
    "consolidate --help",
    "train --cfg job",
    "train network.widht=3",
    "train network=resnett",
    "train optimizer.lr=abc",
    "evaluate run=nowhere",
)

RUNS = 7


def main() -> None:
    """Measure every command several times, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        measured = [
            [command(words.split(), folder=Path(folder)) for words in COMMANDS] for _ in range(RUNS)
        ]
    rows = [
        [f"`leyden {words}`", str(RUNS), spread([run.cpu for run in runs])]
        for words, runs in zip(COMMANDS, zip(*measured, strict=True), strict=True)
    ]
    write_section("Start-up", NOTE, ["command", "n", "CPU s"], rows)


if __name__ == "__main__":
    main()
