"""Separating the arguments of a command from overrides of the config."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from leyden.errors import UserError, near

MOST = 9999
"""Largest integer that a key of a command takes: more is a typing error."""


@dataclass(kw_only=True)
class Arguments:
    """The words of a command line, by their meaning.

    Attributes:
        own: Values of the command's own keys, in the order given.
        overrides: Overrides of the config: other words of the form ``KEY=VALUE`` or ``~KEY``.
        bare: All other words, such as flags.
    """

    own: dict[str, list[str]] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)

    def one(self, key: str) -> str | None:
        """Return the last value of a key; ``None`` if it was not given."""
        values = self.own.get(key)
        return values[-1] if values else None

    def required(self, key: str, example: str) -> str:
        """Return the last value of a key.

        Args:
            key: One of the command's own keys.
            example: A complete command, for the message.

        Raises:
            UserError: If the key was not given.
        """
        value = self.one(key)
        if not value:
            raise UserError(f"{key}= is missing. Expected for example: {example}")
        return value

    def integer(self, key: str, *, default: int, least: int = 1) -> int:
        """Return the last value of a key as an integer; the default if it was not given.

        Raises:
            UserError: If the value is not an integer, less than ``least`` or more than ``MOST``.
        """
        value = self.one(key)
        if value is None:
            return default
        if not (value.isascii() and value.isdecimal() and least <= int(value[:20]) <= MOST):
            raise UserError(f"{key}={value}: expected an integer from {least} to {MOST}.")
        return int(value)

    def refuse_bare(self) -> None:
        """Raise if a word is not of the form ``KEY=VALUE``.

        Raises:
            UserError: If there is such a word.
        """
        if self.bare:
            raise UserError(f"{self.bare[0]!r} is not understood. Expected KEY=VALUE.")


def split(words: Sequence[str], *own_keys: str) -> Arguments:
    """Sort the words after the name of a command by their meaning.

    >>> split(["run=runs/digits", "seed=1", "-m"], "run")
    Arguments(own={'run': ['runs/digits']}, overrides=['seed=1'], bare=['-m'])

    Raises:
        UserError: If a key is not a key of the config, but resembles one of the command's own.
    """
    arguments = Arguments()
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key in own_keys:
            arguments.own.setdefault(key, []).append(value)
        elif equals and key.isidentifier() and near(key, own_keys) and not _is_root_key(key):
            raise UserError(f"{word} is not understood.{near(key, own_keys)}")
        elif equals or word.startswith("~"):
            arguments.overrides.append(word)
        else:
            arguments.bare.append(word)
    return arguments


def _is_root_key(key: str) -> bool:
    try:  # PyYAML, which some commands do not need
        from leyden.config.options import root_keys
    except ModuleNotFoundError:  # without it, no config can be read
        return False
    return key in root_keys()
