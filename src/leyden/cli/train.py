"""``leyden train``: starts or continues a run, or sweeps."""

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from multiprocessing import parent_process
from textwrap import indent
from typing import TYPE_CHECKING

from leyden.cli.arguments import Arguments, split
from leyden.cli.hydra_jobs import Job, Run, run_one, values_of
from leyden.cli.logs import append_to, tame_lightning
from leyden.cli.startup import importing
from leyden.cli.sweeps import OWN_KEYS, compose_one, expand_seeds, is_sweep, refuse_own_keys
from leyden.cli.train_help import help_text
from leyden.config.check import forget_sources
from leyden.config.compose import Config
from leyden.config.origins import convert_errors
from leyden.config.shorthands import expand_shorthands
from leyden.errors import UserError
from leyden.ranks.environment import die_with_launcher, is_launched, rank
from leyden.runs.failed_starts import removed_if_it_fails
from leyden.runs.fixed_keys import claim
from leyden.runs.folder import RUNS, RunFolder, existing_folder, new_folder, newest_run
from leyden.runs.provenance import record_command
from leyden.workflows.start import config_to_continue, follow, load_config, start

if TYPE_CHECKING:
    from leyden.ranks.jobs import Jobs

log = logging.getLogger(__name__)

RERUN = "--rerun"

COMPLETION = 'Run this line in the shell instead: eval "$(leyden completion bash)", or zsh or fish.'


def run(words: Sequence[str]) -> None:
    """Run the command.

    Raises:
        UserError: If the config or another input is refused.
    """
    # A run may outlive its terminal; messages that cannot be printed are in the log file.
    logging.raiseExceptions = False
    if is_launched():
        die_with_launcher()
    record_command(["train", *words])
    arguments = split(words, "run", "resume", *OWN_KEYS)
    expand_seeds(arguments)
    arguments.overrides = expand_shorthands(arguments.overrides)
    with convert_errors(arguments.overrides):
        if {"-h", "--help"} & set(words):
            # The lists of values of a sweep cannot be composed.
            print(help_text([] if is_sweep(arguments) else arguments.overrides))
        else:
            _dispatch(arguments)


def _dispatch(arguments: Arguments) -> None:
    """Follow the first rank, or continue, repeat or start runs, depending on the arguments."""
    resume = wants_resume(arguments)
    flags = [word for word in arguments.bare if word.startswith("-")]
    if {"-sc", "--shell-completion"}.intersection(flags):
        raise UserError(f"{flags[0]} of Hydra completes other programs. {COMPLETION}")
    if (chosen := arguments.one("run")) and RERUN not in flags:
        refuse_own_keys(arguments)
        arguments.refuse_bare()
        folder = _existing_run(chosen)
        is_job = folder.read_job().get("number") is not None
        log_to(folder, quiet=is_job and is_launched())  # a rank of a job, not a resumed run
        _train(config_to_continue(folder, arguments.overrides), folder)
    elif is_launched() and rank() > 0:
        import_torch()
        for config, folder in follow():
            log_to(folder)
            _train(config, folder)
    else:
        with _leading() as jobs:
            if RERUN in flags:
                _repeat(arguments, jobs=jobs)
            else:
                _start(arguments, resume=resume, jobs=jobs)


def _existing_run(chosen: str) -> RunFolder:
    """Find the folder of a run that can be trained.

    Raises:
        UserError: If the run does not exist, or is a cross-validation.
    """
    folder = existing_folder(chosen)
    if folder.crossval.exists():
        raise UserError(
            f"run={chosen} is a cross-validation. Continue it with `leyden crossval run={chosen}`, "
            f"or name one of its runs, such as run={chosen}/fold-0."
        )
    return folder


def wants_resume(arguments: Arguments) -> bool:
    """Whether ``resume=auto`` was given.

    Raises:
        UserError: If another value was given.
    """
    resume = arguments.one("resume")
    if resume not in (None, "auto"):
        raise UserError(
            f"resume={resume} is unknown. Expected resume=auto, which continues the newest "
            "unfinished run of this config, or run=RUN to continue a certain one."
        )
    return resume == "auto"


def _leading() -> "AbstractContextManager[Jobs | None]":
    """Publish jobs to the other ranks, if torchrun has started any."""
    if not is_launched():
        return nullcontext()
    import_torch()
    from leyden.ranks.jobs import lead

    return lead()


def _repeat(arguments: Arguments, *, jobs: "Jobs | None") -> None:
    """Repeat a run from the start in a new folder."""
    arguments.bare.remove(RERUN)
    refuse_own_keys(arguments)
    arguments.refuse_bare()
    example = "leyden train run=runs/digits/TIME --rerun"
    source = _existing_run(arguments.required("run", example))
    config = load_config(source, arguments.overrides)
    folder = new_folder(config)
    with removed_if_it_fails(folder):
        log_to(folder)
        overrides = source.read_job().get("overrides", {})
        folder.write_job(overrides | values_of(arguments.overrides))
        log.info("repeating %s", source.path)
        _train(config, folder, jobs=jobs)


def _start(arguments: Arguments, *, resume: bool, jobs: "Jobs | None") -> None:
    """Start a run or a sweep, or continue the newest unfinished run of the same config."""
    run_each = partial(run_job, resume=resume, jobs=jobs)
    composed = compose_one(arguments, run_each, kind="train", resume=resume)
    if composed is None:
        return
    config, source = composed
    if resume and (unfinished := newest_run(config, RUNS, finished=False)):
        log_to(unfinished)
        _train(config, unfinished, jobs=jobs)
    else:
        run_one(config, source, tidily(run_each))


def tidily(run: Run) -> Run:
    """Return a function that runs a job, and removes its folder if nothing was trained in it."""

    def run_tidily(job: Job) -> float | None:
        with removed_if_it_fails(job.folder):
            return run(job)

    return run_tidily


def run_job(job: Job, *, resume: bool = False, jobs: "Jobs | None" = None) -> float | None:
    """Run a job in its folder, or in that of the same run if ``resume`` finds one.

    Args:
        job: What to train, and where.
        resume: Whether an earlier run of the same config takes its place.
        jobs: The jobs of the first rank, see ``start``.

    Returns:
        The best value of the monitored metric.
    """
    config, folder = job.config, job.folder
    sweeping = job.number is not None
    log_to(folder, quiet=sweeping)
    log_choice(job)
    if job.launcher == "joblib":
        join_pool(config)
    if resume and not folder.config.exists() and (earlier := _earlier(job)):
        folder.write_job(job.overrides, number=job.number, run=earlier.path)
        folder = earlier
    elif not claim(folder, config):
        folder.write_job(job.overrides, number=job.number)
    if folder.read_status().get("state") == "finished":
        _report(folder)
        log.info("finished before: %s", folder.path)
        return _monitored(config, folder)
    if folder is not job.folder:
        log.info("continuing %s", folder.path)
        log_to(folder, quiet=sweeping)
    return _train(config, folder, jobs=jobs)


def join_pool(config: Config) -> None:
    """End with the process that started this one, and take a GPU for a job that needs one."""
    if parent_process() is not None:  # joblib starts no process for one job at a time
        die_with_launcher()
    if config.trainer.devices == 1:
        from leyden.ranks.gpus import take_gpu  # imports torch

        take_gpu()


def _earlier(job: Job) -> RunFolder | None:
    """Find the newest run of the same config: one to continue, or in a sweep a finished one."""
    unfinished = newest_run(job.config, RUNS, finished=False)
    if unfinished or job.number is None:
        return unfinished
    return newest_run(job.config, RUNS, finished=True)


def _train(config: Config, folder: RunFolder, *, jobs: "Jobs | None" = None) -> float | None:
    """Train, report the metrics, and return the best value of the monitored one."""
    forget_sources()
    import_torch()
    start(config, folder, jobs=jobs)
    if jobs is not None or not is_launched():
        _report(folder)
    return _monitored(config, folder)


def import_torch() -> None:
    """Import what training needs, as fast as it can be."""
    with importing():
        import leyden.workflows.train  # noqa: F401
    tame_lightning()


def log_to(folder: RunFolder, *, quiet: bool = False) -> None:
    """Log to a run folder, which may come from someone else."""
    folder.refuse_links_and_pipes()
    append_to(folder.log, quiet=quiet)


def log_choice(job: Job) -> None:
    """Log which options were chosen for the data of a job, and why."""
    if job.choice:
        log.info("chosen: %s", job.choice)


def _monitored(config: Config, folder: RunFolder) -> float | None:
    return folder.read_metrics().get(str(config.monitor))


def metrics_table(metrics: Mapping[str, float]) -> str:
    """Format metrics as a table with a row per metric and a column per split.

    >>> print(metrics_table({"train/loss": 0.5, "test/loss": 0.25, "test/f1": 1.0}))
      metric  train   test
      f1              1.0000
      loss    0.5000  0.2500
    """
    from leyden.comparison.table import aligned  # imports numpy
    from leyden.data.rows import SPLITS

    by_name: dict[str, dict[str, str]] = {}
    for key in sorted(metrics):
        split, _, name = key.partition("/")
        by_name.setdefault(name, {})[split] = f"{metrics[key]:.4f}"
    splits = [split for split in SPLITS if any(split in cells for cells in by_name.values())]
    rows = [
        [name, *(cells.get(split, "") for split in splits)]
        for name, cells in sorted(by_name.items())
    ]
    return indent(aligned([["metric", *splits], *rows]), "  ")


def _report(folder: RunFolder) -> None:
    """Log the final metrics of a run and the path of its folder."""
    path = os.path.relpath(folder.path)
    log.info("metrics:\n%s", metrics_table(folder.read_metrics()))
    for warning in folder.read_cleaning_warnings():
        log.warning("cleaning: %s", warning)
    log.info("run folder: %s", path)
    if any(folder.path.glob("events.out.tfevents.*")):
        log.info("look at it: tensorboard --logdir %s", path)
