"""``leyden train``: start a run, continue one, or sweep."""

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from leyden.cli.arguments import Arguments, split
from leyden.cli.logs import append_to, tame_lightning
from leyden.cli.startup import importing
from leyden.cli.train_help import help_text
from leyden.config.check import check, check_paths, forget_sources
from leyden.config.compose import CONF, ROOT_CONFIG, Config, compose, freeze, load, without_hydra
from leyden.config.origins import composed_origin, frozen_origin, is_chosen, worded
from leyden.config.shorthands import written_out
from leyden.errors import UserError
from leyden.ranks.environment import (
    die_with_launcher,
    errors_recorded,
    is_handed_over,
    is_launched,
    rank,
)
from leyden.runs.fixed_keys import claim, refuse_lost_changes
from leyden.runs.folder import RunFolder, existing_folder, new_folder, newest_run
from leyden.runs.provenance import record_command, record_provenance

if TYPE_CHECKING:
    from leyden.workflows.follow import Jobs

log = logging.getLogger(__name__)

RUNS = Path("runs")

RERUN = "--rerun"

COMPLETION = 'Run this line in the shell instead: eval "$(leyden completion bash)", or zsh or fish.'

SHAPING = ("network", "+network", "~network", "task", "loss")
"""Beginnings of overrides that may change the weights that a run has."""


def run(words: Sequence[str]) -> None:
    """Run the command.

    Raises:
        UserError: the config or another input is at fault.
    """
    # A run outlives its terminal: what can't be printed stands in the file.
    logging.raiseExceptions = False
    if is_launched():
        die_with_launcher()
    record_command(["train", *words])
    arguments = split(words, "run", "resume")
    arguments.overrides = written_out(arguments.overrides)
    with worded(arguments.overrides):
        if {"-h", "--help"} & set(words):
            # A sweep's lists of values make no config.
            sweeps = {"-m", "--multirun"} & set(words)
            print(help_text([] if sweeps else arguments.overrides))
        else:
            _start(arguments)


def _start(arguments: Arguments) -> None:
    """Find out what is wanted, and do it."""
    resume = _wants_resume(arguments)
    flags = [word for word in arguments.bare if word.startswith("-")]
    if {"-sc", "--shell-completion"}.intersection(flags):
        raise UserError(f"{flags[0]} of Hydra completes other programs. {COMPLETION}")
    if (chosen := arguments.one("run")) and RERUN not in flags:
        arguments.refuse_bare()
        _continue_run(existing_folder(chosen), arguments.overrides)
        return
    if is_launched() and rank() > 0:
        _follow()
        return
    rest = [*arguments.bare, *arguments.overrides]
    with _leading() as jobs:
        if RERUN in flags:
            _rerun(arguments, jobs=jobs)
            return
        sys.argv = ["leyden train", *rest]  # which Hydra reads
        if flags:
            _hand_over(resume=resume, jobs=jobs)
            return
        frozen, mode = _composed(rest)
        if resume and (unfinished := newest_run(frozen, RUNS, finished=False)):
            _continue(frozen, unfinished, jobs=jobs)
        elif mode == RunMode.MULTIRUN:
            _hand_over(resume=resume, jobs=jobs)
        else:
            _run_one(rest, jobs=jobs)


@contextmanager
def _leading() -> Iterator["Jobs | None"]:
    """Hand jobs to the other ranks that torchrun has started, if it has."""
    if not is_launched():
        yield None
        return
    with importing():
        from leyden.workflows.follow import connect

    jobs = connect()
    try:
        yield jobs
    finally:
        jobs.end()


def _follow() -> None:
    """Run the jobs that the first rank composes."""
    with importing():
        from leyden.workflows.follow import connect

    for config, folder in connect():
        _enter(folder)
        _train(config, folder)


def _wants_resume(arguments: Arguments) -> bool:
    resume = arguments.one("resume")
    if resume not in (None, "auto"):
        raise UserError(
            f"resume={resume} is unknown. Expected resume=auto, which continues the newest "
            "unfinished run of this config, or run=RUN to continue a certain one."
        )
    return resume == "auto"


def _composed(overrides: Sequence[str]) -> tuple[Config, RunMode | None]:
    """Compose and check a config before any folder is made; give the mode that it asks for too."""
    composed = compose(overrides, with_hydra=True)
    frozen = freeze(without_hydra(composed))
    _check_composed(frozen, overrides, composed.hydra.runtime.choices)
    return frozen, composed.hydra.mode


def _check_composed(
    config: Config, overrides: Sequence[str], choices: Mapping[str, str | None]
) -> None:
    origin = partial(composed_origin, overrides=overrides, choices=choices)
    check(config, origin=origin)
    check_paths(config, origin=origin)


def _run_one(overrides: Sequence[str], *, jobs: "Jobs | None") -> None:
    """Let Hydra make the folder of a run, and run it.

    Hydra's own entry composes once more, to learn that this is no sweep.
    """
    settings = {"config_dir": str(CONF), "job_name": "train", "version_base": "1.3"}
    with _errors_are_raised() as refused, initialize_config_dir(**settings):
        composing = GlobalHydra.instance().hydra
        assert composing is not None
        composing.run(
            config_name=ROOT_CONFIG,
            task_function=partial(_job, refused=refused, jobs=jobs, is_checked=True),
            overrides=[*overrides, "hydra.mode=RUN"],
        )


def _hand_over(*, resume: bool, jobs: "Jobs | None") -> None:
    """Hand over to Hydra, which makes the folder of every run of a sweep, or shows the config.

    It reads the words of the command by itself.
    """
    with _errors_are_raised() as refused:
        hydra.main(config_path=str(CONF), config_name=ROOT_CONFIG, version_base="1.3")(
            partial(_job, refused=refused, resume=resume, jobs=jobs)
        )()


def _job(config: Config, *, refused: list[UserError], **options: Any) -> float | None:
    """Run one job of Hydra's.

    Args:
        config: The composed config.
        refused: Gets what the job refuses, of which Hydra would print a line of its own. A job in
            another process raises it.
        options: Those of ``_run_job``.

    Returns:
        The best value of the monitored metric, for sweepers that optimise it.
    """
    try:
        return _run_job(config, **options)
    except UserError as error:
        if HydraConfig.get().runtime.choices["hydra/launcher"] != "basic":
            raise
        refused.append(error)
        return None


def _run_job(
    config: Config, *, jobs: "Jobs | None", resume: bool = False, is_checked: bool = False
) -> float | None:
    settings = HydraConfig.get()
    frozen = freeze(config)
    overrides, choices = settings.overrides.task, settings.runtime.choices
    if not is_checked:
        _check_composed(frozen, overrides, choices)
    folder = RunFolder(Path(settings.runtime.output_dir))
    _enter(folder)
    if choices["hydra/launcher"] == "joblib" and frozen.trainer.devices == 1:
        from leyden.ranks.gpus import take_gpu  # imports torch

        take_gpu()
    sweeping = settings.mode == RunMode.MULTIRUN
    if sweeping:
        log.info("job %s: %s", settings.job.num, " ".join(overrides))
    if resume and (unfinished := newest_run(frozen, RUNS, finished=False)):
        log.info("continuing %s", unfinished.path)
        return _continue(frozen, unfinished, jobs=jobs)
    if resume and sweeping and (finished := newest_run(frozen, RUNS, finished=True)):
        return _finished_before(frozen, finished)
    if claim(folder, frozen) and folder.read_status().get("state") == "finished":
        _report(folder)
        return _finished_before(frozen, folder)
    return _train(frozen, folder, jobs=jobs)


def _enter(folder: RunFolder) -> None:
    """Log into a folder, which may be a stranger's."""
    folder.refuse_strangers_files()
    append_to(folder.log)


def _finished_before(config: Config, folder: RunFolder) -> float | None:
    log.info("finished before: %s", folder.path)
    return _monitored(config, folder)


def _continue(config: Config, folder: RunFolder, *, jobs: "Jobs | None") -> float | None:
    """Continue a run by the config of this command, which is the run's as well."""
    _enter(folder)
    return _train(config, folder, jobs=jobs)


def _continue_run(folder: RunFolder, overrides: Sequence[str]) -> None:
    """Continue a run by the config in its folder."""
    _enter(folder)
    frozen = _loaded(folder, overrides)
    check_paths(frozen, origin=partial(frozen_origin, overrides=overrides, path=folder.config))
    if overrides:
        _refuse_what_has_no_effect(folder, frozen, overrides)
    _train(frozen, folder)


def _loaded(folder: RunFolder, overrides: Sequence[str]) -> Config:
    """Read and check the config of a run, which may have come from a stranger with its folder."""
    own = is_handed_over(folder.config)
    frozen = load(folder.config, overrides, own=own)
    origin = partial(frozen_origin, overrides=overrides, path=folder.config)
    if own:
        check(frozen, origin=origin)
    else:
        check(frozen, origin=origin, is_chosen=partial(is_chosen, overrides=overrides))
    return frozen


def _refuse_what_has_no_effect(folder: RunFolder, config: Config, overrides: Sequence[str]) -> None:
    """Refuse changes that the checkpoint would win over, or that its weights do not fit."""
    refuse_lost_changes(folder, config, overrides)
    if folder.last.exists() and any(word.startswith(SHAPING) for word in overrides):
        from leyden.workflows.finished import load_run  # imports torch

        load_run(str(folder.last), overrides)


def _rerun(arguments: Arguments, *, jobs: "Jobs | None") -> None:
    """Repeat a run from its beginning, in a folder of its own."""
    arguments.bare.remove(RERUN)
    arguments.refuse_bare()
    source = existing_folder(arguments.required("run", "leyden train run=runs/digits/TIME --rerun"))
    frozen = _loaded(source, arguments.overrides)
    folder = new_folder(frozen, RUNS)
    _enter(folder)
    log.info("repeating %s", source.path)
    _train(frozen, folder, jobs=jobs)


def _train(config: Config, folder: RunFolder, *, jobs: "Jobs | None" = None) -> float | None:
    forget_sources()
    with importing():
        from leyden.workflows.launch import launch, processes
        from leyden.workflows.train import train

    tame_lightning()
    if rank() == 0:
        record_provenance(folder)
    if jobs is not None:
        jobs.publish(config, folder)
    if (count := processes(config)) > 1:
        launch(config, folder, count)
    elif is_launched():
        with errors_recorded(folder.path):
            train(config, folder)
    else:
        train(config, folder)
    if jobs is not None or not is_launched():
        _report(folder)
    return _monitored(config, folder)


def _monitored(config: Config, folder: RunFolder) -> float | None:
    return folder.read_metrics().get(str(config.monitor))


def _report(folder: RunFolder) -> None:
    metrics = folder.read_metrics()
    shown = "\n".join(f"  {name:<16} {metrics[name]:.4f}" for name in sorted(metrics))
    path = os.path.relpath(folder.path)
    log.info("metrics:\n%s", shown)
    for warning in folder.read_cleaning_warnings():
        log.warning("cleaning: %s", warning)
    log.info("run folder: %s", path)
    if any(folder.path.glob("events.out.tfevents.*")):
        log.info("look at it: tensorboard --logdir %s", path)


@contextmanager
def _errors_are_raised() -> Iterator[list[UserError]]:
    """Keep Hydra from printing an error and exiting with 1.

    Raises:
        UserError: Jobs have left some in the list; the first one.
    """
    refused: list[UserError] = []
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield refused
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before
    if refused:
        raise refused[0]
