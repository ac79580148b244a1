"""Timing whole commands, and writing what came out with the hardware it came from."""

import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from threading import Semaphore

RESULTS = Path(__file__).with_name("RESULTS.md")

PACKAGES = ("torch", "lightning", "torchmetrics", "hydra-core", "numpy")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A finished process: seconds of wall and of CPU time, peak memory in MiB, what it printed."""

    wall: float
    cpu: float
    peak_memory: float
    returncode: int
    output: str


def command(words: Sequence[str], *, folder: Path) -> Measured:
    """Run ``leyden`` with these words in a folder, as a process of its own."""
    return _process(["-m", "leyden", *words], folder)


def python(program: str, *words: str, folder: Path) -> Measured:
    """Run a program that is given as text in a folder, as a process of its own."""
    return _process(["-c", program, *words], folder)


def _process(words: Sequence[str], folder: Path) -> Measured:
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Measured(
        wall=time.perf_counter() - start,
        cpu=usage.ru_utime + usage.ru_stime,
        peak_memory=usage.ru_maxrss / 1024,
        returncode=process.returncode,
        output=output,
    )


def train(words: Sequence[str]) -> tuple[dict[str, float], Measured]:
    """Run ``leyden train`` with these words in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        done = command(["train", *words], folder=Path(folder))
        if done.returncode:
            raise SystemExit(done.output)
        return metrics_of(Path(folder)), done


def take_turns(
    runs: Mapping[str, Callable[[Callable[[], None]], None]],
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """Run functions side by side, one at a time, so that a slow moment of the machine hits all.

    Args:
        runs: functions that call what they are given wherever the next one may go on.
        clock: tells the seconds, of CPU time unless told otherwise.

    Returns:
        Seconds of each.
    """
    seconds = dict.fromkeys(runs, 0.0)
    turn = {name: Semaphore(0) for name in runs}
    passed_on = Semaphore(0)
    finished: set[str] = set()

    def pass_on(name: str) -> None:
        passed_on.release()
        turn[name].acquire()

    def run(name: str) -> None:
        turn[name].acquire()
        try:
            runs[name](partial(pass_on, name))
        finally:
            finished.add(name)
            passed_on.release()

    with ThreadPoolExecutor(len(runs)) as pool:
        futures = [pool.submit(run, name) for name in runs]
        while running := [name for name in runs if name not in finished]:
            for name in running:
                start = clock()
                turn[name].release()
                passed_on.acquire()
                seconds[name] += clock() - start
    for future in futures:
        future.result()
    return seconds


def metrics_of(folder: Path) -> dict[str, float]:
    """Read the metrics of the only run below a folder."""
    (path,) = folder.glob("runs/**/metrics.json")
    metrics: dict[str, float] = json.loads(path.read_text())
    return metrics


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Give the median with the least and the greatest value."""
    middle = statistics.median(values)
    if len(values) == 1:
        return f"{middle:.{digits}f}"
    return f"{middle:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def write_section(
    title: str, note: str, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Replace one section of RESULTS.md, leaving the others as they are."""
    table = [header, ["---"] * len(header), *rows]
    lines = [f"## {title}", "", note, "", hardware(), ""]
    lines += ["| " + " | ".join(row) + " |" for row in table]
    section = "\n".join(lines) + "\n"
    print(section)
    text = RESULTS.read_text() if RESULTS.exists() else "# Results of the benchmarks\n"
    pattern = re.compile(rf"## {re.escape(title)}\n.*?(?=\n## |\Z)", re.DOTALL)
    if pattern.search(text):
        text = pattern.sub(lambda _: section, text)
    else:
        text = f"{text.rstrip()}\n\n{section}"
    RESULTS.write_text(text)


def hardware() -> str:
    """Describe the machine, the versions and the day in one line."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    day = datetime.now(UTC).date().isoformat()
    return (
        f"{_processor()}, {os.cpu_count()} cores{_gpu()}; {platform.system()}, "
        f"Python {platform.python_version()}, {versions}; {day}."
    )


def _gpu() -> str:
    """Name the first GPU, with a comma before it."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    asked = [tool, "--query-gpu=name", "--format=csv,noheader"]
    named = subprocess.run(asked, capture_output=True, text=True, check=True)
    return f", {named.stdout.splitlines()[0]}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (model := re.search(r"model name\s*: (.*)", cpuinfo.read_text())):
        return model[1]
    return platform.processor()
