"""Hydra in ``leyden train``: composes the config of each job and creates its folder."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hydra import main
from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import run_job
from hydra.types import HydraContext, RunMode
from omegaconf import OmegaConf

from leyden.config.check import check, check_paths, check_targets
from leyden.config.choosing import REASON
from leyden.config.compose import Config, compose, config_dir, freeze, hydra_started, without_hydra
from leyden.config.options import ROOT_CONFIG
from leyden.config.origins import composed_origin
from leyden.errors import UserError
from leyden.runs.folder import RunFolder

LONGEST_FOLDER = 120
"""Maximum bytes of the name of a job's folder."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run, as Hydra has prepared it.

    Attributes:
        config: The run's config, frozen and checked.
        folder: The run's folder, which exists.
        overrides: Values by key or group that the sweep gave to this job; outside a sweep, those
            of the command.
        launcher: Option of ``hydra/launcher`` that started the job.
        number: Index of the job in its sweep; ``None`` outside a sweep.
        choice: Options that were chosen for its data, and why; an empty string if none were.
    """

    config: Config
    folder: RunFolder
    overrides: Mapping[str, Any]
    launcher: str
    number: int | None
    choice: str = ""


Run = Callable[[Job], float | None]
"""Function that runs a job, and returns the monitored value for sweepers that optimise it."""


def compose_and_check(overrides: Sequence[str]) -> tuple[Config, Config]:
    """Compose and check a config before any folder is created.

    Returns:
        The run's config, frozen and checked, and the config as Hydra composed it, with its own
        node.

    Raises:
        UserError: If the config is refused.
    """
    source = compose(overrides, with_hydra=True)
    config = freeze(without_hydra(source))
    _check(config, overrides)
    return config, source


def is_multirun(source: Config) -> bool:
    """Whether a config that Hydra composed asks for a sweep."""
    return bool(source.hydra.mode == RunMode.MULTIRUN)


def run_one(config: Config, source: Config, run: Run) -> None:
    """Let Hydra create the folder of a single run, and run it.

    This is ``Hydra.run`` without composing the config again; see ``compose_and_check``.
    """
    source.hydra.mode = RunMode.RUN
    with _errors_raised() as refused, hydra_started() as hydra:
        callbacks = Callbacks(source)
        callbacks.on_run_start(config=source, config_name=ROOT_CONFIG)
        done = run_job(
            partial(_run_job, run=run, refused=refused, config=config),
            source,
            job_dir_key="hydra.run.dir",
            job_subdir_key=None,
            hydra_context=HydraContext(hydra.config_loader, callbacks),
        )
        callbacks.on_run_end(config=source, config_name=ROOT_CONFIG, job_return=done)
        _ = done.return_value  # raises the error of a failed job


def run_hydra(run: Run) -> None:
    """Run Hydra's own command line on ``sys.argv``, as for ``--cfg`` and its other flags."""
    with _errors_raised() as refused:
        task = partial(_run_job, run=run, refused=refused)
        main(config_path=config_dir(), config_name=ROOT_CONFIG, version_base="1.3")(task)()


def run_sweep(overrides: Sequence[str], task: Callable[[Config], float | None]) -> None:
    """Run Hydra's sweeper.

    Args:
        overrides: Overrides, some of them with several values.
        task: Runs one job, given its config as composed. If it raises, the other jobs of its batch
            run before the sweep ends.
    """
    with _errors_raised(), hydra_started() as hydra:
        hydra.multirun(ROOT_CONFIG, task, [*overrides, "hydra.mode=MULTIRUN"])


def _run_job(
    source: Config, *, run: Run, refused: list[UserError], config: Config | None = None
) -> float | None:
    """Run one job of Hydra.

    Args:
        source: The composed config, without Hydra's own node.
        run: Runs the job.
        refused: List to which errors of users are appended, because Hydra would print a line of
            its own for each.
        config: The frozen and checked config, if it exists already.
    """
    try:
        return run(current_job(source, config))
    except UserError as error:
        refused.append(error)
        return None


def current_job(source: Config, config: Config | None = None) -> Job:
    """Describe the job that Hydra is running.

    Args:
        source: The composed config, without Hydra's own node.
        config: The frozen and checked config, if there is one already.

    Raises:
        UserError: If the config is refused.
    """
    settings = HydraConfig.get()
    if config is None:
        config = freeze(source)
        _check(config, settings.overrides.task)
    folder, overrides, number = current_place()
    return Job(
        config=config,
        folder=folder,
        overrides=overrides,
        launcher=settings.runtime.choices["hydra/launcher"],
        number=number,
        choice=settings.runtime.choices.get(REASON, ""),
    )


def current_place() -> tuple[RunFolder, dict[str, Any], int | None]:
    """Return the folder, the overrides and the number of the job that Hydra is running."""
    settings = HydraConfig.get()
    shared = settings.job.config.override_dirname.exclude_keys
    values = values_of(settings.overrides.task)
    own = {key: value for key, value in values.items() if key not in shared}
    number = settings.job.num if settings.mode == RunMode.MULTIRUN else None
    return RunFolder(Path(settings.runtime.output_dir)), own, number


def job_folder(number: int | str, overrides: str) -> str:
    """Return the name of the folder of a job: its number, and the values that are its own.

    >>> job_folder(3, "+data.root=/a b/c,network.hidden_widths=[64,32]")
    '3_data.root=-a-b-c,network.hidden_widths=64,32'

    Args:
        number: Place in the sweep, which makes the name unique.
        overrides: ``KEY=VALUE`` separated by commas.
    """
    plain = re.sub(r"[\[\]{}()'\"]|(?<![^,])\+", "", overrides)
    plain = re.sub(r"[^\w.,=+-]+", "-", plain)
    name = f"{number}_{plain}".encode()[:LONGEST_FOLDER].decode(errors="ignore")
    return name.rstrip("_.,=+-")


OmegaConf.register_new_resolver("job_folder", job_folder, replace=True)  # for conf/train.yaml


def parse(overrides: Sequence[str]) -> list[Override]:
    """Parse overrides as Hydra does."""
    parsed: list[Override] = OverridesParser.create().parse_overrides(list(overrides))
    return parsed


def values_of(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the value of each key or group that is overridden; ``None`` if it is left out."""
    return {override.key_or_group: override.value() for override in parse(overrides)}


def _check(config: Config, overrides: Sequence[str]) -> None:
    origin = partial(composed_origin, overrides=overrides)
    check(config, origin=origin)
    check_paths(config, origin=origin)
    check_targets(config, origin=origin)


@contextmanager
def _errors_raised() -> Iterator[list[UserError]]:
    """Keep Hydra from printing errors and exiting with status 1.

    Yields:
        A list for the errors of jobs.

    Raises:
        UserError: For the first error in the list, at the end.
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
