"""Predicted probabilities of rows that a network was not trained on, beside their targets."""

from typing import Any

import numpy as np
import torch

from leyden.comparison.out_of_fold import Predictions, read_out_of_fold
from leyden.data.base import DataModule
from leyden.errors import UserError
from leyden.schema import PROBABILITY
from leyden.tasks.classification import Classification
from leyden.workflows.finished import FinishedRun, inference_trainer


def predict_held_out(run: FinishedRun) -> Predictions:
    """Predict rows that a run was not trained on: out of fold, or its validation split.

    Raises:
        UserError: If the run does not predict one class per row, or has no such rows.
    """
    if not isinstance(run.task, Classification):
        raise UserError(
            f"{run.checkpoint} was trained by {type(run.task).__name__}, which predicts no "
            "probability for each of several classes. Expected a run with task=classification."
        )
    file = run.folder.predictions
    if file.is_file():
        return read_out_of_fold(file)
    if not isinstance(run.data, DataModule):
        raise UserError(
            f"{run.checkpoint} is an ensemble, and {file.name} is missing from its folder. Give "
            "the folder of the cross-validation as `leyden crossval` left it."
        )
    return _predict_validation(run, run.data, tuple(run.task.spec.class_names))


def _predict_validation(
    run: FinishedRun, data: DataModule, class_names: tuple[str, ...]
) -> Predictions:
    data.prepare_data()
    data.setup("test")
    if not len(data.row_numbers("val")):
        raise UserError(
            f"{run.checkpoint} has no validation rows. Expected data.splitter.val_fraction above 0 "
            "when it was trained, or a cross-validation."
        )
    data.predict_split = "val"
    loader: Any = data.predict_dataloader()
    rows = torch.cat([rows for _, rows in loader.order]).numpy()
    run.task.every_probability = True
    batches: Any = inference_trainer(run).predict(run.task, datamodule=data)
    columns = [[batch[PROBABILITY + name] for name in class_names] for batch in batches]
    return Predictions(
        probabilities=np.concatenate([np.array(each, np.float64).T for each in columns]),
        targets=data.cached.targets[rows].astype(np.int64),
        class_names=class_names,
    )
