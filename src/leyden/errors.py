"""Errors that are the user's to mend, and how they are worded."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import partial
from typing import Any

NEAREST = 3
"""Names that a hint gives at most."""


class UserError(Exception):
    """The input is at fault, not the program.

    The message is one paragraph: what was expected, what came, the remedy. The command line prints
    it without a traceback and exits with status 2.
    """


class InterruptedRunError(BaseException):
    """A run was asked to stop and did, so that it can be continued.

    Like ``KeyboardInterrupt`` it is no ``Exception``: nothing on its way may take it for a failure.

    Attributes:
        exit_code: the command's.
    """

    def __init__(self, reason: str, *, exit_code: int) -> None:
        super().__init__(reason)
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what rebuilds the error where a process of joblib hands it to."""
        return partial(type(self), exit_code=self.exit_code), self.args


class FaultyKeyError(UserError):
    """One key of the config is at fault.

    Attributes:
        key: its dotted name.
    """

    def __init__(self, key: str, fault: str) -> None:
        super().__init__(key, fault)  # which rebuild the error in another process
        self.key = key

    def __str__(self) -> str:
        return ": ".join(self.args)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Word a hint with the known names nearest to a mistaken one.

    Names are also near whose last part is the mistaken one, as of ``optimizer.lr`` and ``lr``.

    Returns:
        ``" Did you mean 'adamw'?"`` with its leading space, or the sorted known names where none
        is near, or an empty string where nothing is known.
    """
    candidates = sorted(set(known))
    return near(name, candidates) or (f" Known: {', '.join(candidates)}." if candidates else "")


def near(name: str, known: Iterable[str]) -> str:
    """Return the first half of ``did_you_mean``; an empty string if no name is near."""
    candidates = sorted(set(known))
    found = [each for each in candidates if each.rpartition(".")[2] == name][:NEAREST]
    found = found or get_close_matches(name, candidates, n=NEAREST, cutoff=0.6)
    return f" Did you mean {' or '.join(map(repr, found))}?" if found else ""


def first_line(error: BaseException) -> str:
    """Give what an error says first, without its full stop; its name where it says nothing."""
    return str(error).strip().split("\n")[0].strip(" .") or type(error).__name__


def describe(error: BaseException) -> str:
    """Return the message of an error, after its class unless it is a ``UserError``."""
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
