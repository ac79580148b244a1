"""Reading checkpoints safely."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from leyden.callbacks.run_record import KEY
from leyden.errors import UserError


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; nothing but tensors and plain containers is unpickled.

    Raises:
        UserError: the file is missing, torn, holds other objects, or was written by something
            other than a run.
    """
    if not path.is_file():
        raise UserError(f"The checkpoint {path} does not exist. Give a run folder or a .ckpt file.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"The checkpoint {path} is refused: it holds more than tensors and plain containers, "
            f"or is damaged ({_first_line(error)}). Use a checkpoint that a run wrote."
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(
            f"The checkpoint {path} is damaged ({_first_line(error)}). Use another checkpoint of "
            "the same run; every run keeps best.ckpt and last.ckpt."
        ) from error
    if not isinstance(checkpoint, dict) or KEY not in checkpoint:
        raise UserError(
            f"{path} holds no record of a run, so its config and preprocessing are unknown. "
            "Expected a checkpoint that `leyden train` wrote."
        )
    return checkpoint


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].strip(" .") or type(error).__name__
