"""What makes a checkpoint self-contained."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

KEY = "leyden"
"""Where the record stands in a checkpoint."""


class RunRecord(Callback):
    """Writes the run's record into every checkpoint, beside Lightning's own entries.

    Args:
        record: plain containers: the config, versions, git revision, data fingerprint.
    """

    def __init__(self, *, record: Mapping[str, Any]) -> None:
        self.record = dict(record)

    def on_save_checkpoint(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        checkpoint: dict[str, Any],
    ) -> None:
        """Add the record, and the data module's fitted preprocessing under a fixed name."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        checkpoint[KEY] = {**self.record, "data": data.state_dict()}
