"""``leyden consolidate run=RUN``: writes a sharded checkpoint to one file."""

from collections.abc import Sequence

from leyden.cli.arguments import split
from leyden.cli.logs import quiet
from leyden.errors import UserError
from leyden.runs.folder import find_run

USAGE = """usage: leyden consolidate run=RUN [to=FILE]

Writes one ordinary checkpoint file from a checkpoint that several ranks wrote with trainer=fsdp,
and prints its path. RUN is a run folder, whose best checkpoint is read, or a checkpoint. FILE is
the path of a new file that ends in .ckpt. By default it is beside the checkpoint: best-whole.ckpt
for best.ckpt."""


def run(words: Sequence[str]) -> None:
    """Run the command."""
    arguments = split(words, "run", "to")
    example = "leyden consolidate run=runs/digits/TIME"
    chosen = arguments.required("run", example)
    arguments.refuse_bare()
    if arguments.overrides:
        unknown = arguments.overrides[0]
        raise UserError(f"{unknown} is not understood. Expected for example: {example}")
    find_run(chosen)  # reports a wrong path before the slow import of torch
    quiet()
    from leyden.workflows.consolidate import consolidate

    print(consolidate(chosen, arguments.one("to")))
