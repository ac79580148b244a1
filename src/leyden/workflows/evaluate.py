"""Evaluate: metrics of a finished run."""

from collections.abc import Mapping, Sequence

from leyden.workflows.finished import load_run, single_process_trainer
from leyden.workflows.parts import set_global_state


def evaluate(run: str, overrides: Sequence[str] = ()) -> dict[str, float]:
    """Measure a run's checkpoint on the validation and test parts of its data.

    Args:
        run: a run folder or a checkpoint file.
        overrides: changes to the run's own config, such as ``data.root`` for other data.

    Returns:
        Metrics by stage and name.
    """
    finished = load_run(run, overrides)
    set_global_state(finished.config)
    trainer = single_process_trainer(finished)
    metrics: dict[str, float] = {}
    for measure in (trainer.validate, trainer.test):
        metrics |= measured(measure(finished.task, datamodule=finished.data, verbose=False))
    return metrics


def measured(results: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the metrics of the only loader; there are none if a limit leaves it no batch."""
    return dict(results[0]) if results else {}
