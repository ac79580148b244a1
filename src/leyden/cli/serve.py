"""``leyden serve export=FOLDER``: answers requests over HTTP, without torch."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args, get_type_hints

from leyden.cli.arguments import Arguments, split
from leyden.cli.startup import importing
from leyden.errors import UserError, did_you_mean
from leyden.serving.server.options import Options

USAGE = """usage: leyden serve export=FOLDER | run=RUN [KEY=VALUE …]

Answers requests over HTTP with an exported network; a run is exported first. Prints its address.
POST /v1/predict takes {"inputs": [row, …]} or uploaded files, GET /openapi.json describes all.
SIGTERM stops it once all requests are answered, SIGHUP loads FOLDER again.

  host=127.0.0.1 port=8000   where to listen
  keys=FILE                  API keys, one per line; LEYDEN_API_KEYS in the environment adds others
  batch_rows=64 delay_ms=2   rows that the network computes at once, and how long one waits for more
  queue_rows=1024            rows that may wait; more are refused with 503
  max_rows=256 max_bytes=16777216 max_pixels=50000000 max_seconds=60
                             limits of a request, and of its images and sounds
  max_connections=512        open connections
  timeout=30                 seconds to receive a request, and to answer it
  threads=N                  threads of the network"""


TYPES = {name: next(iter(get_args(hint)), hint) for name, hint in get_type_hints(Options).items()}
"""Types of the options by name."""

LEAST = {"port": 0, "delay_ms": 0, "max_seconds": 0.1, "timeout": 0.1}
"""Smallest values of numbers that may be less than 1."""

MOST = {"port": 65535}
"""Largest values of numbers, if less than ``ANY``."""

ANY = 10**9
"""Largest value of all other numbers."""


def run(words: Sequence[str]) -> None:
    """Run the command.

    Raises:
        UserError: If an argument is not understood, or the network cannot be served.
    """
    keys = ("export", "run", *TYPES)
    arguments = split(words, *keys)
    for word in (*arguments.overrides, *arguments.bare):
        raise UserError(f"{word} is not understood.{did_you_mean(word.partition('=')[0], keys)}")
    options = _options(arguments)
    serve = _import_server()
    with _exported(arguments) as folder:
        serve(folder, options, announce=partial(print, flush=True))


def _options(arguments: Arguments) -> Options:
    """Return the options.

    Raises:
        UserError: If a value is not of the type of its option, or outside its range.
    """
    given = {name: text for name in TYPES if (text := arguments.one(name)) is not None}
    options = Options(**{name: _value(name, text) for name, text in given.items()})
    if options.queue_rows < options.max_rows:
        raise UserError(
            f"queue_rows={options.queue_rows} is less than max_rows={options.max_rows}: some "
            "requests would never be answered. Expected at least as many."
        )
    return options


def _value(name: str, text: str) -> Any:
    of_type = TYPES[name]
    if of_type in (str, Path):
        return of_type(text)
    least, most = LEAST.get(name, 1), MOST.get(name, ANY)
    with suppress(ValueError):
        if least <= (value := of_type(text)) <= most:
            return value
    noun = "an integer" if of_type is int else "a number"
    raise UserError(f"{name}={text}: expected {noun} from {least} to {most}.")


def _import_server() -> Callable[..., None]:
    """Return the function that serves.

    Raises:
        UserError: If a package is missing.
    """
    try:
        with importing():
            import python_multipart  # noqa: F401  # Starlette misses it only when a form comes

            from leyden.serving.server.launch import serve
    except ModuleNotFoundError as error:
        raise UserError(
            f"leyden serve needs the package {error.name}, which is not installed. Install it with "
            "pip install 'leyden[serve]'."
        ) from error
    return serve


@contextmanager
def _exported(arguments: Arguments) -> Iterator[Path]:
    """Yield the folder of ``export=``, or that of a run which is exported in another process."""
    run, export = arguments.one("run"), arguments.one("export")
    if (run is None) == (export is None):
        raise UserError("Expected export=FOLDER, which leyden export wrote, or run=RUN.")
    if export is not None:
        yield Path(export).expanduser()
        return
    with TemporaryDirectory(prefix="leyden-") as parent:
        folder = Path(parent, "export")
        command = [sys.executable, "-m", "leyden", "export", f"run={run}", f"to={folder}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
        if done.returncode:
            raise UserError(done.stderr.strip().rpartition("leyden: ")[2])
        yield folder
