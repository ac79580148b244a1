"""Files without a suffix, such as ``/dev/stdin``: read again and again, and recognised."""

import gzip
import shutil
import tempfile
from pathlib import Path
from typing import IO

GZIP = b"\x1f\x8b"

BEGINNINGS = ((b"PAR1", ".parquet"), (b"{", ".jsonl"), (b"[", ".json"))


def copy_of(pipe: Path) -> IO[bytes]:
    """Copy all that comes through a pipe to a temporary file, which goes when it is closed."""
    copy = tempfile.NamedTemporaryFile(prefix="leyden-")  # noqa: SIM115  # read while it lives
    with pipe.open("rb") as stream:
        shutil.copyfileobj(stream, copy)
    copy.flush()
    return copy


def suffix_of(file: Path) -> str:
    """Return the suffix that a table file should have by its first bytes; ``.csv`` by default."""
    with file.open("rb") as stream:
        packed = stream.read(len(GZIP)) == GZIP
    with gzip.open(file) if packed else file.open("rb") as stream:
        beginning = stream.read(1 << 10).lstrip()
    suffix = next((suffix for start, suffix in BEGINNINGS if beginning.startswith(start)), ".csv")
    return f"{suffix}.gz" if packed else suffix
