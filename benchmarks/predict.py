"""Rows per second and peak memory of ``leyden predict`` in one process and in two."""

import csv
import os
import tempfile
import threading
from pathlib import Path

import numpy as np
from PIL import Image

from measure import Measured, export, run, spread, write_section

NOTE = (
    "`leyden predict export=… output=rows.csv` of synthetic rows: tables of 9 columns and a small "
    "MLP, and PNG files of 32x32 pixels and a small CNN. The seconds of a tenth of the rows are "
    "subtracted from those of all, so that start-up does not count: median (least to greatest) of "
    "n interleaved rounds; the ratio is that within a round. Peak memory is the largest sum of the "
    "proportional set sizes of all processes, sampled every 50 ms. OMP_NUM_THREADS=1."
)

TABLE_ROWS, IMAGES, ROUNDS, TENTH = 500_000, 20_000, 3, 10

PROCESSES = (1, 2)

BRIEF = ("trainer.max_epochs=1", "trainer=cpu")
"""Arguments of a training whose result does not matter."""


def main() -> None:
    """Measure both kinds of inputs."""
    header = ["inputs", "n", "processes", "rows/s", "CPU µs/row", "MiB, tenth", "MiB, all", "ratio"]
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for prepare in (tables, images):
            rows += measured(*prepare(Path(folder)), folder=Path(folder))
    write_section("Prediction of many rows", f"{NOTE} {load()}", header, rows)


def tables(folder: Path) -> tuple[str, int, Path, Path, Path]:
    """Write tables, and train and export a network of them."""
    write_table(folder / "train.csv", 5000)
    words = [f"data.path={folder}/train.csv", "data.target=state", "network=table_mlp"]
    exported = export(["data=table", *words, *BRIEF], folder=folder, name="table")
    write_table(folder / "some.csv", TABLE_ROWS // TENTH)
    write_table(folder / "all.csv", TABLE_ROWS)
    return "table", TABLE_ROWS, exported, folder / "some.csv", folder / "all.csv"


def images(folder: Path) -> tuple[str, int, Path, Path, Path]:
    """Write images, and train and export a network of them."""
    write_images(folder / "labelled" / "a", 200)
    write_images(folder / "labelled" / "b", 200)
    words = [
        "data=image_folder",
        f"data.root={folder}/labelled",
        "data.image_size=[32,32]",
        "network=cnn",
    ]
    exported = export([*words, *BRIEF], folder=folder, name="images")
    write_images(folder / "some", IMAGES // TENTH)
    write_images(folder / "all", IMAGES)
    return "images", IMAGES, exported, folder / "some", folder / "all"


def measured(
    name: str, count: int, exported: Path, some: Path, everything: Path, *, folder: Path
) -> list[list[str]]:
    """Return the rows of the results for one kind of inputs."""
    seconds: dict[int, list[float]] = {each: [] for each in PROCESSES}
    cpu: dict[int, list[float]] = {each: [] for each in PROCESSES}
    peaks: dict[tuple[int, Path], float] = {}
    for _ in range(ROUNDS):
        for processes in PROCESSES:
            runs = {}
            for inputs in (some, everything):
                words = [f"export={exported}", f"input={inputs}", f"processes={processes}"]
                runs[inputs], peaks[processes, inputs] = watched(words, folder)
            seconds[processes].append(runs[everything].wall - runs[some].wall)
            cpu[processes].append(runs[everything].cpu - runs[some].cpu)
    further = count - count // TENTH
    ratios = [one / two for one, two in zip(*seconds.values(), strict=True)]
    return [
        [
            f"{count:,} {name}",
            str(ROUNDS),
            str(processes),
            spread([further / each for each in seconds[processes]], 0),
            spread([each / further * 1e6 for each in cpu[processes]], 0),
            f"{peaks[processes, some]:.0f}",
            f"{peaks[processes, everything]:.0f}",
            "" if processes == 1 else spread(ratios),
        ]
        for processes in PROCESSES
    ]


def watched(words: list[str], folder: Path) -> tuple[Measured, float]:
    """Predict to a file, and return the peak memory of all processes in MiB."""
    peak = 0.0
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.05):
            peak = max(peak, memory_below(os.getpid()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    done = run(["predict", *words, "output=rows.csv"], folder=folder)
    ended.set()
    watcher.join()
    (folder / "rows.csv").unlink()
    return done, peak


def memory_below(parent: int) -> float:
    """Return the proportional set size of all descendants of a process in MiB."""
    total = 0.0
    try:
        pids = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for pid in map(int, pids):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
            total += memory_below(pid)
    except OSError:  # it has ended
        pass
    return total


def write_table(path: Path, count: int) -> None:
    """Write a table of six numbers, two categories and a date, and of a class."""
    random = np.random.default_rng(0)
    numbers = random.normal(50, 20, (count, 6)).round(2)
    wards = random.choice(["north", "south", "west"], count)
    smokes = random.choice(["yes", "no"], count)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*(f"x{i}" for i in range(6)), "ward", "smokes", "seen", "state"])
        for row in range(count):
            seen = f"2024-{1 + row % 12:02}-{1 + row % 28:02}"
            state = "ill" if numbers[row, 0] + numbers[row, 1] > 100 else "well"
            writer.writerow([*numbers[row], wards[row], smokes[row], seen, state])


def write_images(folder: Path, count: int) -> None:
    """Write noise as PNG files."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(int.from_bytes(folder.name.encode()))
    for number in range(count):
        pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:05}.png")


def load() -> str:
    """Return how busy the machine was."""
    return f"Load average at the end: {os.getloadavg()[2]:.1f} over 15 minutes."


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    main()
