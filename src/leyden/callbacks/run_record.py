"""The record of the run in each of its checkpoints, which makes them self-contained."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from leyden.checkpoints.record import KEY, describe_data_change
from leyden.errors import UserError


class RunRecord(Callback):
    """Writes the run's record into every checkpoint, beside Lightning's own entries.

    Args:
        record: Plain containers: config, versions, git revision, fingerprints of data and splits.
    """

    def __init__(self, *, record: Mapping[str, Any]) -> None:
        self.record = dict(record)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the record and the fitted preprocessing of the data module."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        checkpoint[KEY] = {**self.record, "data": data.state_dict()}

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Raise if rows or splits have changed, because training rows could then be tested.

        Raises:
            UserError: If the data or their splits are not those that the run was trained on.
        """
        if change := describe_data_change(checkpoint[KEY], self.record):
            raise UserError(
                f"{change} Give the data that the run had, or repeat it on these: "
                f"leyden train run={trainer.default_root_dir} --rerun"
            )
