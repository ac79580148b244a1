"""What ``leyden train --help`` prints; Hydra's own help takes twice as long."""

from collections.abc import Sequence
from textwrap import fill, indent

from omegaconf import OmegaConf

from leyden.config.compose import compose, groups
from leyden.config.projects import conf_folders

USAGE = """usage: leyden train [GROUP=OPTION …] [KEY=VALUE …]

Fits a network, then tests its best checkpoint. Without any argument: handwritten digits, a small
CNN, AdamW and one cycle.

  run=RUN      continue this run in its own folder; with --rerun, repeat it in a new one
  resume=auto  continue the newest unfinished run of this config, else start one
  -m           sweep: KEY=VALUE,VALUE,…
  --cfg job    print the composed config and stop"""

COLUMN, WIDTH = 14, 98


def help_text(overrides: Sequence[str]) -> str:
    """Tell how the command is used, what can be chosen, and what the config then is."""
    listed = [
        fill(
            "  ".join(names),
            WIDTH,
            initial_indent=f"  {group}".ljust(COLUMN),
            subsequent_indent=" " * COLUMN,
        )
        for group, names in groups().items()
    ]
    folders = ", ".join(map(str, conf_folders()))
    parts = (
        USAGE,
        f"The groups, and the options of each, which are files in {folders}:",
        "\n".join(listed),
        "The config, of which every key can be changed:",
        indent(OmegaConf.to_yaml(compose(overrides)), "  "),
    )
    return "\n\n".join(parts)
