"""``leyden evaluate run=RUN``: metrics of a finished run."""

from collections.abc import Sequence

from leyden.cli.arguments import split
from leyden.cli.logs import quiet, tame_lightning
from leyden.cli.startup import importing
from leyden.config.origins import convert_errors
from leyden.config.shorthands import expand_shorthands
from leyden.errors import UserError
from leyden.printable import shorten_float32
from leyden.runs.folder import as_json, find_run

USAGE = """usage: leyden evaluate run=RUN [KEY=VALUE …]

Prints the metrics of a run on its validation and test splits, as JSON. RUN is a run folder or a
checkpoint. Overrides change the run's own config: trainer=cpu, data.batch_size=512, …

Another path of the data, such as data.root=PATH or data.path=FILE, measures all rows found there as
one test split. Data that have changed since the run was trained on them are refused, unless
changed_data=allow is given."""


def run(words: Sequence[str]) -> None:
    """Run the command."""
    arguments = split(words, "run", "changed_data")
    chosen = arguments.required("run", "leyden evaluate run=runs/digits/TIME")
    arguments.refuse_bare()
    allowed = arguments.one("changed_data")
    if allowed not in (None, "allow"):
        raise UserError(f"changed_data={allowed} is unknown. Expected changed_data=allow.")
    find_run(chosen)  # reports a wrong path before the slow import of torch
    quiet()
    with importing():
        from leyden.workflows.evaluate import evaluate

    tame_lightning()
    with convert_errors(arguments.overrides):
        overrides, is_allowed = expand_shorthands(arguments.overrides), allowed is not None
        metrics = evaluate(chosen, overrides, allow_changed_data=is_allowed)
        print(as_json({name: shorten_float32(value) for name, value in metrics.items()}))
