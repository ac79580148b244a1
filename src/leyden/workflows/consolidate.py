"""Consolidate: one ordinary checkpoint out of a sharded one."""

from pathlib import Path

from leyden.checkpoints.io import SafeCheckpointIO, load_checkpoint
from leyden.errors import UserError
from leyden.runs.folder import CHECKPOINT_SUFFIX, find_run


def consolidate(run: str, to: str | None = None) -> Path:
    """Write a sharded checkpoint as a file, with all that stands in it.

    Args:
        run: a run folder, whose best checkpoint is meant, or a checkpoint.
        to: the file to write; beside the checkpoint by default.

    Returns:
        The file.

    Raises:
        UserError: the checkpoint is a file already, or damaged, or the file can't be written.
    """
    _, source = find_run(run)
    if source.is_file():
        raise UserError(
            f"{source} is an ordinary checkpoint already. Expected one that several ranks wrote, "
            "which is a folder; take this one as it is."
        )
    target = source.with_name(f"{source.stem}-whole{CHECKPOINT_SUFFIX}")
    if to is not None:
        target = Path(to).expanduser().resolve()
    if target.suffix != CHECKPOINT_SUFFIX or target.exists():
        raise UserError(
            f"to={target} can't be written: expected the path of a new file that ends in "
            f"{CHECKPOINT_SUFFIX}{', and this one exists' if target.exists() else ''}."
        )
    SafeCheckpointIO().save_checkpoint(load_checkpoint(source), target)
    return target
