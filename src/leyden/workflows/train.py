"""Training a run: fit, then test the best checkpoint."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.fabric.utilities.logger import _flatten_dict
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import BackboneFinetuning, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger

from leyden.callbacks.exact_resume import ExactResume
from leyden.callbacks.finite_loss import FiniteLoss, RollbackError
from leyden.callbacks.history import MetricHistory, stage_metrics
from leyden.callbacks.run_record import RunRecord
from leyden.callbacks.stop_request import GracefulStop, StopRequest, stopping_on_signals
from leyden.checkpoints.io import load_checkpoint, newest_intact
from leyden.checkpoints.record import DATA_FINGERPRINT, SPLIT_FINGERPRINT
from leyden.config.compose import Config, to_plain
from leyden.config.data_paths import path_keys
from leyden.data.base import DataModule
from leyden.data.cleaning.steps import format_report
from leyden.data.rows import SPLITS
from leyden.errors import UserError
from leyden.ranks.environment import rank
from leyden.runs.fixed_keys import config_in_force
from leyden.runs.folder import RunFolder, write_json
from leyden.runs.provenance import provenance
from leyden.tasks.base import Task
from leyden.workflows.assembly import (
    build_data,
    build_task,
    build_trainer,
    is_sharded,
    set_global_state,
)
from leyden.workflows.convergence import warn_of_short_run
from leyden.workflows.evaluate import only_loader
from leyden.workflows.hardware import peak_memory, reset_peak_memory

log = logging.getLogger(__name__)

TUNED = ("data", "network", "loss", "parameter_groups", "optimizer", "scheduler")
"""Groups whose keys are logged as hyperparameters."""


def train(config: Config, folder: RunFolder) -> dict[str, float]:
    """Start a run in a folder, or continue the run that is in it.

    Args:
        config: A frozen and checked config.
        folder: The run folder; training continues from its last checkpoint, if there is one.

    Returns:
        The final metrics by stage and name, such as ``test/accuracy``.

    Raises:
        UserError: If the config, the data or a checkpoint is refused.
        InterruptedRunError: If the run was stopped, and can be continued.
    """
    with stopping_on_signals() as request:
        if rank() > 0:
            return _fit_and_test(config, folder, request)[0]
        with folder.held(), config_in_force(folder, config):
            return _recorded(config, folder, request)


def _recorded(config: Config, folder: RunFolder, request: StopRequest) -> dict[str, float]:
    """Train, and record the state of the run in its folder."""
    try:
        with folder.record_state() as notes:
            metrics, found = _fit_and_test(config, folder, request)
            notes.update(found)
            write_json(folder.metrics, metrics)
    except MisconfigurationException as error:
        raise UserError(f"Lightning refused the config: {error}") from error
    return metrics


def _fit_and_test(
    config: Config, folder: RunFolder, request: StopRequest
) -> tuple[dict[str, float], dict[str, Any]]:
    """Train and test; return the metrics, and what the status notes about them."""
    set_global_state(config)
    reset_peak_memory()
    data = build_data(config)
    data.prepare_data()
    data.setup("fit")
    _report_data(data, folder)
    task, trainer = _fit(config, folder, data, request)
    short = warn_of_short_run(trainer, next(_all(trainer, MetricHistory), None))
    metrics, warnings = _measure(trainer, task, data, folder)
    warnings += short
    for warning in warnings:
        log.warning(warning)
    _log_final(config, folder, trainer, metrics)
    mode = config.mode or task.modes.get(config.monitor)
    return metrics, {"warnings": warnings, "mode": mode} | _describe(data, task)


def _describe(data: DataModule, task: Task) -> dict[str, Any]:
    """Return what reports need to know about a run besides its config and its metrics."""
    return {
        "rows": {split: len(data.row_numbers(split)) for split in SPLITS},
        DATA_FINGERPRINT: data.fingerprint(),
        SPLIT_FINGERPRINT: data.split_fingerprint(),
        "parameters": sum(each.numel() for each in task.network.parameters()),
        "peak_memory": peak_memory(),
    }


def _measure(
    trainer: Trainer, task: Task, data: DataModule, folder: RunFolder
) -> tuple[dict[str, float], list[str]]:
    """Test the best checkpoint, or the last weights if there is none."""
    warnings = _unvalidated(trainer)
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for average in list(_all(trainer, WeightAveraging)):
        callbacks.remove(average)  # it would replace the weights for the validation
    metrics = stage_metrics(trainer.callback_metrics)
    if folder.best.exists():
        # Given ckpt_path, the trainer would let callbacks restore their averaged weights too.
        task.load_state_dict(trainer.strategy.load_checkpoint(folder.best)["state_dict"])
        metrics = _metrics_of_best(trainer, folder)
    else:
        warnings.append("The run has no best checkpoint: the last weights were measured.")
    if not _of_stage(metrics, "val"):
        metrics |= only_loader(trainer.validate(task, datamodule=data, verbose=False))
    metrics |= only_loader(trainer.test(task, datamodule=data, verbose=False))
    warnings += [
        f"The run was not {measure}: trainer.limit_{stage}_batches=0 leaves no batch."
        for stage, measure in (("val", "validated"), ("test", "tested"))
        if not _of_stage(metrics, stage)
    ]
    if not folder.last.exists():
        warnings.append("The run has no checkpoint, because it lacks callbacks.checkpoint.")
    return metrics, warnings


def _unvalidated(trainer: Trainer) -> list[str]:
    """Return a warning if the weights changed after the last validation."""
    history = next(_all(trainer, MetricHistory), None)
    step = trainer.global_step if history is None else history.validated_step
    if step is None or step == trainer.global_step or trainer.limit_val_batches == 0:
        return []
    return [
        f"The run ended at step {trainer.global_step}, but was last validated at step {step}: the "
        "last weights were not measured."
    ]


def _fit(
    config: Config, folder: RunFolder, data: DataModule, request: StopRequest
) -> tuple[Task, Trainer]:
    """Train from the last checkpoint to the end, skipping batches whose loss was not finite."""
    left_out: set[tuple[int, int]] = set()
    while True:
        set_global_state(config)
        task = build_task(config, data, lazy_network=is_sharded(config))
        record = RunRecord(record=_record(config, data))
        stop = GracefulStop(request=request)
        trainer = build_trainer(
            config, folder.path, task=task, first=[record, ExactResume()], last=stop
        )
        _check(trainer, task)
        for callback in _all(trainer, FiniteLoss):
            callback.left_out |= left_out
        try:
            for logger in trainer.loggers:
                compares = isinstance(logger, TensorBoardLogger)
                logger.log_hyperparams(_compared(config, folder) if compares else _tuned(config))
            _report_ranks(trainer, data, config)
            checkpoint = newest_intact((folder.last, folder.previous))
            trainer.fit(task, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        except RollbackError as error:
            log.warning("the loss is not finite: resuming without %s", error)
            left_out.add((error.step.epoch, error.step.batch))
        else:
            if trainer.global_step == 0:
                raise UserError(
                    "Nothing was trained: the run ended before its first step. Raise "
                    f"trainer.max_time={config.trainer.get('max_time')}."
                )
            return task, trainer


C = TypeVar("C", bound=Callback)


def _all(trainer: Trainer, kind: type[C]) -> Iterator[C]:
    """Yield the callbacks of a class."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return (each for each in callbacks if isinstance(each, kind))


def _check(trainer: Trainer, task: Task) -> None:
    """Raise if a run would train nothing, or has callbacks that cannot work.

    Raises:
        UserError: If a limit is zero, two callbacks average the weights, or a callback needs a
            ``backbone``.
    """
    for name in ("max_epochs", "max_steps", "limit_train_batches"):
        if getattr(trainer, name) == 0:
            raise UserError(
                f"trainer.{name}=0 trains nothing. Expected more, or `leyden evaluate run=RUN` to "
                "measure a run."
            )
    if len(averages := [type(each).__name__ for each in _all(trainer, WeightAveraging)]) > 1:
        raise UserError(
            f"Only one average of the weights can be tested, but callbacks contain "
            f"{' and '.join(averages)}. Remove all but one."
        )
    if any(_all(trainer, BackboneFinetuning)) and not hasattr(task, "backbone"):
        raise UserError(
            "BackboneFinetuning needs a module with a `backbone`, which tasks do not have. "
            "Derive a callback from lightning.pytorch.callbacks.BaseFinetuning that freezes layers "
            "of `pl_module.network`."
        )


def _report_data(data: DataModule, folder: RunFolder) -> None:
    cached = data.cached
    report = data.cleaning_report()
    if rank() == 0:
        write_json(folder.cleaning, report.as_dict())
    log.info(format_report(report))
    counts = ", ".join(f"{split} {len(data.row_numbers(split))}" for split in SPLITS)
    classes = f"{len(cached.class_names)} classes" if cached.class_names else "no classes"
    log.info("data: %s, %s; rows: %s", data.name, classes, counts)


def _report_ranks(trainer: Trainer, data: DataModule, config: Config) -> None:
    """Log the total batch size of several ranks, to which the learning rate is not scaled."""
    ranks, batches = trainer.world_size, trainer.accumulate_grad_batches
    if ranks == 1:
        return
    rows = ranks * data.batch_size * batches
    log.info(
        "each optimizer step: %d ranks x %d rows x %d batches = %d rows; optimizer.lr=%s is used "
        "as given. If it was chosen for one rank, multiply it by %d for SGD, by %.3g for Adam",
        *(ranks, data.batch_size, batches, rows, config.optimizer.get("lr"), ranks, ranks**0.5),
    )


def _record(config: Config, data: DataModule) -> dict[str, Any]:
    return {
        "config": to_plain(config),
        "class_names": list(data.spec.class_names),
        DATA_FINGERPRINT: data.fingerprint(),
        SPLIT_FINGERPRINT: data.split_fingerprint(),
        **provenance(),
    }


def _metrics_of_best(trainer: Trainer, folder: RunFolder) -> dict[str, float]:
    """Return the validation metrics of the best checkpoint, and the training loss of its epoch."""
    best = load_checkpoint(folder.best, only=())
    state = best["callbacks"].get(MetricHistory.__qualname__)
    if state is None:
        return {}
    rows = [row for each in _all(trainer, MetricHistory) for row in each.rows]
    epoch = next((row for row in rows if row["epoch"] == best["epoch"]), {})
    validated = state["validated"] or state["rows"][-1]
    return _of_stage(epoch, "train") | _of_stage(validated, "val")


def _of_stage(metrics: Mapping[str, float], stage: str) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name.startswith(f"{stage}/")}


def _tuned(config: Config) -> dict[str, Any]:
    """Return the hyperparameters: the seed, and the tuned groups as dotted keys."""
    plain = to_plain(config, resolve=True)
    nodes = {group: plain.get(group) or {} for group in TUNED}
    tuned = {group: str(node.get("_target_")).rpartition(".")[2] for group, node in nodes.items()}
    places = {"data.cache_dir", *path_keys(plain["data"])}
    for key, value in _flatten_dict(nodes, delimiter=".").items():
        if key not in places and "._" not in key:
            tuned[key] = str(value) if isinstance(value, list) else value
    return {"seed": config.seed, **tuned}


def _log_final(
    config: Config, folder: RunFolder, trainer: Trainer, metrics: Mapping[str, float]
) -> None:
    """Log the final metrics; in TensorBoard with what the run is compared by."""
    # The prefix keeps the curves apart: TensorBoard drops one that gets another value at step 0.
    final = {f"final/{name}": value for name, value in metrics.items()}
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(_compared(config, folder), final)
        else:
            logger.log_metrics(final)


def _compared(config: Config, folder: RunFolder) -> dict[str, Any]:
    """Return the seed, and what the sweep or the command overrode.

    HParams has a column for each of them, and a person looks for the few that differ.
    """
    overrides = folder.read_job().get("overrides", {})
    shown = {key: value for key, value in overrides.items() if key != "data.cache_dir"}
    plain = {k: v if isinstance(v, int | float | str) else str(v) for k, v in shown.items()}
    return plain | {"seed": config.seed}
