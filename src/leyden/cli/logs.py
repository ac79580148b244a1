"""Logging to the terminal and to the log file of a run."""

import logging
import sys
import warnings
from pathlib import Path
from typing import TextIO

from leyden.printable import printable
from leyden.ranks.environment import rank

HARMLESS_WARNINGS = (
    ".*LeafSpec.* is deprecated",  # used by Lightning itself
    ".*smaller than the logging interval",  # metrics are logged once per epoch
    "Precision bf16-mixed is not supported by the model summary",  # sizes are shown for float32
    "Be aware that when using `ckpt_path`",  # a run may continue without one of its callbacks
    "You're using the WeightAveraging callback with a model that",  # sharded networks are refused
    "Checkpoint directory .* exists and is not empty",  # as when a run continues
    ".*does not have many workers",  # rows are memory-mapped, which needs none
)
"""Patterns of warnings about intended behaviour."""


class PrintableFormatter(logging.Formatter):
    """Escapes control characters; ``prefix`` is the level of a record if it is above INFO."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        record.prefix = "" if record.levelno <= logging.INFO else f"{record.levelname}: "
        return printable(super().format(record))


def quiet() -> None:
    """Keep standard output for the result, and show only warnings, on standard error."""
    logging.basicConfig(handlers=[_shown_on(sys.stderr)], level=logging.WARNING)


def append_to(file: Path, *, quiet: bool = False) -> None:
    """Log to the terminal and to the end of a file; ranks above 0 log to ``*.rankN.*`` alone.

    A lower level, which Hydra sets for ``hydra.verbose``, is kept.

    Args:
        file: The log file.
        quiet: Whether the terminal shows only warnings and errors.
    """
    if rank() > 0:
        file = file.with_suffix(f".rank{rank()}{file.suffix}")
    handlers: list[logging.Handler] = [logging.FileHandler(file, encoding="utf-8")]
    handlers[0].setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    if rank() == 0:
        handlers.append(_shown_on(sys.stdout))
        handlers[-1].setLevel(logging.WARNING if quiet else logging.NOTSET)
    level = min(logging.INFO, logging.getLogger().level)
    logging.basicConfig(handlers=handlers, level=level, force=True)


def _shown_on(stream: TextIO) -> logging.Handler:
    handler = _AboveBars(stream)
    handler.setFormatter(PrintableFormatter("%(asctime)s %(prefix)s%(message)s", "%H:%M:%S"))
    return handler


class _AboveBars(logging.StreamHandler[TextIO]):
    """Writes records above the progress bar, if there is one in the terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        if not sys.stderr.isatty():
            super().emit(record)
            return
        from tqdm import tqdm  # not needed outside terminals

        with tqdm.external_write_mode(file=self.stream):
            super().emit(record)


def tame_lightning() -> None:
    """Make Lightning log through the root logger alone, and ignore ``HARMLESS_WARNINGS``.

    Call this after Lightning has been imported, which adds handlers to its loggers.
    """
    for package in ("lightning", "lightning.fabric", "lightning.pytorch"):
        logging.getLogger(package).handlers.clear()
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    for message in HARMLESS_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
