"""The options that come with Leyden, as docs/training.md lists them; others are a user's own.

Tests that walk ``conf/`` cover these only, so that no file of a user makes them fail. A test that
only ``-m release`` runs checks that the list is complete.
"""

import re
from pathlib import Path

from leyden.config.compose import groups

OPTIONS_PAGE = (Path(__file__).parents[1] / "docs" / "training.md").read_text()

SHOWN: dict[str, list[str]] = {
    group: re.findall(r"`(\w+)`", options)
    for group, options in re.findall(r"^\| `([a-z_/]+)` \| (.+) \|$", OPTIONS_PAGE, re.MULTILINE)
}

OPTIONS: dict[str, list[str]] = {
    group: [option for option in SHOWN.get(group, ()) if option in options]
    for group, options in groups().items()
    if group in SHOWN
}
"""Those that exist; a user may have removed some."""
