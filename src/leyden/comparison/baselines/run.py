"""Fitting baselines to the data of a config, and measuring them on its splits."""

import logging
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from leyden.comparison.baselines.models import (
    Examples,
    Predictor,
    Problem,
    fit_constant,
    fit_linear,
)
from leyden.config.compose import Config
from leyden.data.base import DataModule
from leyden.data.features import Features  # noqa: TC001  # in a local annotation
from leyden.data.rows import Split
from leyden.data.targets import centre_targets
from leyden.errors import UserError
from leyden.workflows.assembly import build_data, set_global_state
from leyden.workflows.outputs import measure_outputs

log = logging.getLogger(__name__)

Fit = Callable[[Problem], Predictor]


def baselines() -> dict[str, Fit]:
    """Return the baselines by name; those of scikit-learn if it is installed."""
    plain: dict[str, Fit] = {"constant": fit_constant, "linear": fit_linear}
    try:
        from leyden.comparison.baselines import scikit_learn
    except ModuleNotFoundError as error:
        if error.name not in ("sklearn", "scipy"):
            raise
        log.warning(
            "gradient boosting and nearest neighbours are left out, because scikit-learn is not "
            "installed. To add them: pip install 'leyden[baselines]'"
        )
        return plain
    return plain | {
        "gradient_boosting": scikit_learn.fit_gradient_boosting,
        "nearest_neighbours": scikit_learn.fit_nearest_neighbours,
    }


def measure_baselines(config: Config) -> Iterator[tuple[str, dict[str, float]]]:
    """Fit each baseline on the training split, and measure it on validation and test.

    Args:
        config: Frozen and checked config, of which the data, the task and the seed are used.

    Yields:
        The name of a baseline, and its metrics by stage and name.

    Raises:
        UserError: If the targets of the data are sequences, or their kind has no features.
    """
    set_global_state(config)
    data = build_data(config)
    data.prepare_data()
    data.setup()
    problem = _problem(data, seed=config.seed)
    measured: list[tuple[Split, Features]] = [
        ("val", problem.val.features),
        ("test", data.features("test")),
    ]
    for name, fit in baselines().items():
        predict = fit(problem)
        outputs: dict[Split, Tensor] = {
            split: predict(rows) for split, rows in measured if len(rows)
        }
        yield name, measure_outputs(config, data, outputs)


def _problem(data: DataModule, *, seed: int) -> Problem:
    kind = data.target_counts["kind"]
    if kind == "sequence" or "num_outputs" not in data.network_sizes():
        raise UserError(
            f"Baselines predict classes, labels or numbers, but the targets of {data.name} are "
            "sequences. Choose other data."
        )
    return Problem(
        kind=kind,
        num_outputs=len(data.class_names or ()) or 1,
        train=_examples(data, "train"),
        val=_examples(data, "val"),
        seed=seed,
    )


def _examples(data: DataModule, split: Split) -> Examples:
    counts = data.target_counts
    targets = torch.from_numpy(centre_targets(data.cached, counts).targets[data.row_numbers(split)])
    if counts["kind"] == "number":
        # as in Regression.step
        targets = (targets[:, None] - counts["mean"]) / (counts["std"] or 1.0)
    elif counts["kind"] == "labels":
        targets = targets.float()
    return Examples(features=data.features(split), targets=targets)
