"""Minimal files for each option of data."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

import shipped
from leyden.data.sets.flights import SCHEDULE, WEATHER
from leyden.data.sets.spam import ARCHIVE


def image_folder(root: Path) -> list[str]:
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (root / name).mkdir()
        for index in range(20):
            pixels = random.integers(0, 256, (20, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return [f"data.root={root}"]


def image_table(root: Path) -> list[str]:
    image_folder(root)
    rows = [f"{name}/{index}.png,{name}" for name in ("cat", "dog") for index in range(20)]
    (root / "pets.csv").write_text("\n".join(["image,pet", *rows]))
    return [f"data.path={root}/pets.csv", "data.image=image", "data.target=pet"]


def audio_folder(root: Path) -> list[str]:
    random = np.random.default_rng(0)
    for name in ("rain", "wind"):
        (root / name).mkdir()
        for index in range(20):
            soundfile.write(root / name / f"{index}.wav", random.normal(0, 0.1, 4000), 8000)
    return [f"data.root={root}"]


def speech_commands(root: Path) -> list[str]:
    (root / "validation_list.txt").write_text("rain/1.wav\nwind/2.wav\n")
    (root / "testing_list.txt").write_text("rain/3.wav\nwind/4.wav\n")
    return audio_folder(root)


def text_folder(root: Path) -> list[str]:
    for name in ("cat", "dog"):
        (root / name).mkdir()
        for index in range(20):
            (root / name / f"{index}.txt").write_text(f"the {name} number {index} " * (index + 1))
    return [f"data.root={root}"]


def text_table(root: Path) -> list[str]:
    rows = [f"the {name} number {index},{name}" for name in ("cat", "dog") for index in range(20)]
    (root / "pets.csv").write_text("\n".join(["text,pet", *rows]))
    return [f"data.path={root}/pets.csv", "data.text=text", "data.target=pet"]


def table(root: Path) -> list[str]:
    rows = [f"{index},{'old' if index % 3 else ''},{index % 7 > 3}" for index in range(60)]
    (root / "pets.csv").write_text("\n".join(["weight,age,vaccinated", *rows]))
    return [f"data.path={root}/pets.csv", "data.target=vaccinated"]


def penguins(root: Path) -> list[str]:
    rows = [
        f"{'Adelie' if row % 2 else 'Gentoo'},Biscoe,{30 + row % 17}.1,NA,{row % 5},{row},male,2007"
        for row in range(60)
    ]
    (root / "penguins.csv").write_text("\n".join(["species,island,a,b,c,d,sex,year", *rows]))
    return [f"data.path={root}/penguins.csv"]


def flights(root: Path) -> list[str]:
    columns = [*SCHEDULE, "year"]
    rows = [
        f"1,{1 + row % 28},545,900,{row % 3 * 10},{'UA' if row % 2 else 'AA'},JFK,BOS,{row},5,45,"
        f"2013-01-{1 + row % 28:02}T05:00:00Z,2013"
        for row in range(112)
    ]
    (root / "flights.csv").write_text("\n".join([",".join(columns), *rows]))
    weather = [f"JFK,2013-01-{1 + day:02}T05:00:00Z,{day},1,2,3,4,5,0,6,7" for day in range(28)]
    header = ",".join(["origin", "time_hour", *WEATHER])
    (root / "weather.csv").write_text("\n".join([header, *weather]))
    return [f"data.path={root}"]


def speech_text(root: Path) -> list[str]:
    audio_folder(root)
    rows = [f"{name}/{n}.wav,{name}" for name in ("rain", "wind") for n in range(20)]
    (root / "manifest.csv").write_text("\n".join(["path,transcript", *rows]))
    return [f"data.path={root}/manifest.csv"]


def syllables(root: Path, marks: str) -> list[str]:
    for syllable in "ㄚㄛㄜㄝㄞㄟㄠㄡ":
        for mark in marks:
            (root / (syllable + mark).strip()).mkdir()
            for speaker in range(2):
                pitch = 0.1 + 0.01 * ord(syllable) + 0.1 * speaker + 0.001 * ord(mark)
                tone = 0.5 * np.sin(np.arange(8000) * pitch)
                soundfile.write(root / (syllable + mark).strip() / f"{speaker}.ogg", tone, 16000)
    return [f"data.root={root}"]


def mandarin_tones(root: Path) -> list[str]:
    return syllables(root, " 234")


def mandarin_strings(root: Path) -> list[str]:
    return [*syllables(root, " "), "data.strings=100"]


def fashion_mnist(root: Path) -> list[str]:
    random = np.random.default_rng(0)
    for prefix, rows in (("train", 200), ("t10k", 20)):
        images = random.integers(0, 256, (rows, 28, 28), dtype=np.uint8)
        for name, array in (("images-idx3", images), ("labels-idx1", np.arange(rows) % 10)):
            head = b"".join(n.to_bytes(4, "big") for n in (0x0800 + array.ndim, *array.shape))
            content = gzip.compress(head + array.astype(np.uint8).tobytes())
            (root / f"{prefix}-{name}-ubyte.gz").write_bytes(content)
    return [f"data.root={root}"]


def text_corpus(root: Path) -> list[str]:
    lines = [f"line {index} of the only text, {'la ' * (index % 7)}" for index in range(200)]
    (root / "song.txt").write_text("\n".join(lines))
    sizes = ["data.passage_characters=80", "data.cleaning.near_duplicates=false"]
    return [f"data.root={root}/song.txt", *sizes]


def docstrings(root: Path) -> list[str]:
    for index in range(40):
        (root / f"module_{index}.py").write_text(f'"""Does task {index} and {index + 1}."""')
    return [f"data.root={root}"]


def spam(root: Path) -> list[str]:
    with tarfile.open(root / ARCHIVE, "w:gz") as archive:
        for index in range(40):
            mail = {"group": ("spam-1", "easy-ham-1")[index % 2], "text": f"Subject: {index}\n\nhi"}
            content = json.dumps(mail).encode()
            member = tarfile.TarInfo(f"package/data/{mail['group']}/{index}.json")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return [f"data.root={root}"]


def ag_news(root: Path) -> list[str]:
    rows = [f'"{index % 4 + 1}","title {index}","what happened {index}"' for index in range(80)]
    (root / "train.csv").write_text("\n".join(rows[:60]))
    (root / "test.csv").write_text("\n".join(rows[60:]))
    return [f"data.root={root}"]


OWN = (
    image_folder,
    image_table,
    fashion_mnist,
    audio_folder,
    speech_commands,
    speech_text,
    mandarin_tones,
    mandarin_strings,
    text_folder,
    text_table,
    table,
    penguins,
    flights,
    text_corpus,
    docstrings,
    spam,
    ag_news,
)

SOURCES = {make.__name__: make for make in OWN}
"""Functions that write the files of a data option and return overrides with their paths."""


@pytest.fixture(scope="session", params=shipped.OPTIONS["data"])
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return overrides that choose a data set and the path of its files."""
    chosen = [f"data={request.param}", "data.batch_size=8"]
    make = SOURCES.get(request.param)
    return [*chosen, *make(tmp_path_factory.mktemp(request.param))] if make else chosen
