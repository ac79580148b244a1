"""A GPU for each of several jobs that run side by side on one machine."""

import os
import tempfile
from itertools import count
from pathlib import Path

import torch
from filelock import FileLock, Timeout

VISIBLE = "CUDA_VISIBLE_DEVICES"

_held: list[FileLock] = []


def take_gpu() -> None:
    """Let this process see one GPU alone, for as long as it lives: the one with the fewest jobs.

    Each place on a GPU is a lock of the user's on this machine, so that several sweeps share the
    GPUs too. It has to come before CUDA is used. Nothing happens where there is but one GPU.
    """
    visible = os.environ.get(VISIBLE)
    gpus = visible.split(",") if visible else [str(gpu) for gpu in range(torch.cuda.device_count())]
    if len(gpus) < 2:
        return
    user = getattr(os, "getuid", int)()  # Windows has none, and a temporary folder for each user
    folder = Path(tempfile.gettempdir()) / f"leyden-gpus-{user}"
    folder.mkdir(exist_ok=True)
    places = ((place, gpu) for place in count() for gpu in gpus)
    for place, gpu in places:
        lock = FileLock(folder / f"{gpu}.{place}.lock", blocking=False)
        try:
            lock.acquire()
        except Timeout:
            continue
        _held.append(lock)
        os.environ[VISIBLE] = gpu
        return
