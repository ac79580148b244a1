"""``leyden crossval``: train and test on every fold, or continue a cross-validation."""

import logging
import os
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from io import StringIO

from leyden.cli.arguments import MOST, Arguments, split
from leyden.cli.hydra_jobs import Job, run_one
from leyden.cli.sweeps import OWN_KEYS, compose_one, expand_seeds, refuse_own_keys
from leyden.cli.train import import_torch, join_pool, log_choice, log_to, tidily, wants_resume
from leyden.comparison.folds import as_text, write_intervals
from leyden.config.check import check, forget_sources
from leyden.config.compose import Config
from leyden.config.origins import convert_errors
from leyden.config.shorthands import expand_shorthands
from leyden.errors import UserError
from leyden.monitor import out_of_fold
from leyden.ranks.environment import is_launched
from leyden.ranks.signals import stopped_by_signals
from leyden.runs.fixed_keys import claim
from leyden.runs.folder import RUNS, RunFolder, existing_folder, newest_run, read_json, write_json
from leyden.runs.provenance import record_command
from leyden.workflows.start import config_to_continue, start

log = logging.getLogger(__name__)

USAGE = """usage: leyden crossval [folds=5] [repeats=1] [jobs=1] [GROUP=OPTION …] [KEY=VALUE …]
       leyden crossval run=RUN [jobs=1]

Trains a network on all folds of the training rows but one, tests it on that one, and does so for
every fold. Everything that is fitted to the data is fitted again in every fold. The test split is
kept apart: `leyden evaluate run=RUN` measures the ensemble of all networks on it.

  folds=K      folds that the rows are divided into, instead of data.splitter.folds
  repeats=R    divide the rows R times
  jobs=N       train N folds side by side; needs leyden[launchers]
  run=RUN      continue this cross-validation in its own folder; what has finished stays
  resume=auto  continue the newest unfinished cross-validation of this config, or start a new one
  -m           cross-validate every combination of lists of values: KEY=VALUE,VALUE,…, and rank
               them; with seeds=, retries= and dry_run= as in `leyden train`

GROUP, OPTION, KEY and VALUE are those of `leyden train`, which --help of that command lists."""

FOLDER = "hydra.run.dir=runs/${name}/${now:%Y-%m-%d_%H-%M-%S_%f}-crossval"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a cross-validation is besides its config; ``crossval.json`` holds it.

    Attributes:
        folds: Number of folds; ``None`` is that of the splitter.
        repeats: How often the rows are divided.
        jobs: Processes that train side by side.
    """

    folds: int | None = None
    repeats: int = 1
    jobs: int = 1


LEAST = {"folds": 2, "repeats": 1, "jobs": 1}


def run(words: Sequence[str]) -> None:
    """Run the command.

    Raises:
        UserError: If the config or another input is refused.
    """
    if is_launched():
        raise UserError(
            "leyden crossval starts the ranks of each fold itself. Set trainer.devices=N instead "
            "of starting it with torchrun."
        )
    logging.raiseExceptions = False  # see leyden train
    record_command(["crossval", *words])
    arguments = split(words, "run", "resume", *LEAST, *OWN_KEYS)
    expand_seeds(arguments)
    arguments.overrides = expand_shorthands(arguments.overrides)
    with convert_errors(arguments.overrides):
        if chosen := arguments.one("run"):
            _continue(chosen, arguments)
        else:
            _start(arguments)


def _start(arguments: Arguments) -> None:
    """Start a cross-validation or a sweep of them."""
    plan, resume = _plan(arguments, Plan()), wants_resume(arguments)
    run_each = partial(run_job, plan=plan, resume=resume)
    kind = f"crossval folds={plan.folds or 'default'} repeats={plan.repeats}"
    composed = compose_one(arguments, run_each, kind=kind, resume=resume, more=[FOLDER])
    if composed is None:
        return
    config, source = composed
    whole = _config(config, plan)
    if resume and (unfinished := _earlier(whole, plan, finished=False)):
        _crossval(whole, unfinished, plan)
    else:
        run_one(config, source, tidily(run_each))


def _continue(chosen: str, arguments: Arguments) -> None:
    """Continue a cross-validation in its own folder."""
    arguments.refuse_bare()
    refuse_own_keys(arguments)
    folder = existing_folder(chosen)
    if not folder.crossval.is_file():
        raise UserError(
            f"run={chosen} is not a cross-validation: it has no {folder.crossval.name}. Continue a "
            f"run with `leyden train run={chosen}`."
        )
    if arguments.overrides:
        raise UserError(
            f"{arguments.overrides[0]}: a cross-validation is continued with the config that it "
            "has, because folds of several configs cannot be compared. Start a new one with it."
        )
    before = read_plan(folder)
    plan = _plan(arguments, before)
    if (plan.folds, plan.repeats) != (before.folds, before.repeats):
        raise UserError(
            f"{folder.path} has {before.folds} folds and {before.repeats} repeats, which cannot "
            "be changed. Leave folds= and repeats= out, or start a new cross-validation."
        )
    _crossval(_config(config_to_continue(folder), plan), folder, plan)


def _plan(arguments: Arguments, default: Plan) -> Plan:
    """Read the numbers that were given.

    Raises:
        UserError: If a value is not an integer, or is too small.
    """
    return Plan(
        **{
            key: arguments.integer(key, default=getattr(default, key), least=least)
            for key, least in LEAST.items()
        }
    )


def read_plan(folder: RunFolder) -> Plan:
    """Read the plan of a cross-validation.

    Raises:
        UserError: If ``crossval.json`` is damaged.
    """
    content = read_json(folder.crossval, parse_int=float)
    plan = {key: number for key in LEAST if isinstance(number := content.get(key), float)}
    if not all(least <= plan.get(key, 0) <= MOST for key, least in LEAST.items()):
        raise UserError(
            f"{folder.crossval} is damaged. Expected integers for {', '.join(LEAST)}: write it "
            "again, or start a new cross-validation."
        )
    return Plan(**{key: int(number) for key, number in plan.items()})


def run_job(job: Job, *, plan: Plan, resume: bool = False) -> float | None:
    """Cross-validate a job of Hydra's in its folder; return the value that sweepers optimise."""
    sweeping = job.number is not None
    config, folder = _config(job.config, plan), job.folder
    if job.launcher == "joblib":
        join_pool(config)
    earlier = None
    if resume and sweeping and not folder.config.exists():
        earlier = _earlier(config, plan, finished=False) or _earlier(config, plan, finished=True)
    place = None if earlier is None else earlier.path
    if not folder.config.exists():
        folder.write_job(job.overrides, number=job.number, run=place)
    log_to(earlier or folder, quiet=sweeping)
    log_choice(job)
    return _crossval(config, earlier or folder, plan, quiet=sweeping)


def _config(config: Config, plan: Plan) -> Config:
    """Return the checked config of the ensemble."""
    import_torch()
    from leyden.workflows.crossval import ensemble_config

    config = ensemble_config(config, folds=plan.folds, repeats=plan.repeats)
    check(config)
    return config


def _earlier(config: Config, plan: Plan, *, finished: bool) -> RunFolder | None:
    """Find the newest cross-validation of the same config."""
    return newest_run(config, RUNS, finished=finished, repeats=plan.repeats)


def _crossval(
    config: Config, folder: RunFolder, plan: Plan, *, quiet: bool = False
) -> float | None:
    """Start or continue a cross-validation in a folder."""
    import_torch()
    from leyden.workflows.crossval import crossval

    plan = replace(plan, folds=config.data.splitter.folds)
    log_to(folder, quiet=quiet)
    _claim(folder, config, plan)
    if folder.read_status().get("state") == "finished":
        log.info("finished before: %s", folder.path)
    else:
        here = partial(_train_here, log_after=folder, quiet=quiet)
        train_fold = here if plan.jobs == 1 else _train_aside
        with stopped_by_signals():
            crossval(config, folder, repeats=plan.repeats, jobs=plan.jobs, train_fold=train_fold)
    _report(folder)
    return folder.read_metrics().get(out_of_fold(str(config.monitor)))


def _claim(folder: RunFolder, config: Config, plan: Plan) -> None:
    """Write the plan and the config into a folder, unless the same are there.

    Raises:
        UserError: If the folder holds another cross-validation or a run.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    if folder.config.exists():
        if not folder.crossval.exists():
            raise UserError(
                f"{folder.path} holds a run that is not a cross-validation. Expected a new folder."
            )
        if (repeats := read_plan(folder).repeats) != plan.repeats:
            raise UserError(
                f"{folder.path} holds a cross-validation of {repeats} repeats, not "
                f"{plan.repeats}. Expected a new folder, or repeats={repeats}."
            )
        claim(folder, config)  # raises for another config before its plan is overwritten
    write_json(folder.crossval, vars(plan))
    claim(folder, config)


def _train_here(config: Config, folder: RunFolder, *, log_after: RunFolder, quiet: bool) -> None:
    """Train a fold in this process; it logs into its own folder."""
    log_to(folder, quiet=quiet)
    try:
        forget_sources()
        start(config, folder)
    finally:
        log_to(log_after, quiet=quiet)


def _train_aside(config: Config, folder: RunFolder) -> None:
    """Train a fold in a process of joblib's, silently; it ends with the process that started it."""
    join_pool(config)
    import_torch()
    nowhere = StringIO()
    with redirect_stdout(nowhere), redirect_stderr(nowhere):
        log_to(folder)
        forget_sources()
        start(config, folder)


def _report(folder: RunFolder) -> None:
    """Write what follows from the folds, and log it and where the folder is."""
    from leyden.comparison.out_of_fold import holds_classes, mark_label_errors

    shown = as_text(write_intervals(folder))
    log.info("means over all folds; test is the fold that was left out:\n%s", shown)
    if holds_classes(folder.predictions):
        count, file = mark_label_errors(folder.predictions), folder.predictions.name
        log.info("%d labels are probably wrong: column suggested_class of %s", count, file)
    log.info("run folder: %s", os.path.relpath(folder.path))
