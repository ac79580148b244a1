"""Sweeps: one job per combination of values, for ``-m`` of ``leyden train`` and others."""

import hashlib
import json
import logging
import math
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from threading import Event, Thread
from typing import Any

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf

from leyden.cli.arguments import Arguments
from leyden.cli.hydra_jobs import (
    Job,
    Run,
    compose_and_check,
    current_job,
    current_place,
    is_multirun,
    job_folder,
    parse,
    run_hydra,
    run_sweep,
)
from leyden.comparison.results import SWEEP, Result, read_result, read_results
from leyden.comparison.table import RANKING, as_text, as_word, rank, write_csv
from leyden.config.check import LARGEST_SEED
from leyden.config.compose import (
    Config,
    choose_for,
    compose,
    to_plain,
    without_hydra,
    without_places,
)
from leyden.config.shorthands import quote
from leyden.errors import UserError, describe, first_line
from leyden.printable import printable
from leyden.ranks.signals import stopped_by_signals
from leyden.runs.folder import RUNS, RunFolder, read_json, write_json

log = logging.getLogger(__name__)

OWN_KEYS = ("seeds", "retries", "dry_run")
"""Keys of commands that sweep; none of them is a key of the config."""

FLAGS = {"-m", "--multirun"}

HEARD = ("basic", "joblib")
"""Launchers whose jobs print on the terminal of the command."""

POLL_INTERVAL = 1.0
"""Seconds between two looks at jobs that print elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a command sweeps over.

    Attributes:
        words: The overrides of the command.
        shared: Keys and groups of the overrides that all jobs have.
        jobs: Overrides of each job; ``None`` if the sweeper chooses values as it goes.
        folder: The sweep's folder.
        launcher: Option of ``hydra/launcher`` that starts the jobs.
        identity: What has to be equal for a sweep to be the same one.
    """

    words: Sequence[str]
    shared: Sequence[str]
    jobs: Sequence[Sequence[str]] | None
    folder: Path
    launcher: str
    identity: Mapping[str, Any]


def is_sweep(arguments: Arguments) -> bool:
    """Whether a command asks for a sweep by a flag, after ``expand_seeds``."""
    return bool(FLAGS.intersection(arguments.bare))


def expand_seeds(arguments: Arguments) -> None:
    """Write ``seeds=3`` out as ``-m seed=s,s+1,s+2``, where ``s`` is the given seed or 0.

    Raises:
        UserError: If ``seeds`` is not a positive integer, or the given seed is a list.
    """
    if arguments.one("seeds") is None:
        return
    count = arguments.integer("seeds", default=1)
    given = [word for word in arguments.overrides if word.lstrip("+").startswith("seed=")]
    first = given[-1].partition("=")[2] if given else "0"
    if not first.isdecimal() or len(first) > len(str(LARGEST_SEED)):
        raise UserError(
            f"{given[-1]} and seeds={count} both choose the seeds. Expected the first seed, such "
            f"as seed=0 seeds={count}, or a list alone: -m {given[-1]}."
        )
    seeds = range(int(first), int(first) + count)
    kept = [word for word in arguments.overrides if word not in given]
    arguments.overrides = [*kept, f"seed={','.join(map(str, seeds))}"]
    if not is_sweep(arguments):
        arguments.bare.insert(0, "-m")


def refuse_own_keys(arguments: Arguments) -> None:
    """Raise if a command that does not sweep has one of ``OWN_KEYS``.

    Raises:
        UserError: If the command has such a key.
    """
    for key in OWN_KEYS:
        if arguments.one(key) is not None:
            raise UserError(
                f"{key}={arguments.one(key)} is for sweeps, which start new runs. Expected lists "
                f"of values beside it, such as: leyden train -m optimizer.lr=0.01,0.001 {key}="
                f"{arguments.one(key)}."
            )


def compose_one(
    arguments: Arguments, run: Run, *, kind: str, resume: bool, more: Sequence[str] = ()
) -> tuple[Config, Config] | None:
    """Compose the config of a command that runs one job; run what runs none or several.

    Args:
        arguments: The words of the command, after ``expand_seeds``.
        run: Runs one job.
        kind: The command with those of its own keys that change what a job does.
        resume: Whether a sweep continues an earlier one.
        more: Overrides before those of the command, unless it sweeps.

    Returns:
        The result of ``compose_and_check``; ``None`` after a sweep, or after what a flag of
        Hydra's such as ``--cfg`` asked for.

    Raises:
        UserError: If the config or a sweep is refused, or ``OWN_KEYS`` are given for one job.
    """
    if is_sweep(arguments):
        sweep(arguments, run, kind=kind, resume=resume)
        return None
    words = [*arguments.bare, *more, *arguments.overrides]
    if any(word.startswith("-") for word in arguments.bare):
        refuse_own_keys(arguments)
        chosen = choose_for([*more, *arguments.overrides]).words
        # Hydra reads these.
        sys.argv = ["leyden", *arguments.bare, *chosen, *more, *arguments.overrides]
        run_hydra(run)
        return None
    config, source = compose_and_check(words)
    if is_multirun(source):  # as an experiment may ask for
        sweep(arguments, run, kind=kind, resume=resume)
        return None
    refuse_own_keys(arguments)
    return config, source


def sweep(arguments: Arguments, run: Run, *, kind: str, resume: bool) -> None:
    """Run a job for each combination of values, then print and write their ranking.

    Args:
        arguments: The words of the command, with its own keys among ``OWN_KEYS``.
        run: Runs one job; it is pickled where a launcher starts processes.
        kind: The command with those of its own keys that change what a job does.
        resume: Whether to continue the newest sweep over the same values with the same config.

    Raises:
        UserError: If the sweep is refused, or some of its jobs failed.
    """
    if other := [word for word in arguments.bare if word not in FLAGS]:
        raise UserError(f"{other[0]} cannot be combined with -m or seeds=. Leave out either.")
    retries = arguments.integer("retries", default=0, least=0)
    is_dry = _flag(arguments, "dry_run")
    found = _plan(arguments.overrides, kind=kind, resume=resume)
    _refuse_if_every_job_is(found.jobs or ())
    if is_dry:
        _print_jobs(found)
        return
    _claim(found)
    count = None if found.jobs is None else len(found.jobs)
    print(f"sweep folder: {os.path.relpath(found.folder)}", flush=True)
    with stopped_by_signals(), _watched(found, count):
        task = partial(_run_job, run=run, retries=retries, count=count)
        run_sweep(_words_for_hydra(found), task)
    _finish(found.folder, count)


def _plan(words: Sequence[str], *, kind: str, resume: bool) -> Sweep:
    """Compose what all jobs share, and list the jobs."""
    given = {each.key_or_group: each for each in parse(words)}  # the last value counts
    shared = [each for each in given.values() if not each.is_sweep_override()]
    source = compose([str(each.input_line) for each in shared], with_hydra=True)
    sweeper = source.hydra.sweeper
    params = parse([f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()])
    varied = [*params, *(each for each in given.values() if not each.is_hydra_override())]
    jobs = None
    if sweeper.get("_target_") == BasicSweeperConf._target_:
        (jobs,) = BasicSweeper.split_arguments(varied, None)
    swept = {
        each.key_or_group: str(each.input_line).partition("=")[2]
        for each in varied
        if each.is_sweep_override()
    }
    identity = {
        "kind": kind,
        "swept": swept,
        "defaults": _defaults(source, swept),
        "config": _digest(without_hydra(source)),
    }
    earlier = None
    if resume and jobs is not None and "hydra.sweep.dir" not in given:
        earlier = _newest(str(source.name), identity)
    return Sweep(
        words=words,
        shared=[each.key_or_group for each in shared],
        jobs=jobs,
        folder=earlier or Path(source.hydra.sweep.dir),
        launcher=source.hydra.runtime.choices["hydra/launcher"],
        identity=identity,
    )


def _defaults(source: Config, swept: Iterable[str]) -> dict[str, Any]:
    """Return the option of each group, and the value of each key, without the sweep."""
    plain, choices = to_plain(without_hydra(source)), source.hydra.runtime.choices

    def find(node: Any, name: str) -> Any:
        return node.get(name) if isinstance(node, Mapping) else None

    return {
        key: choices[key] if key in choices else reduce(find, key.split("."), plain)
        for key in swept
    }


def _refuse_if_every_job_is(jobs: Sequence[Sequence[str]]) -> None:
    """Raise before anything is written if no job has a config that is accepted.

    Raises:
        UserError: If the config of every job is refused; the message is that of the first.
    """
    refused = []
    for words in jobs:
        try:
            compose_and_check(words)
        except UserError as error:
            refused.append(error)
        else:
            return
    if refused:
        raise refused[0]


def _digest(config: Config) -> str:
    """Return a hash of a config, without where caches are and downloads come from."""
    plain = without_places(to_plain(config))
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def _newest(name: str, identity: Mapping[str, Any]) -> Path | None:
    """Find the newest sweep of an identity."""
    files = sorted((RUNS / name).glob(f"**/{SWEEP}"), reverse=True)
    return next((file.parent for file in files if read_json(file) == identity), None)


def _claim(sweep: Sweep) -> None:
    """Write what a sweep is into its folder.

    Raises:
        UserError: If the folder holds another sweep.
    """
    file = sweep.folder / SWEEP
    there = read_json(file)
    if there and there != sweep.identity:
        changes = (
            f"{key} is {there.get(key)} there, {value} here"
            for key, value in sweep.identity.items()
            if there.get(key) != value
        )
        raise UserError(
            f"{sweep.folder} holds another sweep: {'; '.join(changes)}. Expected a folder for each "
            "sweep: give another hydra.sweep.dir, or leave it out."
        )
    sweep.folder.mkdir(parents=True, exist_ok=True)
    write_json(file, sweep.identity)


def _words_for_hydra(sweep: Sweep) -> list[str]:
    """Return the overrides, with the folder and with what is left out of the names of jobs."""
    return [
        *sweep.words,
        f"hydra.sweep.dir={quote(str(sweep.folder))}",
        f"hydra.job.config.override_dirname.exclude_keys=[{','.join(sweep.shared)}]",
    ]


@contextmanager
def _watched(sweep: Sweep, count: int | None) -> Iterator[None]:
    """Print a line about each job that ends, if the jobs print elsewhere."""
    if sweep.launcher in HEARD:
        yield
        return
    end = Event()
    watch = Thread(target=_watch, args=(sweep.folder, count, end), daemon=True)
    watch.start()
    try:
        yield
    finally:
        end.set()
        watch.join()


def _watch(folder: Path, count: int | None, end: Event) -> None:
    reported = _read_states(folder)
    is_over = False
    while not is_over:
        is_over = end.wait(POLL_INTERVAL)
        states = _read_states(folder)
        for job in sorted(job for job in states if states[job] != reported.get(job)):
            if states[job] != "running":
                _report_result(read_result(job), count)
        reported = states


def _read_states(folder: Path) -> dict[Path, str]:
    files = folder.glob("*/status.json")
    return {file.parent: str(read_json(file).get("state")) for file in files}


def _report_result(result: Result, count: int | None) -> None:
    value = "no value" if result.value is None else f"{result.monitor} {result.value:.4g}"
    what = value if result.error is None else f"failed: {result.error.splitlines()[0]}"
    _report(_label(result.number, result.overrides, count), f"{what}, {result.seconds:.1f} s")


def _label(number: int | None, overrides: Mapping[str, Any], count: int | None) -> str:
    words = " ".join(f"{key}={as_word(value)}" for key, value in overrides.items())
    return f"[{(number or 0) + 1}/{count or '?'}] {words}"


def _report(label: str, what: str) -> None:
    print(printable(f"{label}: {what}"), flush=True)


def _print_jobs(sweep: Sweep) -> None:
    """Print the folder of every job, and their number.

    Raises:
        UserError: If the sweeper chooses values as it goes.
    """
    if sweep.jobs is None:
        raise UserError(
            "dry_run=true lists the jobs of a sweep over given values, but this sweeper chooses "
            "values as it goes. Expected hydra/sweeper=basic, or no dry_run."
        )
    for number, words in enumerate(sweep.jobs):
        name = get_overrides_dirname(parse(words), list(sweep.shared), item_sep=",", kv_sep="=")
        own = [word for word in words if parse([word])[0].key_or_group not in sweep.shared]
        print(printable(f"{job_folder(number, name)}  {' '.join(own)}"))
    print(f"{len(sweep.jobs)} jobs")


def _run_job(source: Config, *, run: Run, retries: int, count: int | None) -> float | None:
    """Run one job, and print a line about it; an error is recorded, and ends this job alone."""
    folder, overrides, number = current_place()
    if not folder.job.exists():
        folder.write_job(overrides, number=number)
    label, start = _label(number, overrides, count), time.monotonic()

    def report(what: str) -> None:
        _report(label, f"{what}, {time.monotonic() - start:.1f} s")

    try:
        value = _attempt(current_job(source), run, retries=retries, report=report)
    except Exception as error:  # the other jobs go on
        report(f"failed: {first_line(error)}")
        if not _record_failure(folder, error, number=number):
            raise
        return math.nan
    monitor = read_result(folder.path).monitor
    report("no value" if value is None else f"{monitor} {value:.4g}")
    return value


def _attempt(job: Job, run: Run, *, retries: int, report: Callable[[str], None]) -> float | None:
    """Run a job, again from its last checkpoint if it fails."""
    for left in range(retries, 0, -1):
        try:
            return run(job)
        except Exception as error:  # noqa: BLE001  # it is tried again
            report(f"failed, {left} of {retries} retries left: {first_line(error)}")
            _record_failure(job.folder, error, number=job.number)
    return run(job)


def _record_failure(folder: RunFolder, error: Exception, *, number: int | None) -> bool:
    """Record a failure in the folder of a job, and return whether the run in it is the job's.

    It is not if two jobs were given one folder, or if another process trains there.
    """
    if not isinstance(error, UserError):
        log.error("job failed", exc_info=error)
    is_own = folder.read_job().get("number") == number
    if not is_own or folder.read_status().get("state") == "finished":
        return False
    try:
        with folder.held():
            folder.write_status("failed", error=describe(error))
    except UserError:
        return False
    return True


def _finish(folder: Path, count: int | None) -> None:
    """Print and write the ranking of a sweep.

    Raises:
        UserError: If some jobs failed.
    """
    results = read_results(folder)
    rows = rank(results)
    write_csv(rows, folder / RANKING)
    place = os.path.relpath(folder)
    print(f"\n{printable(as_text(rows))}\n\nranking: {place}/{RANKING}")
    print(f"what is noise, in one page: leyden report path={shlex.quote(place)}")
    finished = [each for each in results if each.is_finished]
    if len(finished) < (count or len(results)):
        raise UserError(
            f"{(count or len(results)) - len(finished)} of {count or len(results)} jobs did not "
            f"finish{_first_fault(results)}. Fix the cause, and give the same command with "
            "resume=auto: jobs that finished are not run again."
        )


def _first_fault(results: Sequence[Result]) -> str:
    """Return the name and the error of the first job that failed."""
    failed = (f"; {each.name}: {each.error}".rstrip(".") for each in results if each.error)
    return next(failed, "")


def _flag(arguments: Arguments, key: str) -> bool:
    word = (arguments.one(key) or "false").lower()
    if word not in ("true", "false"):
        raise UserError(f"{key}={word} is refused. Expected {key}=true.")
    return word == "true"
