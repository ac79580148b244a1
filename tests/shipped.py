"""Options that come with Leyden, as listed in docs/training.md.

Tests of ``conf/`` cover these only, so that files of users cannot make them fail. A test that is
marked ``release`` checks that the list is complete.
"""

import re
from pathlib import Path

from leyden.config.options import groups

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
"""Listed options that exist, as users may have removed some."""
