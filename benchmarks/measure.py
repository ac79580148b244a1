"""Timing of processes, and tables of results with the hardware and the versions."""

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
    """A finished process.

    Attributes:
        wall: Wall-clock time in seconds.
        cpu: User and system time in seconds.
        peak_memory: Maximum resident set size in MiB.
        returncode: Exit code.
        output: Standard output and standard error.
    """

    wall: float
    cpu: float
    peak_memory: float
    returncode: int
    output: str


def command(words: Sequence[str], *, folder: Path) -> Measured:
    """Run ``leyden`` with these arguments in a folder, in a new process."""
    return _process(["-m", "leyden", *words], folder)


def run(words: Sequence[str], *, folder: Path) -> Measured:
    """Run a command as ``command`` does.

    Raises:
        SystemExit: If it fails, with its output.
    """
    done = command(words, folder=folder)
    if done.returncode:
        raise SystemExit(done.output)
    return done


def export(words: Sequence[str], *, folder: Path, name: str) -> Path:
    """Train with these arguments in a folder, and return the folder of the exported network.

    Raises:
        SystemExit: If a command fails, with its output.
    """
    run(["train", f"name={name}", *words], folder=folder)
    (path,) = (folder / "runs" / name).iterdir()
    run(["export", f"run={path}", f"to={folder / name}"], folder=folder)
    return folder / name


def python(program: str, *words: str, folder: Path) -> Measured:
    """Run the source of a program in a folder, in a new process."""
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
    """Run ``leyden train`` with these arguments in a temporary folder.

    Raises:
        SystemExit: If the command fails, with its output.
    """
    with tempfile.TemporaryDirectory() as folder:
        done = run(["train", *words], folder=Path(folder))
        return metrics_of(Path(folder)), done


def take_turns(
    runs: Mapping[str, Callable[[Callable[[], None]], None]],
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """Interleave functions, one at a time, so that other load on the machine affects all equally.

    Args:
        runs: Functions by name; each calls its argument to let the next one continue.
        clock: Returns the time in seconds, by default the CPU time of the process.

    Returns:
        Seconds that each function took.
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
    """Read the metrics of the only run in a folder."""
    (path,) = folder.glob("runs/**/metrics.json")
    metrics: dict[str, float] = json.loads(path.read_text())
    return metrics


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Format the median with the minimum and the maximum."""
    middle = statistics.median(values)
    if len(values) == 1:
        return f"{middle:,.{digits}f}"
    return f"{middle:,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def write_section(
    title: str, note: str, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Print a table, and replace its section of RESULTS.md.

    Args:
        title: Title of the section.
        note: How the numbers were measured.
        header: Names of the columns.
        rows: Cells of each row.
    """
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
    """Return the machine, the versions of packages and the date in one line."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    day = datetime.now(UTC).date().isoformat()
    return (
        f"{_processor()}, {os.cpu_count()} cores{_gpu()}; {platform.system()}, "
        f"Python {platform.python_version()}, {versions}; {day}."
    )


def _gpu() -> str:
    """Return the name of the first GPU after a comma, or nothing without one."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    query = [tool, "--query-gpu=name", "--format=csv,noheader"]
    names = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    return f", {names.splitlines()[0]}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (model := re.search(r"model name\s*: (.*)", cpuinfo.read_text())):
        return model[1]
    return platform.processor()
