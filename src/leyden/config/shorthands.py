"""Convenient spellings of overrides, rewritten as Hydra expects them."""

import re
from collections.abc import Sequence

from leyden.config.compose import NODES
from leyden.config.options import ACROSS_GROUPS, groups, path_keys_of_options
from leyden.errors import UserError
from leyden.files import exists

NONE = {"scheduler": "constant", "task/mix": "none"}
"""Options that stand for null; for other groups, it is an empty list."""

NEEDED = ("data/splitter", *(key for key in NODES if key not in NONE))
"""Groups of which every run needs an option."""

IN_EVERY_CONFIG = frozenset({*NEEDED, *NONE, *ACROSS_GROUPS, "callbacks", "logger"})
"""Groups of whose options one can be chosen in every config without a ``+``."""

_NULL = re.compile(r"(?<![^,])(?:null)?(?![^,])", re.IGNORECASE)
"""Null or empty text, alone or among the values of a sweep."""

_HIDDEN = re.compile(r"(?<![^,\[])_\w+(?![^,\]])")
"""Name of a file that is not an option, alone or among others."""


def expand_shorthands(overrides: Sequence[str]) -> list[str]:
    """Rewrite overrides that Hydra refuses or misreads although their meaning is clear.

    ``GROUP=null`` and ``~GROUP`` become the option that leaves the group out, ``+GROUP=OPTION``
    becomes ``GROUP=OPTION``, and existing paths of data are quoted.

    Raises:
        UserError: If a group that every run needs is left out, or a file that is not an option is
            chosen.

    Example:
        >>> expand_shorthands(["scheduler=null", "+network=mlp", "optimizer.lr=0.1"])
        ['scheduler=constant', 'network=mlp', 'optimizer.lr=0.1']
    """
    options = groups()
    return [_written_out(override, options) for override in overrides]


def _written_out(override: str, options: dict[str, list[str]]) -> str:
    name, equals, value = override.partition("=")
    key = name.lstrip("+~")
    may_be_path = key.startswith("data.") and value and (value[0] == "~" or exists(value))
    if may_be_path and key in path_keys_of_options():
        return f"{name}={quote(value)}"
    if key not in options or (name != key and key not in IN_EVERY_CONFIG):
        is_group = key in options or "/" in key or key == "hydra"
        if is_group and equals and value.lower() in ("", "null"):
            raise UserError(f"{override} names no option. Expected {name}=OPTION.")
        return override
    if name.startswith("~"):
        value = "null"  # Hydra also allows ~scheduler=cosine
    if hidden := _HIDDEN.search(value):
        raise UserError(
            f"{override}: {hidden[0]}.yaml holds what other files share and is not an option. "
            f"Expected one of {', '.join(options[key])}."
        )
    if "[" in value or not _NULL.search(value):
        return f"{key}={value}" if equals else override
    if key in NEEDED:
        known = ", ".join(options[key])
        raise UserError(f"{override} leaves a run without {key}. Expected one of {known}.")
    return f"{key}={_NULL.sub(NONE.get(key, '[]'), value)}"


def quote(text: str) -> str:
    r"""Quote a text for Hydra, which escapes backslashes only before quotes and at the end."""
    escaped = re.sub(r'(\\*)("|$)', lambda m: m[1] * 2 + m[2].replace('"', '\\"'), text)
    return f'"{escaped}"'
