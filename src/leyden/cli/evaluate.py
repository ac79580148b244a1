"""``leyden evaluate run=RUN``: metrics of a finished run."""

import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from leyden.cli.arguments import split
from leyden.cli.logs import quiet, tame_lightning
from leyden.cli.startup import importing
from leyden.config.origins import convert_errors
from leyden.config.shorthands import expand_shorthands
from leyden.errors import UserError
from leyden.printable import printable, shorten_float32
from leyden.runs.folder import as_json, find_run

if TYPE_CHECKING:
    from leyden.workflows.evaluate import Evaluation

log = logging.getLogger(__name__)

USAGE = """usage: leyden evaluate run=RUN [KEY=VALUE …]

Prints the metrics of a run on its validation and test splits, as JSON. RUN is a run folder or a
checkpoint. Overrides change the run's own config: trainer=cpu, data.batch_size=512, …

Of classes and labels, precision, recall and F1 of each are printed on standard error, with 95 %
intervals, for the test split. They are written to classes.csv in the run folder, for both splits,
and the numbers of rows by target and predicted class to confusion.csv.

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
        from leyden.workflows.evaluate import measure

    tame_lightning()
    with convert_errors(arguments.overrides):
        overrides, is_allowed = expand_shorthands(arguments.overrides), allowed is not None
        found = measure(chosen, overrides, allow_changed_data=is_allowed)
    print(as_json({name: shorten_float32(value) for name, value in found.metrics.items()}))
    if found.confusions:
        _report_classes(found)


def _report_classes(found: "Evaluation") -> None:
    """Print the figures of each class of one split, and write those of all splits."""
    from leyden.comparison.class_figures import as_text, write_classes, write_confusion

    split = [*found.confusions][-1]  # test, unless it has no rows
    shown = as_text(found.confusions[split], found.class_names)
    print(f"\nclasses of the {split} split:\n{printable(shown)}", file=sys.stderr)
    if not (found.is_of_own_data and found.folder.config.is_file()):
        return
    folder = found.folder
    try:
        write_classes(found.confusions, found.class_names, folder.classes)
        if all(each.ndim == 2 for each in found.confusions.values()):
            write_confusion(found.confusions, found.class_names, folder.confusion)
    except OSError as error:
        log.warning("%s is not written: %s", folder.classes, error.strerror)
