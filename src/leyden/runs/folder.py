"""The folder of a run: ``runs/<name>/<time>/``."""

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from leyden.checkpoints.files import BEST, FOLDER, LAST, PREVIOUS, SUFFIX, is_checkpoint
from leyden.config.compose import Config, compose, load, to_plain, without_places
from leyden.errors import InterruptedRunError, UserError, describe, did_you_mean
from leyden.files import write_aside
from leyden.ranks.signals import is_interrupt

State = Literal["running", "finished", "interrupted", "failed"]

RUNS = Path("runs")
"""The folder of all runs, relative to the current directory."""


@dataclass
class RunFolder:
    """Paths of the files in a run's folder.

    Attributes:
        path: The folder.
        config: The run's frozen config.
        crossval: Folds, repeats and jobs; like the next two of a cross-validation alone.
        folds: Counts of rows and metrics of each of its runs.
        predictions: Out-of-fold predictions.
        metrics: Final metrics by stage and name.
        classes: Figures of each class, as `leyden evaluate` measured them.
        confusion: Rows by target and predicted class, likewise.
        cleaning: Report of the cleaning of the run's data.
        status: State, times and error of the run.
        job: What the command or the sweep overrode, and the number in the sweep.
        provenance: Command, code, versions and machine of the run's start.
        log: Log file.
        best: The checkpoint with the best monitored value.
        last: The newest checkpoint.
        previous: The checkpoint before the newest one.
    """

    path: Path

    def __post_init__(self) -> None:
        self.config = self.path / "config.yaml"
        self.crossval = self.path / "crossval.json"
        self.folds = self.path / "folds.csv"
        self.predictions = self.path / "oof.csv"
        self.metrics = self.path / "metrics.json"
        self.classes = self.path / "classes.csv"
        self.confusion = self.path / "confusion.csv"
        self.cleaning = self.path / "cleaning.json"
        self.status = self.path / "status.json"
        self.job = self.path / "job.json"
        self.provenance = self.path / "provenance.json"
        self.log = self.path / "train.log"
        self.best = self.path / FOLDER / BEST
        self.last = self.path / FOLDER / LAST
        self.previous = self.path / FOLDER / PREVIOUS

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock of this folder, so that no other process trains in it.

        Raises:
            UserError: If another process holds the lock.
        """
        lock = FileLock(self.path / "run.lock", blocking=False)
        try:
            lock.acquire()
        except Timeout as error:
            raise UserError(
                f"The run {self.path} is being trained by another process. Wait for it to end, or "
                "start a new run."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def refuse_links_and_pipes(self) -> None:
        """Raise if writing to a file of this folder could write elsewhere.

        Runs write to files by name, and a folder may come from someone else.

        Raises:
            UserError: If a link leads out of the folder, or a name is neither a file nor a folder.
        """
        home = Path(os.path.realpath(self.path))
        for path in self.path.rglob("*"):
            target = os.path.realpath(path)
            if not Path(target).is_relative_to(home):
                fault = f"is a link to {target}, and training writes to the names in a run folder"
            elif path.is_fifo() or path.is_socket():
                fault = "is neither a file nor a folder"
            else:
                continue
            raise UserError(
                f"{path} {fault}. Expected a folder as `leyden train` left it: put the file itself "
                "there, or remove it."
            )

    @contextmanager
    def record_state(self) -> Iterator[dict[str, Any]]:
        """Record in the status how the block ends.

        Yields:
            Options of ``write_status`` for the end of the block, such as ``warnings``.

        Raises:
            KeyboardInterrupt: If Ctrl-C stopped the block, which Lightning turns into an exit.
        """
        notes: dict[str, Any] = {}
        self.write_status("running")
        try:
            yield notes
        except InterruptedRunError as error:
            self.write_status("interrupted", error=str(error))
            raise
        except BaseException as error:
            if is_interrupt(error):
                self.write_status("interrupted")
                raise KeyboardInterrupt from error
            self.write_status("failed", error=describe(error))
            raise
        self.write_status("finished", **notes)

    def read_status(self) -> dict[str, Any]:
        """Read the status; empty if it is missing or damaged."""
        return read_json(self.status)

    def write_status(self, state: State, *, error: str | None = None, **notes: Any) -> None:
        """Record a change of state.

        The time of the first start is kept, and ``seconds`` is the sum over all starts: a run may
        be resumed days after it was stopped.

        Args:
            state: The new state.
            error: What ended the run, unless it finished.
            notes: Facts about the run, in JSON's types; empty ones are left out. ``warnings`` say
                what was not measured or not learned, ``mode`` whether lower (``min``) or higher
                (``max``) values of the monitored metric are better.
        """
        before, now = self.read_status(), datetime.now(UTC)
        stamp = now.isoformat(timespec="milliseconds")
        status = {
            "state": state,
            "started": before.get("started", stamp),
            "resumed": stamp if state == "running" else before.get("resumed", stamp),
            "ended": None if state == "running" else stamp,
            "seconds": _seconds(before, None if state == "running" else now),
            "error": error,
        }
        write_json(self.status, status | {key: value for key, value in notes.items() if value})

    def write_job(
        self, overrides: Mapping[str, Any], *, number: int | None = None, run: Path | None = None
    ) -> None:
        """Record what makes this run differ from others, for those who compare runs.

        Args:
            overrides: Values by key or group: those that the sweep gave to this job; outside a
                sweep, those of the command.
            number: Place in the sweep, from 0; ``None`` outside a sweep.
            run: Folder of an earlier run of the same config that takes the place of this job.
        """
        place = None if run is None else os.path.relpath(run, self.path)
        job = {"number": number, "overrides": dict(overrides), "run": place}
        write_json(self.job, job)

    def read_job(self) -> dict[str, Any]:
        """Read what ``write_job`` recorded, without what is missing or damaged."""
        content = read_json(self.job)
        kinds = {"number": int, "overrides": dict, "run": str}
        if "\0" in str(content.get("run")):  # no path has it
            del content["run"]
        return {key: content[key] for key in kinds if isinstance(content.get(key), kinds[key])}

    def read_cleaning_warnings(self) -> list[str]:
        """Read the warnings of cleaning about the run's data as a whole."""
        warnings = read_json(self.cleaning).get("warnings")
        return [str(warning) for warning in warnings] if isinstance(warnings, list) else []

    def read_metrics(self) -> dict[str, float]:
        """Read the final metrics by stage and name; empty before the run's end, or if damaged."""
        metrics = read_json(self.metrics, parse_int=float)
        numbers = {name: math.nan if value is None else value for name, value in metrics.items()}
        return {name: value for name, value in numbers.items() if isinstance(value, float)}


def find_run(run: str) -> tuple[RunFolder, Path]:
    """Find the folder and the checkpoint of a run.

    Args:
        run: Path of a run folder, of which the best checkpoint is returned, or of a checkpoint.

    Raises:
        UserError: If there is no such run, or it has no checkpoint yet.
    """
    path = Path(run).expanduser().resolve()
    if path.is_file() or (path.suffix == SUFFIX and is_checkpoint(path)):
        if path.suffix != SUFFIX:
            raise UserError(
                f"run={run} is neither a run folder nor a checkpoint. Expected a folder below "
                f"runs/ or a file that ends in {SUFFIX}."
            )
        return _folder_of(path), path
    folder = existing_folder(run)
    checkpoint = next((file for file in (folder.best, folder.last) if file.exists()), None)
    if checkpoint is None:
        reason, remedy = "it ended within its first epoch. Continue", ""
        if folder.read_status().get("state") == "finished":
            reason = "it was trained without callbacks.checkpoint, which writes them. Repeat"
            remedy = " --rerun callbacks=[default]"
        raise UserError(
            f"The run {run} has no checkpoint: {reason} it with `leyden train run={run}{remedy}`, "
            "or give another run."
        )
    return folder, checkpoint


def _folder_of(checkpoint: Path) -> RunFolder:
    inside = checkpoint.parent.name == FOLDER
    return RunFolder(checkpoint.parent.parent if inside else checkpoint.parent)


def existing_folder(run: str) -> RunFolder:
    """Find the folder of a run, finished or not, by its path or that of a checkpoint in it.

    Raises:
        UserError: If there is no run at this path.
    """
    path = Path(run).expanduser().resolve()
    is_file = path.suffix == SUFFIX and is_checkpoint(path)
    folder = _folder_of(path) if is_file else RunFolder(path)
    if folder.config.is_file():
        return folder
    if is_file:
        raise UserError(
            f"run={run} is a checkpoint outside a run folder, and training continues in one. "
            "Expected a run folder or a checkpoint in one."
        )
    if not folder.path.exists():
        parent = folder.path.parent
        siblings = [run.parent.name for run in parent.glob("*/config.yaml")]
        raise UserError(
            f"run={run} does not exist. Expected a run folder or a checkpoint file."
            f"{did_you_mean(folder.path.name, siblings) if siblings else ''}"
        )
    raise UserError(
        f"run={run} is not a run folder: it has no config.yaml. Expected runs/NAME/TIME."
    )


def new_folder(config: Config) -> RunFolder:
    """Create the folder of a new run, at the path that ``conf/train.yaml`` defines."""
    composed = compose([], with_hydra=True)
    composed.name = config.name
    # Absolute, because TensorBoard opens its file again whenever it writes.
    path = Path(composed.hydra.run.dir).absolute()
    path.mkdir(parents=True)
    return RunFolder(path)


def newest_run(
    config: Config, runs: Path, *, finished: bool, repeats: int | None = None
) -> RunFolder | None:
    """Find the newest run, or cross-validation, with the same config.

    Args:
        config: A frozen config.
        runs: The folder that holds all runs.
        finished: Whether to find a finished run or an unfinished one.
        repeats: How often the cross-validation divides the rows; ``None`` for a run.
    """
    configs = (runs / str(config.name)).glob("**/config.yaml")
    for path in sorted(configs, key=lambda path: path.parent.as_posix(), reverse=True):
        folder = RunFolder(path.parent.resolve())
        done = folder.read_status().get("state") == "finished"
        if done == finished and _repeats(folder) == repeats and _holds(path, config):
            return folder
    return None


def _repeats(folder: RunFolder) -> float | None:
    """Return how often a cross-validation divides the rows; NaN if unknown, ``None`` for a run."""
    if not folder.crossval.exists():
        return None
    repeats = read_json(folder.crossval).get("repeats")
    return repeats if isinstance(repeats, int | float) else math.nan


def _holds(path: Path, config: Config) -> bool:
    try:
        return to_plain(load(path)) == without_places(to_plain(config))
    except UserError:  # damaged, or of another version
        return False


def _seconds(status: Mapping[str, Any], now: datetime | None) -> float:
    """Add the time since the last start to the seconds of a status, if that start ends now."""
    try:
        seconds = float(status.get("seconds", 0))
        if now and status.get("state") == "running":
            seconds += (now - datetime.fromisoformat(str(status["resumed"]))).total_seconds()
    except (KeyError, TypeError, ValueError):  # a damaged status is as good as none
        return 0.0
    return round(seconds, 3)


def read_json(path: Path, *, parse_int: Callable[[str], float] = int) -> dict[str, Any]:
    """Read a JSON object; empty if the file is missing, damaged or holds something else."""
    try:
        content = json.loads(path.read_text(), parse_int=parse_int) if path.is_file() else {}
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file; readers see either the old or the new content."""
    with write_aside(path) as aside:
        aside.write_text(as_json(content) + "\n")


def as_json(content: Any) -> str:
    """Encode plain containers as JSON, with ``null`` for NaN and infinity, which JSON lacks."""
    return json.dumps(_finite(content), indent=1, allow_nan=False)


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
