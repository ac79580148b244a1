"""What makes a checkpoint self-contained."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from leyden.errors import UserError

KEY = "leyden"
"""Where the record stands in a checkpoint."""

DATA_FINGERPRINT = "data_fingerprint"
"""Where the digest of all rows stands in the record."""

SPLIT_FINGERPRINT = "split_fingerprint"
"""Key of the digest of the rows in each split."""


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
        """Refuse other rows or splits: rows that were learned could be tested.

        Raises:
            UserError: the data are not those that the run has learned from.
        """
        if change := data_change(checkpoint[KEY], self.record):
            raise UserError(
                f"{change} Give the data that the run had, or repeat it on these: "
                f"leyden train run={trainer.default_root_dir} --rerun"
            )


def data_change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return how the data of two records differ, as a sentence; ``""`` if they do not."""
    for key, what in (
        (DATA_FINGERPRINT, "The data have"),
        (SPLIT_FINGERPRINT, "The splits of the data have"),
    ):
        if before.get(key) != now[key]:
            return (
                f"{what} changed since the run learned from them (fingerprint {before.get(key)}, "
                f"now {now[key]}), so rows that it has learned could be tested."
            )
    return ""
