"""Errors that users can fix, and hints for their messages."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import partial
from typing import Any

NEAREST = 3
"""Maximum number of names in a hint."""


class UserError(Exception):
    """An error in the input rather than in the program.

    The message is one paragraph: what was expected, what was found, the remedy. The command line
    prints it without a traceback and exits with status 2.
    """


class InterruptedRunError(BaseException):
    """Raised when a run has stopped on request and can be resumed.

    Like ``KeyboardInterrupt``, it isn't an ``Exception``, so that handlers of failures do not catch
    it.

    Attributes:
        exit_code: Exit status of the command.
    """

    def __init__(self, reason: str, *, exit_code: int) -> None:
        super().__init__(reason)
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what rebuilds the error where a process of joblib hands it to."""
        return partial(type(self), exit_code=self.exit_code), self.args


class FaultyKeyError(UserError):
    """An error in one key of the config.

    Attributes:
        key: Dotted name of the key.
    """

    def __init__(self, key: str, fault: str) -> None:
        super().__init__(key, fault)  # which rebuild the error in another process
        self.key = key

    def __str__(self) -> str:
        return ": ".join(self.args)


def unexpected(key: str, expected: str, value: object) -> FaultyKeyError:
    """Return the error of a key with a wrong value.

    Example:
        >>> print(unexpected("seed", "an int", "x"))
        seed: expected an int, got 'x' (str).
    """
    return FaultyKeyError(key, f"expected {expected}, got {value!r:.80} ({type(value).__name__}).")


def did_you_mean(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """Return a hint at the known names closest to a mistyped one.

    Dotted names whose last component is the mistyped name come first, such as ``optimizer.lr``
    for ``lr``.

    Args:
        name: Mistyped name.
        known: Known names.
        prefix: Text that is put before each name.

    Returns:
        The hint with a leading space; all known names if none is close, or an empty string if no
        name is known.

    Example:
        >>> did_you_mean("adamm", ["sgd", "adamw"])
        " Did you mean 'adamw'?"
        >>> did_you_mean("zzz", ["sgd", "adamw"])
        ' Known: adamw, sgd.'
    """
    candidates = sorted(set(known))
    everything = ", ".join(f"{prefix}{each}" for each in candidates)
    return near(name, candidates, prefix=prefix) or (everything and f" Known: {everything}.")


def near(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """Return a hint at the closest known names, or an empty string if none is close."""
    candidates = sorted(set(known))
    found = [each for each in candidates if each.rpartition(".")[2] == name][:NEAREST]
    # Less similar names distract from those in which only a letter or two differ.
    for cutoff in (0.9, 0.6):
        found = found or get_close_matches(name, candidates, n=NEAREST, cutoff=cutoff)
    hint = " or ".join(repr(f"{prefix}{each}") for each in found)
    return hint and f" Did you mean {hint}?"


def first_line(error: BaseException) -> str:
    r"""Return the first line of the message without its full stop; the class name if it is empty.

    Example:
        >>> first_line(ValueError("No such column.\nSee the manual."))
        'No such column'
    """
    return str(error).strip().split("\n")[0].strip(" .") or type(error).__name__


def describe(error: BaseException) -> str:
    """Return the message of an error, after its class unless it is a ``UserError``."""
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
