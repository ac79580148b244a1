"""CPU time of preparing each kind of data, and throughput of its batches."""

import json
import tempfile
import time
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from PIL import Image
from pyarrow import csv

from leyden.data.audio.augment import Gain, Noise, SpecAugment, TimeShift
from leyden.data.audio.folder import AudioFolder
from leyden.data.base import DataModule
from leyden.data.image.augment import Flip, Shift
from leyden.data.image.folder import ImageFolder
from leyden.data.table.table import Table
from leyden.data.text.augment import TokenDropout
from leyden.data.text.table import TextTable
from leyden.testing.data_contract import attach_trainer
from measure import write_section

NOTE = (
    "Synthetic rows, prepared with an empty cache: reading, every cleaning step, the split and the "
    "fitted preprocessing. Then one epoch of training batches, augmented and normalised, without a "
    "network. CPU seconds on one thread, and wall-clock seconds of the preparation."
)

WORDS = 20_000

BATCH_SIZE = 128


def main() -> None:
    """Measure every kind in a temporary folder."""
    torch.set_num_threads(1)
    rows = []
    for name, make in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            rows.append([name, *_measured(make(Path(folder)))])
            print(rows[-1], flush=True)
    header = ["kind", "rows", "preparation, CPU s", "wall s", "rows per CPU s in batches"]
    write_section("Kinds of data", NOTE, header, rows)


def short_texts(folder: Path, count: int = 100_000) -> DataModule:
    """Return texts of about 40 words with Zipf-distributed frequencies, as JSON lines."""
    random = np.random.default_rng(0)
    words = np.array([f"word{number:x}" for number in range(WORDS)])
    lengths = random.integers(20, 60, count)
    drawn = words[np.minimum(random.zipf(1.3, lengths.sum()), WORDS) - 1]
    with (folder / "texts.jsonl").open("w") as stream:
        for row, text in enumerate(np.split(drawn, np.cumsum(lengths)[:-1])):
            stream.write(json.dumps({"text": f"{row} {' '.join(text)}", "label": str(row % 4)}))
            stream.write("\n")
    return TextTable(
        name="texts",
        path=str(folder / "texts.jsonl"),
        text="text",
        target="label",
        batch_size=BATCH_SIZE,
        augment={"token_dropout": TokenDropout()},
        cache_dir=str(folder / "cache"),
    )


def png_images(folder: Path, count: int = 5_000) -> DataModule:
    """Return colour images of 80x60 pixels in class folders, resized to 64x64."""
    random = np.random.default_rng(0)
    for row in range(count):
        path = folder / "images" / f"class{row % 4}" / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(path)
    return ImageFolder(
        name="images",
        root=str(folder / "images"),
        batch_size=BATCH_SIZE,
        augment={"flip": Flip(), "shift": Shift(pixels=4)},
        cache_dir=str(folder / "cache"),
    )


def sounds(folder: Path, count: int = 2_000) -> DataModule:
    """Return one second of noise at 16 kHz per row, as wav files in class folders."""
    random = np.random.default_rng(0)
    for row in range(count):
        path = folder / "sounds" / f"class{row % 4}" / f"{row}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes(random.normal(0, 3000, 16_000).astype(np.int16).tobytes())
    return AudioFolder(
        name="sounds",
        root=str(folder / "sounds"),
        batch_size=BATCH_SIZE,
        augment={"shift": TimeShift(), "gain": Gain(), "noise": Noise()},
        augment_inputs={"mask": SpecAugment()},
        cache_dir=str(folder / "cache"),
    )


def table(folder: Path, count: int = 100_000) -> DataModule:
    """Return a CSV file of six numeric columns, three categorical ones and one of dates."""
    random = np.random.default_rng(0)
    numbers = random.normal(size=(count, 6)).round(4)
    columns = {f"number{place}": column for place, column in enumerate(numbers.T)}
    for values in (5, 50, 500):
        columns[f"one of {values}"] = np.char.add(
            "value", random.integers(0, values, count).astype(str)
        )
    days = np.datetime64("2020-01-01") + random.integers(0, 1500, count)
    columns["day"] = days.astype(str)
    columns["label"] = np.where(numbers[:, 0] + random.normal(size=count) > 0, "yes", "no")
    csv.write_csv(pa.table(columns), folder / "rows.csv")
    return Table(
        name="table",
        path=str(folder / "rows.csv"),
        target="label",
        batch_size=BATCH_SIZE,
        cache_dir=str(folder / "cache"),
    )


KINDS: dict[str, Callable[[Path], DataModule]] = {
    "`image_folder`, PNG of 80x60": png_images,
    "`audio_folder`, wav of 1 s": sounds,
    "`text_table`, 40 words a row": short_texts,
    "`table`, 10 columns": table,
}


def _measured(data: DataModule) -> list[str]:
    wall, cpu = time.perf_counter(), time.process_time()
    data.prepare_data()
    data.setup()
    attach_trainer(data)
    loader = data.train_dataloader()
    prepared = [time.process_time() - cpu, time.perf_counter() - wall]
    cpu, count = time.process_time(), 0
    for batch in loader:
        count += len(data.on_after_batch_transfer(batch, 0).rows)
    rate = count / (time.process_time() - cpu)
    rows = str(len(data.cached.kept))
    return [rows, *(f"{seconds:.1f}" for seconds in prepared), f"{rate:,.0f}"]


if __name__ == "__main__":
    main()
