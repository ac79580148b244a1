"""Training in a run folder: in this process, in ranks that it starts, or as one of them."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from leyden.config.check import check, check_paths
from leyden.config.compose import Config, from_plain, load, to_plain
from leyden.config.origins import frozen_origin, is_chosen
from leyden.errors import UserError
from leyden.ranks.environment import is_launched, is_trusted, rank, trust_config
from leyden.runs.fixed_keys import config_in_force, refuse_lost_changes
from leyden.runs.folder import RunFolder
from leyden.runs.provenance import record_provenance

if TYPE_CHECKING:
    from leyden.ranks.jobs import Jobs

SHAPING = ("network", "+network", "~network", "task", "loss")
"""Prefixes of overrides that may change the shapes of a run's weights."""


def load_config(folder: RunFolder, overrides: Sequence[str] = ()) -> Config:
    """Read and check the config of a run, which is trusted only if this rank's launcher wrote it.

    Args:
        folder: The run's folder.
        overrides: Changes to the config.

    Raises:
        UserError: If the config or an override is refused.
    """
    is_own = is_trusted(folder.config)
    config = load(folder.config, overrides, own=is_own)
    origin = partial(frozen_origin, overrides=overrides, path=folder.config)
    if is_own:
        check(config, origin=origin)
    else:
        check(config, origin=origin, is_chosen=partial(is_chosen, overrides=overrides))
    return config


def config_to_continue(folder: RunFolder, overrides: Sequence[str] = ()) -> Config:
    """Read and check the config with which a run continues.

    Args:
        folder: The run's folder.
        overrides: Changes to the config.

    Raises:
        UserError: If the config is refused, its data are missing, or a change would be ignored.
    """
    config = load_config(folder, overrides)
    check_paths(config, origin=partial(frozen_origin, overrides=overrides, path=folder.config))
    if overrides:
        refuse_lost_changes(folder, config, overrides)
    if folder.last.exists() and any(word.startswith(SHAPING) for word in overrides):
        from leyden.workflows.finished import load_run  # imports torch

        load_run(str(folder.last), overrides)  # raises if the weights no longer fit
    return config


def start(config: Config, folder: RunFolder, *, jobs: "Jobs | None" = None) -> None:
    """Train in a folder, in as many processes as the config asks for; see ``train``.

    Args:
        config: A frozen and checked config.
        folder: The run folder; training continues from its last checkpoint, if there is one.
        jobs: Queue to which the first rank publishes this job, if torchrun started the ranks.
    """
    # imports torch
    from leyden.ranks.launch import count_ranks, report_errors
    from leyden.workflows.train import train

    if rank() == 0:
        record_provenance(folder)
    if jobs is not None:
        job = {"config": to_plain(config), "folder": str(folder.path.resolve())}
        jobs.publish(job, shared=folder.provenance)
    if is_launched():
        with report_errors(folder.path):
            train(config, folder)
        return
    trainer = to_plain(config, resolve=True)["trainer"]
    count = count_ranks(trainer.get("devices", "auto"), trainer.get("accelerator", "auto"))
    if count > 1:
        _launch(config, folder, count)
    else:
        train(config, folder)


def _launch(config: Config, folder: RunFolder, count: int) -> None:
    """Start ranks that continue the run in a folder, and wait for them.

    Every rank reads the frozen config in the run folder instead of composing one, so that all of
    them train the same network in the same folder.
    """
    from leyden.ranks.launch import launch  # imports torch

    with folder.held():  # raises if another process trains there; rank 0 holds it from here on
        pass
    words = ("-m", "leyden", "train", f"run={folder.path}")
    try:
        with config_in_force(folder, config):
            trust_config(folder.config)
            launch(words, count, folder.path)
    except (UserError, ChildProcessError) as error:
        folder.write_status("failed", error=str(error))
        raise


def follow() -> Iterator[tuple[Config, RunFolder]]:
    """Yield the config and folder of each job that the first of torchrun's ranks publishes.

    Raises:
        UserError: If another launcher started the ranks, or the folder is not visible here.
    """
    from leyden.ranks.jobs import connect  # imports torch

    for job in connect():
        yield from_plain(job["config"], own=True), RunFolder(Path(job["folder"]))
