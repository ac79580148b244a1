"""What makes a checkpoint self-contained."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

KEY = "leyden"
"""Where the record stands in a checkpoint."""

MOVED = ("best_model_path", "kth_best_model_path", "last_model_path")
"""Paths in the state of Lightning's checkpoint callback."""


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
        """Find the best checkpoint so far again, in a run folder that was moved too.

        Lightning forgets the best value when the folder differs, and would then overwrite the best
        checkpoint by the next one, however bad.
        """
        for callback in trainer.checkpoint_callbacks:
            state = checkpoint["callbacks"].get(callback.state_key)
            if state and isinstance(callback, ModelCheckpoint):
                old, new = str(state["dirpath"]), str(callback.dirpath)
                best = state["best_k_models"]
                state["dirpath"] = new
                state["best_k_models"] = {_moved(path, old, new): best[path] for path in best}
                for key in MOVED:
                    state[key] = _moved(state[key], old, new)


def _moved(path: str, old: str, new: str) -> str:
    return new + path.removeprefix(old) if path.startswith(old) else path
