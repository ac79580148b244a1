"""What Lightning's trainer would do to a task, corrected: one function each."""

from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.plugins import MixedPrecision, Precision
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import GradClipAlgorithmType
from torch.optim import Optimizer
from torch.utils._pytree import tree_leaves


def keep_batches_exact(trainer: Trainer) -> None:
    """Keep the trainer from casting raw batches to the precision of the network.

    Targets and raw inputs would lose digits before they are normalised.
    """
    trainer.precision_plugin.convert_input = _unchanged  # type: ignore[method-assign, assignment]


def cast_batches_again(trainer: Trainer) -> None:
    """Undo ``keep_batches_exact``: a trainer may go on to run other modules."""
    vars(trainer.precision_plugin).pop("convert_input", None)


def attach_data(module: LightningModule, stage: str) -> None:
    """Attach the data module of a loader that the trainer was given without it.

    Batches are normalised in a hook of the data module, which Lightning calls only if the trainer
    was given the data module itself.

    Args:
        module: Module that the trainer is about to run.
        stage: Stage as Lightning passes it to ``setup``, such as ``fit``.
    """
    loop = getattr(module.trainer, f"{TrainerFn(stage).value}_loop")
    for loader in tree_leaves(loop._data_source.instance):  # noqa: SLF001
        data = getattr(loader, "data", None)
        if isinstance(data, LightningDataModule):
            module.trainer._data_connector.attach_datamodule(module, data)  # noqa: SLF001


def clips_in_bfloat16(trainer: Trainer) -> bool:
    """Whether gradients are those of mixed bfloat16, which are not scaled.

    For these Lightning refuses to clip the gradients of a fused optimizer, as it does in float16,
    where such an optimizer unscales gradients within its step.
    """
    plugin = trainer.precision_plugin
    return isinstance(plugin, MixedPrecision) and plugin.scaler is None


def clip_unscaled(
    trainer: Trainer, optimizer: Optimizer, value: float | None, algorithm: str | None
) -> None:
    """Clip gradients that are not scaled, by the trainer's settings unless others are given."""
    limit = trainer.gradient_clip_val if value is None else value
    kind = GradClipAlgorithmType(algorithm or trainer.gradient_clip_algorithm or "norm")
    Precision.clip_gradients(trainer.precision_plugin, optimizer, limit or 0.0, kind)


def _unchanged(batch: Any) -> Any:
    return batch
