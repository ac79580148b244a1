"""What the config leaves to the machine."""

import re
from pathlib import Path

import torch
from torch import nn

CPUINFO = Path("/proc/cpuinfo")

BFLOAT16_FLAGS = re.compile(r"\b(avx512_bf16|amx_bf16)\b")
"""Instructions of x86 by which a CPU multiplies in bfloat16 faster than in float32."""

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def fitting_precision(network: nn.Module, accelerator: str) -> str:
    """Choose the precision that ``trainer.precision=auto`` stands for.

    Convolutions in bfloat16 take half the time where the hardware multiplies in it and are as
    accurate. Tables and regression need more than its eight bits, and small matrices lose more by
    the casts than they gain.

    Args:
        network: what is trained.
        accelerator: as Lightning takes it.

    Returns:
        ``bf16-mixed`` or ``32-true``.
    """
    convolves = any(isinstance(module, CONVOLUTIONS) for module in network.modules())
    return "bf16-mixed" if convolves and _multiplies_in_bfloat16(accelerator) else "32-true"


def _multiplies_in_bfloat16(accelerator: str) -> bool:
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if accelerator == "cpu" or (accelerator == "auto" and not torch.mps.is_available()):
        return CPUINFO.is_file() and bool(BFLOAT16_FLAGS.search(CPUINFO.read_text()))
    return False
