"""Splitting a command's own arguments from overrides of the config."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from leyden.config.compose import root_keys
from leyden.errors import UserError, near


@dataclass(kw_only=True)
class Arguments:
    """A command line that has been split.

    Attributes:
        own: values of the command's own keys, in the order given.
        overrides: everything else of the form ``KEY=VALUE`` or ``~KEY``.
        bare: other words.
    """

    own: dict[str, list[str]] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)

    def one(self, key: str) -> str | None:
        """Give the last value of a key, if it was given."""
        values = self.own.get(key)
        return values[-1] if values else None

    def required(self, key: str, example: str) -> str:
        """Give the last value of a key.

        Raises:
            UserError: it was not given.
        """
        value = self.one(key)
        if not value:
            raise UserError(f"{key}= is missing. Expected for example: {example}")
        return value

    def refuse_bare(self) -> None:
        """Refuse words that are no ``KEY=VALUE``.

        Raises:
            UserError: there is one.
        """
        if self.bare:
            raise UserError(f"{self.bare[0]!r} is not understood. Expected KEY=VALUE.")


def split(words: Sequence[str], *own_keys: str) -> Arguments:
    """Split the words after the command's name.

    Raises:
        UserError: A key is nearly one of the command's own, and none of the config.
    """
    arguments = Arguments()
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key in own_keys:
            arguments.own.setdefault(key, []).append(value)
        elif equals and (hint := _nearly_own(key, own_keys)):
            raise UserError(f"{word} is not understood.{hint}")
        elif equals or word.startswith("~"):
            arguments.overrides.append(word)
        else:
            arguments.bare.append(word)
    return arguments


def _nearly_own(key: str, own_keys: Sequence[str]) -> str:
    """Return a hint at the command's own key that an unknown key may mean."""
    return near(key, own_keys) if key.isidentifier() and key not in root_keys() else ""
