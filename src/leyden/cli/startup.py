"""Fast imports, by disabling the garbage collector until torch has been imported."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Disable the garbage collector while torch and packages on top of it are imported.

    Imports create hardly any garbage, and collecting takes a quarter of their time. The imported
    objects live as long as the process, so they are frozen: later collections skip them. Blocks can
    be nested; the collector is on after the first block that ends. Does nothing if torch has been
    imported before.
    """
    if "torch" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
        if not gc.isenabled():
            gc.freeze()
    finally:
        gc.enable()
