"""``leyden report path=SWEEP``: what the results in a folder say, in the terminal and as a page."""

from collections.abc import Sequence
from pathlib import Path

from leyden.cli import crossval, train
from leyden.cli.arguments import split
from leyden.cli.hydra_jobs import Job, compose_and_check
from leyden.comparison.report.confirmation import (
    DEFAULT,
    best_name,
    new_seeds,
    read_confirmation,
    run_folder,
)
from leyden.comparison.report.page import PAGE, report, write_ranking
from leyden.comparison.report.pair import pair_file, report_pair
from leyden.comparison.report.study import Study, default_overrides, read_study, relative
from leyden.config.compose import Config, from_plain, to_plain
from leyden.errors import UserError, near
from leyden.printable import printable
from leyden.runs.folder import RunFolder
from leyden.runs.provenance import record_command
from leyden.workflows.start import load_config

USAGE = """usage: leyden report path=FOLDER [confirm=N]
       leyden report path=RUN,RUN

Ranks the jobs of a sweep, or reports on a run or a cross-validation, and says which differences are
noise. Prints the ranking, and writes report.html, which needs no network, into the folder; for a
sweep ranking.csv too. Baselines of the same data in a folder beside it, as `leyden baselines`
leaves them, are ranked too. Two runs, or two cross-validations, are compared.

  confirm=N    train the best config of a sweep and the default one with N new seeds first, because
               the best was chosen by its values; give it again to continue"""


def run(words: Sequence[str]) -> None:
    """Run the command.

    Raises:
        UserError: If an argument is not understood, or a folder holds no results.
    """
    arguments = split(words, "path", "confirm")
    arguments.refuse_bare()
    if arguments.overrides:
        raise UserError(
            f"{arguments.overrides[0]} is not understood. Expected for example: leyden report "
            "path=runs/digits/TIME-sweep confirm=5"
        )
    given = arguments.required("path", "leyden report path=runs/digits/TIME-sweep")
    studies = [read_study(path) for path in _paths(given)]
    count = arguments.integer("confirm", default=0)
    if len(studies) == 2:
        _report_pair(*studies, count=count)
    else:
        _report(studies[0], count=count)


def _paths(given: str) -> Sequence[Path]:
    """Return one or two folders; names of jobs have commas of their own.

    Raises:
        UserError: If a folder does not exist.
    """
    parts = given.split(",")
    cuts = [(",".join(parts[:k]), ",".join(parts[k:])) for k in range(1, len(parts))]
    for names in ((given,), *cuts):
        paths = [Path(name).expanduser() for name in names]
        if all(path.is_dir() for path in paths):
            return paths
    path = next(path for name in parts if not (path := Path(name).expanduser()).is_dir())
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    raise UserError(
        f"path={path} is not a folder. Expected that of a sweep, a run or a cross-validation, or "
        f"two of runs with a comma between.{near(path.name, (each.name for each in beside))}"
    )


def _report(study: Study, *, count: int) -> None:
    if count:
        record_command(["report", f"path={study.path}", f"confirm={count}"])
        _confirm(study, count)
    found = report(study, read_confirmation(study))
    file = study.path / PAGE
    found.write(file)
    print(printable(found.text))
    if study.kind == "sweep":
        print(f"ranking: {relative(write_ranking(study))}")
    print(f"report: {relative(file)}")


def _report_pair(first: Study, second: Study, *, count: int) -> None:
    if count:
        raise UserError("confirm= is for one sweep. Leave it out.")
    found = report_pair(first, second)
    file = pair_file(first, second)
    found.write(file)
    print(printable(found.text))
    print(f"report: {relative(file)}")


def _confirm(study: Study, count: int) -> None:
    """Train the best config of a sweep and the default one with new seeds; what is done stays.

    Raises:
        UserError: If no config was measured, or a config is refused.
    """
    if study.kind != "sweep" or study.best is None:
        raise UserError(
            f"confirm={count} trains the best job of a sweep again, but {study.path} holds none "
            "that was measured. Leave it out."
        )
    best = RunFolder(study.best.results[0].path)
    configs = {best_name(study): load_config(best), DEFAULT: _default_config(study)}
    jobs = [
        Job(
            config=from_plain(to_plain(config) | {"seed": seed}, own=True),
            folder=RunFolder(run_folder(study, name, seed)),
            overrides={"seed": seed},
            launcher="basic",
            number=number,
        )
        for number, seed in enumerate(new_seeds(study, count))
        for name, config in configs.items()
    ]
    for place, job in enumerate(jobs, 1):
        job.folder.path.mkdir(parents=True, exist_ok=True)
        value = _run_again(job, like=best)
        shown = "no value" if value is None else f"{value:.4g}"
        print(f"[{place}/{len(jobs)}] {job.folder.path.name}: {shown}", flush=True)


def _default_config(study: Study) -> Config:
    """Compose the config that the command of a sweep has without the sweep.

    Raises:
        UserError: If the command is unknown, or refused.
    """
    overrides = default_overrides(study)
    if overrides is None:
        raise UserError(
            f"No job of {study.path} has recorded the command of the sweep, so its default config "
            "is unknown. Leave confirm= out."
        )
    config, _ = compose_and_check(overrides)
    return config


def _run_again(job: Job, *, like: RunFolder) -> float | None:
    """Train a job as the command of the sweep did, once or on folds."""
    if like.crossval.is_file():
        return crossval.run_job(job, plan=crossval.read_plan(like))
    return train.run_job(job)
