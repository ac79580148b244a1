"""Calibrating a finished run: its temperature and its decision threshold."""

from typing import Any

import numpy as np

from leyden.checkpoints.io import SafeCheckpointIO, load_checkpoint
from leyden.checkpoints.record import CALIBRATION, KEY
from leyden.comparison.calibration import calibration_error, choose_threshold, fit_temperature
from leyden.comparison.predictions import predict_held_out
from leyden.errors import UserError
from leyden.runs.folder import write_json
from leyden.workflows.finished import load_run

LEAST = np.finfo(np.float32).tiny
"""Lower bound of probabilities, because float32 rounds smaller ones to 0."""


def calibrate(run: str, *, threshold: str | None = None) -> dict[str, Any]:
    """Fit a temperature on held-out rows, and write it into the run's checkpoint.

    Afterwards ``predict`` and ``evaluate`` divide the logits by it, so that the probabilities agree
    with the frequencies of the classes; the loss stays that of the logits. A run that was
    calibrated before is calibrated anew.

    Args:
        run: Run folder, of which the best checkpoint is calibrated, or checkpoint.
        threshold: Metric that the decision threshold of two classes is chosen by; ``None`` for
            the more probable class.

    Returns:
        The temperature, the threshold, and the expected calibration error before and after, on
        the rows that the temperature was fitted on.

    Raises:
        UserError: If the run cannot be restored, does not predict classes, or is one of several
            ranks.
    """
    finished = load_run(run, calibrated=False)
    if finished.checkpoint.is_dir():
        raise UserError(
            f"{finished.checkpoint} is sharded. Write one file from it first: "
            f"leyden consolidate run={run}"
        )
    held_out = predict_held_out(finished)
    if threshold is not None and len(held_out.class_names) != 2:
        raise UserError(
            f"threshold={threshold} decides between two classes, but the run has "
            f"{len(held_out.class_names)}. Leave it out."
        )
    logits = np.log(held_out.probabilities.clip(min=LEAST))
    targets = held_out.targets
    temperature = fit_temperature(logits, targets)
    scaled = np.exp(logits / temperature)
    scaled /= scaled.sum(axis=1, keepdims=True)
    value = None
    if threshold is not None:
        value = choose_threshold(scaled[:, 1], targets, metric=threshold).value
    settings = {"temperature": temperature, "threshold": value}
    checkpoint = load_checkpoint(finished.checkpoint)
    checkpoint[KEY][CALIBRATION] = settings
    SafeCheckpointIO().save_checkpoint(checkpoint, finished.checkpoint)
    report = settings | {
        "threshold_chosen_by": threshold,
        "rows": len(targets),
        "calibration_error_before": calibration_error(held_out.probabilities, targets),
        "calibration_error": calibration_error(scaled, targets),
    }
    write_json(finished.folder.path / "calibration.json", report)
    return report
