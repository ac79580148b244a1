"""Evaluate: metrics of a finished run."""

from collections.abc import Sequence
from typing import Any

from leyden.config.build import build
from leyden.workflows.finished import load_run
from leyden.workflows.parts import precision_of, set_global_state


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
    # One process counts every row once; ranks would have to be launched, and would all print.
    alone: dict[str, Any] = {}
    if finished.config.trainer.get("strategy", "auto") != "auto":
        alone = {"strategy": "auto", "devices": 1, "num_nodes": 1}
    trainer = build(
        finished.config,
        "trainer",
        **precision_of(finished.config, finished.task),
        logger=False,
        callbacks=[],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **alone,
    )
    metrics: dict[str, float] = {}
    for measure in (trainer.validate, trainer.test):
        metrics |= measure(finished.task, datamodule=finished.data, verbose=False)[0]
    return metrics
