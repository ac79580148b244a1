"""Where a command's log goes."""

import logging
import sys
import warnings
from pathlib import Path
from typing import TextIO

from leyden.cli.printable import printable
from leyden.ranks.environment import rank

HARMLESS_WARNINGS = (
    ".*LeafSpec.* is deprecated",  # Lightning's own use of torch
    ".*smaller than the logging interval",  # metrics are logged once an epoch
    "Precision bf16-mixed is not supported by the model summary",  # which it calls float32 then
    "Be aware that when using `ckpt_path`",  # a run is continued without one of its callbacks
    "You're using the WeightAveraging callback with a model that",  # it is whole, or refused
    "Checkpoint directory .* exists and is not empty",  # a run that is continued
    ".*does not have many workers",  # rows are mapped, so that none are needed
)


class FileFormatter(logging.Formatter):
    """Writes when, how grave and where from, without the control characters of file names."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        return printable(super().format(record))


class TerminalFormatter(logging.Formatter):
    """Writes the time of day and the message, and how grave it is if it is more than news."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(grave)s%(message)s", datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        record.grave = "" if record.levelno <= logging.INFO else f"{record.levelname}: "
        return printable(super().format(record))


def quiet() -> None:
    """Leave standard output to the result; only warnings are shown, on standard error."""
    logging.basicConfig(handlers=[_shown_on(sys.stderr)], level=logging.WARNING)


def append_to(file: Path) -> None:
    """Log to the terminal and to the end of a file; ranks but the first, to files of their own.

    Hydra may have set a lower level, which ``hydra.verbose`` asks for.
    """
    if rank() > 0:
        file = file.with_suffix(f".rank{rank()}{file.suffix}")
    handlers: list[logging.Handler] = [logging.FileHandler(file, encoding="utf-8")]
    handlers[0].setFormatter(FileFormatter())
    if rank() == 0:
        handlers.append(_shown_on(sys.stdout))
    level = min(logging.INFO, logging.getLogger().level)
    logging.basicConfig(handlers=handlers, level=level, force=True)


def _shown_on(stream: TextIO) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TerminalFormatter())
    return handler


def tame_lightning() -> None:
    """Let Lightning speak through the log alone, once, and not of what a run's log says anyway.

    It sets its loggers up when it is imported, so this has to come after that.
    """
    for package in ("lightning", "lightning.fabric", "lightning.pytorch"):
        logging.getLogger(package).handlers.clear()
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    for message in HARMLESS_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
