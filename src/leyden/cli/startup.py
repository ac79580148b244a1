"""Fast imports: the garbage collector is off while torch is imported."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collecting_later() -> Iterator[None]:
    """Disable the garbage collector until torch has been imported, if it has not been yet."""
    if "torch" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def importing() -> Iterator[None]:
    """Disable the garbage collector while torch and packages on top of it are imported.

    Imports make hardly any garbage, and collecting takes a quarter of their time. The objects that
    they leave are frozen, because they live as long as the process: later collections skip them.
    """
    with collecting_later():
        yield
        if not gc.isenabled():
            gc.freeze()
