"""Consolidating a sharded checkpoint to one file."""

from pathlib import Path

from leyden.checkpoints.files import SUFFIX
from leyden.checkpoints.io import SafeCheckpointIO, load_checkpoint
from leyden.errors import UserError
from leyden.runs.folder import find_run


def consolidate(run: str, to: str | None = None) -> Path:
    """Write a sharded checkpoint to one file.

    Args:
        run: Run folder, whose best checkpoint is read, or checkpoint.
        to: Path of the new file, by default beside the checkpoint.

    Returns:
        The path of the new file.

    Raises:
        UserError: If the checkpoint is already a file or is damaged, or the new file exists.
    """
    _, source = find_run(run)
    if source.is_file():
        raise UserError(
            f"{source} is already an ordinary checkpoint. Expected one that several ranks wrote, "
            "which is a folder; this one can be used as it is."
        )
    target = source.with_name(f"{source.stem}-whole{SUFFIX}")
    if to is not None:
        target = Path(to).expanduser().resolve()
    if target.suffix != SUFFIX or target.exists():
        raise UserError(
            f"to={target} can't be written: expected the path of a new file that ends in "
            f"{SUFFIX}{', and this one exists' if target.exists() else ''}."
        )
    SafeCheckpointIO().save_checkpoint(load_checkpoint(source), target)
    return target
