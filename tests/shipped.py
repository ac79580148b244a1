"""The options that come with Leyden, as README.md lists them; all others are a person's own.

Tests that walk ``conf/`` judge these alone, so that nobody's own files make them fail. That the
list is complete is a test of its own, which only ``-m release`` runs.
"""

import re
from pathlib import Path

from leyden.config.compose import groups

README = (Path(__file__).parents[1] / "README.md").read_text()

SHOWN: dict[str, list[str]] = {
    group: re.findall(r"`(\w+)`", options)
    for group, options in re.findall(r"^\| `([a-z/]+)` \| (.+) \|$", README, re.MULTILINE)
}

OPTIONS: dict[str, list[str]] = {
    group: [option for option in SHOWN.get(group, ()) if option in options]
    for group, options in groups().items()
    if group in SHOWN
}
"""Those that are here; a person may have removed some."""
