"""Corrections of Lightning's trainer that tasks need, one function each."""

from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.plugins import MixedPrecision, Precision
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import GradClipAlgorithmType
from torch.optim import Optimizer
from torch.utils._pytree import tree_leaves


def keep_batches_exact(trainer: Trainer) -> None:
    """Disable the conversion of raw batches to the precision of the network.

    Targets and raw inputs would lose digits before they are normalised.
    """
    trainer.precision_plugin.convert_input = _unchanged  # type: ignore[method-assign, assignment]


def cast_batches_again(trainer: Trainer) -> None:
    """Undo ``keep_batches_exact``, because the trainer may run other modules later."""
    vars(trainer.precision_plugin).pop("convert_input", None)


def attach_data(module: LightningModule, stage: str) -> None:
    """Attach the data module of a loader that was passed to the trainer on its own.

    Batches are normalised in a hook of the data module, which Lightning calls only if the data
    module itself was passed.

    Args:
        module: Module that the trainer will run.
        stage: Stage that Lightning passes to ``setup``, such as ``fit``.
    """
    loop = getattr(module.trainer, f"{TrainerFn(stage).value}_loop")
    for loader in tree_leaves(loop._data_source.instance):  # noqa: SLF001
        data = getattr(loader, "data", None)
        if isinstance(data, LightningDataModule):
            module.trainer._data_connector.attach_datamodule(module, data)  # noqa: SLF001


def clips_in_bfloat16(trainer: Trainer) -> bool:
    """Whether training uses bfloat16 mixed precision, in which gradients are not scaled.

    Lightning does not clip the gradients of fused optimizers in mixed precision, because such an
    optimizer unscales float16 gradients in its step.
    """
    plugin = trainer.precision_plugin
    return isinstance(plugin, MixedPrecision) and plugin.scaler is None


def clip_unscaled(
    trainer: Trainer, optimizer: Optimizer, value: float | None, algorithm: str | None
) -> None:
    """Clip gradients that are not scaled.

    Args:
        trainer: Trainer whose settings are the defaults.
        optimizer: Optimizer of the parameters.
        value: Largest norm or value; ``None`` is that of the trainer.
        algorithm: ``norm`` or ``value``; ``None`` is that of the trainer.
    """
    limit = trainer.gradient_clip_val if value is None else value
    kind = GradClipAlgorithmType(algorithm or trainer.gradient_clip_algorithm or "norm")
    Precision.clip_gradients(trainer.precision_plugin, optimizer, limit or 0.0, kind)


def _unchanged(batch: Any) -> Any:
    return batch
