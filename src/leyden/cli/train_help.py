"""Text of ``leyden train --help``; Hydra's own help takes twice as long to print."""

from collections.abc import Sequence
from textwrap import fill, indent

from omegaconf import OmegaConf

from leyden.config.compose import compose
from leyden.config.options import groups
from leyden.config.projects import conf_folders

USAGE = """usage: leyden train [GROUP=OPTION …] [KEY=VALUE …]

Trains a network, then tests its best checkpoint. Without arguments, it trains a small CNN on
handwritten digits with AdamW and a one-cycle schedule. The network and the task follow from the
data unless they are given.

  run=RUN       continue this run in its own folder; with --rerun, repeat it in a new one
  resume=auto   continue the newest unfinished run or sweep of this config, or start a new one
  -m            sweep over lists of values: KEY=VALUE,VALUE,…, and rank what they give
  seeds=N       sweep over N seeds, from seed=S on, or from 0
  retries=N     train a failed job of a sweep again, up to N times
  dry_run=true  list the jobs of a sweep and stop
  --cfg job     print the composed config and stop"""

WIDTH = 98


def help_text(overrides: Sequence[str]) -> str:
    """Return the usage, the groups with their options, and the config that overrides compose."""
    found = groups()
    column = max(map(len, found)) + 4
    listed = [
        fill(
            "  ".join(options),
            WIDTH,
            initial_indent=f"  {group}".ljust(column),
            subsequent_indent=" " * column,
        )
        for group, options in found.items()
    ]
    folders = ", ".join(map(str, conf_folders()))
    parts = (
        USAGE,
        f"Groups and their options, which are files in {folders}:",
        "\n".join(listed),
        "The config, every key of which can be changed:",
        indent(OmegaConf.to_yaml(compose(overrides)), "  "),
    )
    return "\n\n".join(parts)
