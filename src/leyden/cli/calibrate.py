"""``leyden calibrate run=RUN``: a temperature and a decision threshold for a finished run."""

from collections.abc import Sequence

from leyden.cli.arguments import split
from leyden.cli.logs import quiet, tame_lightning
from leyden.cli.startup import importing
from leyden.errors import UserError
from leyden.runs.folder import as_json, find_run

USAGE = """usage: leyden calibrate run=RUN [threshold=accuracy|balanced_accuracy|f1]

Fits the temperature by which logits are divided, so that probabilities agree with frequencies, on
the validation split of a run or on the out-of-fold predictions of a cross-validation. It is written
into the checkpoint, and used by predict and evaluate from then on. Prints the expected calibration
error before and after, as JSON. RUN is a run folder or a checkpoint.

  threshold=METRIC  predict the second of two classes from the probability that maximises METRIC"""


def run(words: Sequence[str]) -> None:
    """Run the command.

    Raises:
        UserError: If an argument is not understood, or the run cannot be calibrated.
    """
    arguments = split(words, "run", "threshold")
    chosen = arguments.required("run", "leyden calibrate run=runs/digits/TIME")
    arguments.refuse_bare()
    if arguments.overrides:
        raise UserError(
            f"{arguments.overrides[0]}: a run is calibrated with the config that it was trained "
            "with. Leave it out."
        )
    find_run(chosen)  # reports a wrong path before the slow import of torch
    quiet()
    with importing():
        from leyden.comparison.calibrate import calibrate

    tame_lightning()
    print(as_json(calibrate(chosen, threshold=arguments.one("threshold"))))
