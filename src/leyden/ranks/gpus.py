"""Assigning a GPU to each of several jobs that run concurrently on one machine."""

import os
import tempfile
from itertools import count
from pathlib import Path

import torch
from filelock import FileLock, Timeout

VISIBLE = "CUDA_VISIBLE_DEVICES"

_held: list[FileLock] = []
"""Locks of this process, which are released when it ends."""


def take_gpu() -> None:
    """Restrict this process to the GPU with the fewest jobs, for as long as it lives.

    Jobs are counted by lock files, which all processes of this user on this machine share, so that
    several sweeps are distributed over the GPUs too. Call this before CUDA is initialised. Does
    nothing if fewer than two GPUs are visible.
    """
    visible = os.environ.get(VISIBLE)
    gpus = visible.split(",") if visible else [str(gpu) for gpu in range(torch.cuda.device_count())]
    if len(gpus) < 2:
        return
    user = getattr(os, "getuid", int)()  # Windows has no user ids, but a temporary folder per user
    folder = Path(tempfile.gettempdir()) / f"leyden-gpus-{user}"
    folder.mkdir(exist_ok=True)
    slots = ((slot, gpu) for slot in count() for gpu in gpus)
    for slot, gpu in slots:
        lock = FileLock(folder / f"{gpu}.{slot}.lock", blocking=False)
        try:
            lock.acquire()
        except Timeout:
            continue
        _held.append(lock)
        os.environ[VISIBLE] = gpu
        return
