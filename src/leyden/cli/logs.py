"""Where a command's log goes."""

import logging
import sys
from pathlib import Path

FORMAT = "[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"


def quiet() -> None:
    """Leave standard output to the result; only warnings are shown, on standard error."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format=FORMAT)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)


def append_to(file: Path) -> None:
    """Log to the terminal and to the end of a file, as Hydra does for a new run."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout), logging.FileHandler(file)]
    logging.basicConfig(handlers=handlers, level=logging.INFO, format=FORMAT, force=True)
