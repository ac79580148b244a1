"""Peak memory of whole commands, and time and memory by number of rows."""

import json
import tempfile
from pathlib import Path

from measure import python, run, write_section

PEAK_NOTE = "Maximum resident set size of the whole process, n = 1."

COMMANDS = (
    "train trainer.max_epochs=2",
    "train data=fashion_mnist network=mlp trainer.max_epochs=1",
    "train experiment=fashion_mnist_fast trainer.max_epochs=1",
)

ROWS_NOTE = (
    "Greyscale images of 8x8 pixels, n = 1: CPU seconds to read, clean and cache them; then, in "
    "another process, CPU seconds from the data module to the first batch. After each, the peak "
    "memory in MiB above that before, during preparation and during 100 batches of 128, sampled "
    "every 5 ms. Anonymous memory is not backed by a file; the total includes mapped pages of the "
    "cache, which the kernel can reclaim."
)

SIZES = (10**3, 10**4, 10**5, 10**6, 10**7)

ROWS = """
import json, sys, threading, time
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
                split="all",
                sources=[str(row) for row in range(start, start + count)],
            )


def memory():
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return np.array([int(lines[name].split()[0]) / 1024 for name in ("RssAnon", "VmRSS")])


def watch():
    while True:
        np.maximum(peak, memory(), out=peak)
        time.sleep(0.005)


def begin():
    data.setup()
    batches = iter(data.train_dataloader())
    next(batches)
    return batches


data = Noise(name="noise", batch_size=128, cache_dir=sys.argv[2])
before = memory()
peak = before.copy()
threading.Thread(target=watch, daemon=True).start()
start = time.process_time()
batches = data.prepare_data() if sys.argv[3] == "prepare" else begin()
seconds = time.process_time() - start
for _ in zip(range(99), batches or ()):
    pass
np.maximum(peak, memory(), out=peak)
print(json.dumps([seconds, *(peak - before)]))
"""


def main() -> None:
    """Measure commands, then numbers of rows."""
    commands()
    rows()


def commands() -> None:
    """Measure the peak memory of every command."""
    peaks = []
    for words in COMMANDS:
        with tempfile.TemporaryDirectory() as folder:
            done = run(words.split(), folder=Path(folder))
        peaks.append([f"`leyden {words}`", f"{done.peak_memory:.0f}"])
    write_section("Peak memory", PEAK_NOTE, ["command", "MiB"], peaks)


def rows() -> None:
    """Measure data sets of increasing size."""
    steps = ("prepare, CPU s", "first batch, CPU s")
    header = ["rows", *(name for step in steps for name in (step, "anonymous", "total"))]
    measured = [[f"{size:,}", *_measured(size)] for size in SIZES]
    write_section("Rows as they grow", ROWS_NOTE, header, measured)


def _measured(size: int) -> list[str]:
    cells = []
    with tempfile.TemporaryDirectory() as folder:
        for step in ("prepare", "train"):
            done = python(ROWS, str(size), folder, step, folder=Path(folder))
            seconds, *memory = json.loads(done.output.splitlines()[-1])
            cells += [f"{seconds:.2f}", *(f"{mebibytes:.0f}" for mebibytes in memory)]
    return cells


if __name__ == "__main__":
    main()
