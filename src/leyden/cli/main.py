"""``leyden COMMAND``: runs a command, and turns errors into exit codes."""

import os
import select
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from io import TextIOWrapper

from leyden.cli.startup import importing
from leyden.errors import InterruptedRunError, UserError, did_you_mean
from leyden.printable import printable
from leyden.ranks.signals import INTERRUPTED, OK, USER_ERROR, is_interrupt

COMMANDS = {
    "train": "train a network, then test its best checkpoint; -m sweeps",
    "crossval": "train and test on every fold, then one ensemble of all; -m sweeps",
    "baselines": "measure models that are not networks on the same rows",
    "report": "rank the jobs of a sweep, or compare two runs: a page of HTML",
    "evaluate": "measure a finished run",
    "predict": "predict raw files with a run or an export, as CSV or JSON lines",
    "calibrate": "fit the probabilities of a finished run to the frequencies of the classes",
    "export": "write a finished run as a folder that predicts without torch",
    "serve": "answer requests over HTTP with an export or a run",
    "runs": "list runs and sweeps, name the best, and remove failed starts",
    "explain": "print what a key of the config is, and which file and line has set it",
    "schema": "write JSON schemas of conf/, by which editors complete and check its files",
    "consolidate": "write one ordinary checkpoint file from a sharded one",
    "completion": "print a script for tab completion in bash, zsh or fish",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit code, see ``leyden.ranks.signals``. Errors of the program are raised, so that
        Python prints their traceback and exits with 1.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        # The encoding of a terminal may lack characters of file names and texts.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = _exit_status(list(sys.argv[1:] if arguments is None else arguments))
        if sys.stdout is not None:  # it is None if it was closed before the start
            sys.stdout.flush()
    except BrokenPipeError:
        if _stdout_has_reader():
            raise
        # A reader such as head may close the pipe. Python would flush into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return status


def _stdout_has_reader() -> bool:
    """Whether the reader of standard output is still there, unlike after ``| head``."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return not any(event & select.POLLERR for _, event in output.poll(0))


def _exit_status(words: Sequence[str]) -> int:
    command, *rest = words or ["--help"]
    if command in ("-h", "--help", "help"):
        print(_help())
        return OK
    try:
        with importing():  # until the command has imported torch
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
    """Return the message without line breaks and control characters, which names may contain."""
    return printable(" ".join(str(error).splitlines()))


def _run(command: str, words: Sequence[str]) -> None:
    if command not in COMMANDS:
        raise UserError(f"Unknown command {command!r}.{did_you_mean(command, COMMANDS)}")
    try:
        module = import_module(f"leyden.cli.{command}")
        if hasattr(module, "USAGE") and {"-h", "--help"} & set(words):
            print(module.USAGE)
        else:
            module.run(words)
    except ModuleNotFoundError as error:
        if find_spec("torch"):
            raise
        raise UserError(
            f"leyden {command} needs the package {error.name}, which is not installed. Without "
            "torch, Leyden only serves exports and predicts with them. Install all that it needs "
            "with pip install leyden."
        ) from error


def _help() -> str:
    commands = "\n".join(f"  {name:<11} {what}" for name, what in COMMANDS.items())
    return (
        "usage: leyden COMMAND [KEY=VALUE …]\n\n"
        f"{commands}\n\n"
        "`leyden COMMAND --help` describes a command. KEY is a key of the config, which "
        "`leyden train --cfg job` prints."
    )
