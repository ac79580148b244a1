"""``leyden evaluate run=RUN``: metrics of a finished run."""

from collections.abc import Sequence

from leyden.cli.arguments import split
from leyden.cli.logs import quiet, tame_lightning
from leyden.cli.startup import importing
from leyden.config.origins import worded
from leyden.runs.folder import as_json, find_run

USAGE = """usage: leyden evaluate run=RUN [KEY=VALUE …]

Prints the metrics of a run on its validation and test parts, as JSON. RUN is a run folder or a
checkpoint file. Overrides change the run's own config: data.root=PATH, trainer=cpu, …"""


def run(words: Sequence[str]) -> None:
    """Run the command."""
    if {"-h", "--help"} & set(words):
        print(USAGE)
        return
    arguments = split(words, "run")
    chosen = arguments.required("run", "leyden evaluate run=runs/digits/TIME")
    arguments.refuse_bare()
    find_run(chosen)  # tells of a wrong path before torch is imported
    quiet()
    with importing():
        from leyden.workflows.evaluate import evaluate

    tame_lightning()
    with worded(arguments.overrides):
        print(as_json(evaluate(chosen, arguments.overrides)))
