"""Where a command's log goes."""

import logging
import sys
import warnings
from pathlib import Path

from leyden.runs.ranks import rank

FORMAT = "[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"

HARMLESS_WARNINGS = (
    ".*LeafSpec.* is deprecated",  # Lightning's own use of torch
    ".*smaller than the logging interval",  # metrics are logged once an epoch
    "Precision bf16-mixed is not supported by the model summary",  # which it calls float32 then
    "Be aware that when using `ckpt_path`",  # a run is continued without one of its callbacks
    "You're using the WeightAveraging callback with a model that",  # it is whole, or refused
    "Checkpoint directory .* exists and is not empty",  # a run that is continued
    ".*does not have many workers",  # rows are mapped, so that none are needed
)


def quiet() -> None:
    """Leave standard output to the result; only warnings are shown, on standard error."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format=FORMAT)


def append_to(file: Path) -> None:
    """Log to the terminal and to the end of a file, as Hydra does for a new run.

    Ranks but the first log to files of their own beside it.
    """
    if rank() > 0:
        file = file.with_suffix(f".rank{rank()}{file.suffix}")
    handlers: list[logging.Handler] = [logging.FileHandler(file)]
    if rank() == 0:
        handlers.append(logging.StreamHandler(sys.stdout))
    logging.basicConfig(handlers=handlers, level=logging.INFO, format=FORMAT, force=True)


def tame_lightning() -> None:
    """Let Lightning speak through the log alone, once, and not of what a run's log says anyway.

    It sets its loggers up when it is imported, so this has to come after that.
    """
    for package in ("lightning", "lightning.fabric", "lightning.pytorch"):
        logging.getLogger(package).handlers.clear()
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    for message in HARMLESS_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
