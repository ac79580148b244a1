"""Stochastic weight averaging."""

import logging
import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import distributed
from torch.optim.swa_utils import update_bn

from leyden.callbacks.checkpoints import Checkpoints
from leyden.callbacks.history import MetricHistory
from leyden.errors import UserError

log = logging.getLogger(__name__)


class StochasticWeightAveraging(WeightAveraging):
    """Averages the weights at the ends of the last epochs.

    Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima" (arXiv:1803.05407). From the
    first averaged epoch on, the average is validated, saved and tested, and only averages compete
    for the best checkpoint. The schedule is not replaced: choose one whose learning rate stays
    high, such as ``constant``. The running statistics of batch norms are computed for the average
    in another pass over the training batches, in each averaged epoch.

    Lightning's own callback of this name sets the average after the last checkpoint has been
    written, and does not resume within an epoch.

    Args:
        swa_epoch_start: First averaged epoch, counted from 1, or the fraction of the epochs before
            it.

    Raises:
        ValueError: If it is neither an epoch nor a fraction.
    """

    def __init__(self, *, swa_epoch_start: float = 0.8) -> None:
        is_fraction = isinstance(swa_epoch_start, float)
        if not (0 <= swa_epoch_start < 1 if is_fraction else swa_epoch_start >= 1):
            raise ValueError(
                f"swa_epoch_start must be an epoch of at least 1 or a fraction in [0, 1), got "
                f"{swa_epoch_start}"
            )
        super().__init__(use_buffers=False)
        self.swa_epoch_start = swa_epoch_start
        self.first_epoch = 0

    @property
    def has_average(self) -> bool:
        """Whether any epoch has been averaged."""
        return self._average_model is not None and bool(self._average_model.n_averaged > 0)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Determine the first averaged epoch.

        Raises:
            UserError: If no epoch would be averaged, or the number of epochs is not known and a
                fraction is given.
        """
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self.first_epoch = _first_epoch(self.swa_epoch_start, trainer.max_epochs)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the weights at the end of an epoch to the average, before they are validated."""
        if not trainer.is_last_batch or trainer.current_epoch < self.first_epoch:
            return
        assert self._average_model is not None
        if not self.has_average:
            for callback in trainer.checkpoint_callbacks:
                if isinstance(callback, Checkpoints | MetricHistory):
                    callback.forget()
        self._average_model.update_parameters(pl_module)
        self._update_batch_norms(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Do nothing, because the average has been updated before the validation."""

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Switch to the averaged weights if there are any."""
        if self.has_average:
            super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Switch back to the trained weights."""
        if self.has_average:
            super().on_validation_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Copy the averaged weights into the network."""
        if self.has_average:
            super().on_train_end(trainer, pl_module)
        else:
            log.warning("training ended before callbacks.swa.swa_epoch_start: nothing was averaged")

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Save the average as the network if there is one, beside the trained weights."""
        if self.has_average:
            super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Restore the averaged weights if the checkpoint has any."""
        if "averaging_state" in checkpoint:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)

    def _update_batch_norms(self, trainer: Trainer, module: LightningModule) -> None:
        assert self._average_model is not None
        gpus = [module.device] if module.device.type == "cuda" else []
        # Dropout and shuffling must not advance the generators of the run.
        with torch.random.fork_rng(gpus), trainer.precision_plugin.forward_context():
            update_bn(_training_inputs(trainer), self._average_model)
        if trainer.world_size > 1:
            for buffer in self._average_model.module.buffers():
                distributed.broadcast(buffer, 0)  # checkpoints hold the buffers of the first rank


def _first_epoch(start: float, epochs: int | None) -> int:
    """Return the number of the first averaged epoch, from 0."""
    last = math.inf if epochs is None or epochs == -1 else epochs
    if isinstance(start, int) and start <= last:
        return start - 1
    if isinstance(start, float) and math.isfinite(last):
        return int(start * last)
    raise UserError(
        f"callbacks.swa.swa_epoch_start={start} is not an epoch of trainer.max_epochs={epochs}. "
        "Expected an epoch of the run, or a fraction in [0, 1) if trainer.max_epochs is set."
    )


def _training_inputs(trainer: Trainer) -> Iterator[Any]:
    """Yield the training batches of one epoch on their device, from a separate loader."""
    data = getattr(trainer, "datamodule", None)
    loader: Any = trainer.train_dataloader if data is None else data.train_dataloader()
    for batch in islice(loader, int(trainer.num_training_batches)):
        yield trainer.strategy.batch_to_device(batch)
