"""``leyden baselines``: other models than networks, measured on the same rows."""

import logging
import os
from collections.abc import Sequence
from functools import partial

from leyden.cli.arguments import split
from leyden.cli.hydra_jobs import Job, compose_and_check, run_one
from leyden.cli.train import import_torch, log_choice, log_to
from leyden.comparison.results import read_results
from leyden.comparison.table import RANKING, as_text, rank, write_csv
from leyden.config.origins import convert_errors
from leyden.config.shorthands import expand_shorthands
from leyden.errors import UserError
from leyden.runs.provenance import record_command

log = logging.getLogger(__name__)

USAGE = """usage: leyden baselines [folds=K] [repeats=R] [GROUP=OPTION …] [KEY=VALUE …]

Measures models that are not networks on the very same rows, splits and metrics as `leyden train`
with the same words, or with folds=K as `leyden crossval`: the frequencies of the classes (or the
mean), a linear model and, with leyden[baselines], gradient boosting and nearest neighbours. They
learn from pixels, log-mel means and deviations, TF-IDF of words and character n-grams, or columns.

  folds=K     measure on K folds of the training rows instead of the validation and test splits
  repeats=R   divide the rows into folds R times

GROUP, OPTION, KEY and VALUE are those of `leyden train`, which --help of that command lists."""

FOLDER = "hydra.run.dir=runs/${name}/${now:%Y-%m-%d_%H-%M-%S_%f}-baselines"


def run(words: Sequence[str]) -> None:
    """Run the command.

    Raises:
        UserError: If the config or another input is refused.
    """
    record_command(["baselines", *words])
    arguments = split(words, "folds", "repeats")
    arguments.refuse_bare()
    folds = None
    if arguments.one("folds") is not None:
        folds = arguments.integer("folds", default=5, least=2)
    repeats = arguments.integer("repeats", default=1)
    if folds is None and repeats > 1:
        raise UserError(f"repeats={repeats} repeats a division into folds. Give folds=K too.")
    arguments.overrides = expand_shorthands(arguments.overrides)
    with convert_errors(arguments.overrides):
        composed = compose_and_check([FOLDER, *arguments.overrides])
        run_one(*composed, partial(_run_job, folds=folds, repeats=repeats))


def _run_job(job: Job, *, folds: int | None, repeats: int) -> None:
    import_torch()
    from leyden.comparison.baselines.run import run_baselines

    log_to(job.folder)
    log_choice(job)
    run_baselines(job.config, job.folder.path, folds=folds, repeats=repeats)
    rows = rank(read_results(job.folder.path))
    write_csv(rows, job.folder.path / RANKING)
    log.info("baselines:\n%s", as_text(rows))
    log.info("folder: %s", os.path.relpath(job.folder.path))
