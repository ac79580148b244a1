"""Config keys that cannot change once a run has a checkpoint or metrics."""

import logging
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leyden.checkpoints.files import META
from leyden.config.compose import Config, load, save, to_plain, without_places
from leyden.config.data_paths import path_keys
from leyden.errors import UserError
from leyden.runs.folder import RunFolder

log = logging.getLogger(__name__)

Change = tuple[str, Any, Any]
"""A dotted key, its old value and its new value."""

FIXED = {
    "parameter_groups": "the checkpoint holds the groups of the optimizer with their options",
    "optimizer": "the checkpoint holds the optimizer with its learning rate",
    "scheduler": "the checkpoint holds the schedule",
    "loss.weight": "the checkpoint holds the weights of the classes",
    "loss.pos_weight": "the checkpoint holds the weights of the labels",
    "task.class_weights": "the checkpoint holds the weights of the classes",
    "data": "the checkpoint holds the fitted preprocessing, fitted on the training split",
}

FREE = (
    *("data.cache_dir", "data.batch_size", "data.num_workers", "data.seed", "data.balanced"),
    *("data.augment", "data.augment_inputs"),
)
"""Keys below the fixed ones that may change. The paths of data may change too, because other rows
are detected by their fingerprint."""

LENGTHENING = (
    *("trainer.max_epochs", "trainer.max_steps", "trainer.max_time"),
    "callbacks.early_stopping",
)
"""Keys by which a finished run can be trained further."""

LISTED = 3
"""Maximum number of differences between two configs in a message."""


def claim(folder: RunFolder, config: Config) -> bool:
    """Write the config of a new run into its folder, unless a run is there already.

    Args:
        folder: Folder chosen by the user or by Hydra: new, empty, or that of a run.
        config: Frozen config of the new run.

    Returns:
        Whether a run of the same config is in the folder, to be resumed if it is unfinished.

    Raises:
        UserError: If the folder holds another run, or one that another process is training.
    """
    with folder.held():
        if folder.config.exists():
            _refuse_another_config(folder, config)
            return True
        if folder.last.exists() or folder.previous.exists():
            raise UserError(
                f"{folder.path} holds checkpoints but no config.yaml, so their config is "
                "unknown. Give another folder, or remove them."
            )
        save(config, folder.config)
    return False


def _refuse_another_config(folder: RunFolder, config: Config) -> None:
    # The path of the cache does not affect the training.
    there, given = to_plain(load(folder.config)), without_places(to_plain(config))
    changes = [f"{key} is {old!r} there, {new!r} here" for key, old, new in _changes(there, given)]
    if changes:
        more = f" and {len(changes) - LISTED} more" if len(changes) > LISTED else ""
        raise UserError(
            f"{folder.path} holds a run of another config: {'; '.join(changes[:LISTED])}{more}. "
            "Expected a new folder for each config: give another hydra.run.dir, or a "
            "hydra.sweep.subdir that depends on every swept key, or continue the run that is there "
            f"with `leyden train run={folder.path}`."
        )


@contextmanager
def config_in_force(folder: RunFolder, config: Config) -> Iterator[None]:
    """Write a config to a run's folder, and restore the old one if nothing is trained with it.

    Metrics of the old config are removed, and restored together with it.
    """
    before = {file: file.read_bytes() for file in (folder.config, folder.metrics) if file.is_file()}
    checkpoint = _version(folder.last)
    save(config, folder.config)
    if before.get(folder.config) == folder.config.read_bytes():
        yield
        return
    folder.metrics.unlink(missing_ok=True)
    try:
        yield
    except BaseException:
        if _version(folder.last) == checkpoint:
            _restore(before)
        raise
    if folder.metrics in before and checkpoint == _version(folder.last) is not None:
        log.warning(
            "Nothing was trained: %s keeps the config and the metrics that it had. Raise "
            "trainer.max_epochs to train it further.",
            folder.path,
        )
        _restore(before)


def _version(checkpoint: Path) -> tuple[int, int] | None:
    """Return values that change when a checkpoint is written again."""
    file = checkpoint / META if checkpoint.is_dir() else checkpoint
    if not file.is_file():
        return None
    found = file.stat()
    return found.st_ino, found.st_mtime_ns


def _restore(contents: Mapping[Path, bytes]) -> None:
    for file, content in contents.items():
        file.write_bytes(content)


def refuse_lost_changes(folder: RunFolder, config: Config, overrides: Sequence[str]) -> None:
    """Refuse changes that a run with a checkpoint would ignore.

    Args:
        folder: Folder of the run, with its config.
        config: Changed config.
        overrides: Overrides that change it, for the message.

    Raises:
        UserError: If a changed key is fixed, because resuming restores its old value.
    """
    if not (folder.last.exists() or folder.previous.exists()):
        return
    changes = list(_changes(to_plain(load(folder.config)), to_plain(config)))
    _refuse_changes_if_finished(folder, changes, overrides)
    free = (*FREE, *path_keys(config.data))
    for key, before, after in changes:
        reason = next((FIXED[name] for name in FIXED if _is_within(key, name)), None)
        if reason is None or any(_is_within(key, name) for name in free):
            continue
        raise UserError(
            f"{key} cannot be changed any more: {reason}. Expected {before!r}, as in the run's "
            f"config.yaml, got {after!r}. Leave it out, or repeat the run with it in a folder of "
            f"its own: {_rerun(folder, overrides)}"
        )


def _refuse_changes_if_finished(
    folder: RunFolder, changes: Sequence[Change], overrides: Sequence[str]
) -> None:
    """Refuse to leave the metrics of a finished run beside a config that they do not belong to."""
    if folder.read_status().get("state") != "finished" or not changes:
        return
    if not any(_is_within(key, name) for key, _, _ in changes for name in LENGTHENING):
        raise UserError(
            f"The run {folder.path} has finished, so {changes[0][0]} cannot be changed any more. "
            "Give trainer.max_epochs too in order to train it further, measure it with `leyden "
            f"evaluate`, or repeat it in a folder of its own: {_rerun(folder, overrides)}"
        )


def _rerun(folder: RunFolder, overrides: Sequence[str]) -> str:
    return shlex.join(["leyden", "train", f"run={folder.path}", *overrides, "--rerun"])


def _is_within(key: str, name: str) -> bool:
    return key == name or key.startswith(f"{name}.")


def _changes(before: Any, after: Any, key: str = "") -> Iterator[Change]:
    """Yield the dotted keys whose values differ, with both values; a missing one is ``None``."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys([*before, *after]):
            inner = f"{key}.{name}" if key else str(name)
            yield from _changes(before.get(name), after.get(name), inner)
    elif before != after:
        yield key, before, after
