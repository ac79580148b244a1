"""Overrides as people type them, written out so that Hydra reads what is meant."""

import re
from collections.abc import Sequence

from leyden.config.compose import ACROSS_GROUPS, groups, path_keys_of_options
from leyden.errors import UserError
from leyden.files import exists

NEEDED = (
    *("data", "data/splitter", "network", "task", "loss"),
    *("parameter_groups", "optimizer", "trainer"),
)
"""Groups of which every run has an option."""

NONE = {"scheduler": "constant", "task/mix": "none"}
"""Options that leave a group out; of other groups it is an empty list."""

IN_EVERY_CONFIG = frozenset({*NEEDED, *NONE, *ACROSS_GROUPS, "callbacks", "logger"})
"""Groups of which every config has an option, or none that may be chosen without a ``+``."""

_NULL = re.compile(r"(?<![^,])(?:null)?(?![^,])", re.IGNORECASE)
"""Null or nothing, alone or as one of a sweep's values."""

_HIDDEN = re.compile(r"(?<![^,\[])_\w+(?![^,\]])")
"""A file that is not an option, alone or as one of several."""


def written_out(overrides: Sequence[str]) -> list[str]:
    """Write out overrides that Hydra refuses or misreads although their meaning is clear.

    ``GROUP=null`` and ``~GROUP`` choose the option that leaves the group out, ``+GROUP=`` chooses
    as ``GROUP=`` does, and the path of data that exist is a path whatever characters are in it.

    Raises:
        UserError: A group that every run needs is left out, or what is chosen is not an option.
    """
    options = groups()
    return [_written_out(override, options) for override in overrides]


def _written_out(override: str, options: dict[str, list[str]]) -> str:
    name, equals, value = override.partition("=")
    key = name.lstrip("+~")
    may_be_path = key.startswith("data.") and value and (value[0] == "~" or exists(value))
    if may_be_path and key in path_keys_of_options():
        return f"{name}={quoted(value)}"
    if key not in options or (name != key and key not in IN_EVERY_CONFIG):
        is_group = key in options or "/" in key or key == "hydra"
        if is_group and equals and value.lower() in ("", "null"):
            raise UserError(f"{override} names no option. Expected {name}=OPTION.")
        return override
    if name.startswith("~"):
        value = "null"  # what is left out may be named: ~scheduler=cosine
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


def quoted(text: str) -> str:
    r"""Quote a text for Hydra, in which a backslash counts only before a quote or at the end."""
    escaped = re.sub(
        r"(\\*)(\"|$)", lambda found: found[1] * 2 + found[2].replace('"', '\\"'), text
    )
    return f'"{escaped}"'
