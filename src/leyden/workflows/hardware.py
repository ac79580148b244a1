"""Settings that follow from the hardware, and the memory that a run took."""

import re
import resource
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

CPUINFO = Path("/proc/cpuinfo")

BFLOAT16_FLAGS = re.compile(r"\b(avx512_bf16|amx_bf16)\b")
"""Instruction sets of x86 that multiply in bfloat16 faster than in float32."""

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def precision_of(trainer: Mapping[str, Any], network: nn.Module) -> Any:
    """Return the precision that a trainer's config asks for, as Lightning takes it.

    ``auto`` is ``bf16-mixed`` for networks with convolutions if the hardware multiplies in
    bfloat16: they take half the time and are as accurate. Otherwise it is ``32-true``: tables and
    regression need more than the 8 significant bits of bfloat16, and for small matrices the casts
    cost more than bfloat16 saves.

    Args:
        trainer: The config's ``trainer`` node.
        network: The network, or the task that holds it.
    """
    precision = trainer.get("precision")
    if precision != "auto":
        return precision
    convolves = any(isinstance(module, CONVOLUTIONS) for module in network.modules())
    accelerator = str(trainer.get("accelerator"))
    return "bf16-mixed" if convolves and _multiplies_in_bfloat16(accelerator) else "32-true"


def _multiplies_in_bfloat16(accelerator: str) -> bool:
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if accelerator == "cpu" or (accelerator == "auto" and not torch.mps.is_available()):
        return CPUINFO.is_file() and bool(BFLOAT16_FLAGS.search(CPUINFO.read_text()))
    return False


def reset_peak_memory() -> None:
    """Forget the peaks of what this process did before, such as an earlier job of a sweep."""
    with suppress(OSError):  # it is a file of Linux alone
        Path("/proc/self/clear_refs").write_text("5")
    if _uses_gpus():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> dict[str, int]:
    """Return the most bytes that this process has held in main memory, and of GPUs if it used any.

    Where peaks cannot be reset they are those since the start of the process.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    peaks = {"main": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if _uses_gpus():
        gpus = range(torch.cuda.device_count())
        peaks["gpu"] = max(torch.cuda.max_memory_allocated(number) for number in gpus)
    return peaks


def _uses_gpus() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
