"""Peak memory of whole commands, and the cost of rows as they grow."""

import json
import tempfile
from pathlib import Path

from measure import command, python, write_section

PEAK_NOTE = "Greatest resident memory of the whole process, n = 1."

COMMANDS = (
    "train trainer.max_epochs=2",
    "train experiment=fashion_mnist_fast trainer.max_epochs=1",
)

ROWS_NOTE = (
    "Grey images of 8x8 pixels, n = 1: CPU seconds to read, clean and cache them; then, in another "
    "process, CPU seconds from the data module to the first batch, and the MiB by which resident "
    "memory behind 100 batches exceeds that for a thousand rows."
)

SIZES = (10**3, 10**4, 10**5, 10**6, 10**7)

ROWS = """
import json, resource, sys, time
import numpy as np
from leyden.data.image.module import ImageData
from leyden.data.rows import Rows

COUNT, CHUNK = int(sys.argv[1]), 10_000


class Noise(ImageData):
    class_names = ("a", "b")
    image_shape = (1, 8, 8)

    def source_settings(self):
        return {"count": COUNT}

    def read(self):
        random = np.random.default_rng(0)
        for start in range(0, COUNT, CHUNK):
            count = min(CHUNK, COUNT - start)
            yield Rows(
                arrays={"images": random.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)},
                targets=random.integers(0, 2, count),
                part="all",
                sources=[str(row) for row in range(start, start + count)],
            )


data = Noise(name="noise", batch_size=128, cache_dir=sys.argv[2])
start = time.process_time()
data.prepare_data()
prepared = time.process_time() - start
start = time.process_time()
data.setup()
batches = iter(data.train_dataloader())
next(batches)
first = time.process_time() - start
for _, _ in zip(range(99), batches):
    pass
pages = int(open("/proc/self/statm").read().split()[1])
print(json.dumps({"prepared": prepared, "first": first, "resident": pages * 4096 / 2**20}))
"""


def main() -> None:
    """Measure commands, then rows."""
    peaks = []
    for words in COMMANDS:
        with tempfile.TemporaryDirectory() as folder:
            done = command(words.split(), folder=Path(folder))
        peaks.append([f"`leyden {words}`", f"{done.peak_memory:.0f}"])
    write_section("Peak memory", PEAK_NOTE, ["command", "MiB"], peaks)
    write_section(
        "Rows as they grow",
        ROWS_NOTE,
        ["rows", "prepare, CPU s", "first batch, CPU s", "more memory, MiB"],
        _grown(),
    )


def _grown() -> list[list[str]]:
    rows: list[list[str]] = []
    least = None
    for size in SIZES:
        with tempfile.TemporaryDirectory() as name:
            first, second = (_measured(size, Path(name)) for _ in range(2))
        least = least or second["resident"]
        rows.append(
            [
                f"{size:,}",
                f"{first['prepared']:.2f}",
                f"{second['first']:.2f}",
                f"{second['resident'] - least:.0f}",
            ]
        )
    return rows


def _measured(size: int, folder: Path) -> dict[str, float]:
    done = python(ROWS, str(size), str(folder), folder=folder)
    figures: dict[str, float] = json.loads(done.output.splitlines()[-1])
    return figures


if __name__ == "__main__":
    main()
