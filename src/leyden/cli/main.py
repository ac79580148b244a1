"""``leyden COMMAND``: find the command, run it, turn errors into exit codes."""

import os
import select
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper

from leyden.cli.printable import printable
from leyden.cli.startup import collecting_later
from leyden.errors import InterruptedRunError, UserError, did_you_mean
from leyden.ranks.signals import INTERRUPTED, OK, USER_ERROR, is_interrupt

COMMANDS = {
    "train": "fit, then test the best checkpoint; -m sweeps",
    "evaluate": "metrics of a finished run",
    "predict": "predictions for raw files, as CSV or JSON lines",
    "consolidate": "one ordinary checkpoint file out of what several ranks wrote",
    "completion": "completion by Tab in bash, zsh and fish",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        Exit status: 0 done, 2 the user's input is at fault, 130 interrupted, 75 (try again) stopped
        from outside with everything saved. Other errors come with their traceback, which makes
        the status 1.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        # Files may have names, and texts hold characters, that a terminal has not.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = _exit_status(list(sys.argv[1:] if arguments is None else arguments))
        if sys.stdout is not None:  # as it is where it was closed before
            sys.stdout.flush()
    except BrokenPipeError:
        if _stdout_has_reader():
            raise
        # A reader that has enough, as head has, is no error; Python would still flush the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return status


def _stdout_has_reader() -> bool:
    """Tell whether what is printed still has a reader, unlike behind ``| head``."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return not any(event & select.POLLERR for _, event in output.poll(0))


def _exit_status(words: Sequence[str]) -> int:
    command, *rest = words or ["--help"]
    if command in ("-h", "--help", "help"):
        print(_help())
        return OK
    try:
        with collecting_later():
            _run(command, rest)
    except UserError as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            traceback.print_exc()
        print(f"leyden: {_paragraph(error)}", file=sys.stderr)
        return USER_ERROR
    except InterruptedRunError as error:
        print(
            f"leyden: {_paragraph(error)}. Continue with the same command and resume=auto.",
            file=sys.stderr,
        )
        return error.exit_code
    except (KeyboardInterrupt, SystemExit) as error:
        if not is_interrupt(error):
            raise
        print("leyden: interrupted", file=sys.stderr)
        return INTERRUPTED
    return OK


def _paragraph(error: BaseException) -> str:
    """Return a message without line breaks and control characters, which names may hold."""
    return printable(" ".join(str(error).splitlines()))


def _run(command: str, words: Sequence[str]) -> None:
    if command not in COMMANDS:
        raise UserError(f"Unknown command {command!r}.{did_you_mean(command, COMMANDS)}")
    import_module(f"leyden.cli.{command}").run(words)


def _help() -> str:
    commands = "\n".join(f"  {name:<11} {what}" for name, what in COMMANDS.items())
    return (
        "usage: leyden COMMAND [KEY=VALUE …]\n\n"
        f"{commands}\n\n"
        "`leyden COMMAND --help` tells more. Keys are those of conf/: `leyden train --cfg job` "
        "prints them."
    )
