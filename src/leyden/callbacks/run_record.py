"""What makes a checkpoint self-contained."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from leyden.errors import UserError

KEY = "leyden"
"""Where the record stands in a checkpoint."""

FINGERPRINT = "data_fingerprint"
"""Where the digest of all rows stands in the record."""


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

    def on_load_checkpoint(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        checkpoint: dict[str, Any],
    ) -> None:
        """Refuse other rows: the parts would be drawn anew, and rows of one get into another.

        Raises:
            UserError: the data are not those that the run has learned from.
        """
        before, now = checkpoint[KEY].get(FINGERPRINT), self.record.get(FINGERPRINT)
        if before != now:
            raise UserError(
                f"The data have changed since the run learned from them (fingerprint {before}, now "
                f"{now}), so rows that it has learned could be tested. Give the data that it had, "
                f"or repeat it on these: leyden train run={trainer.default_root_dir} --rerun"
            )
