"""Which of several processes this one is, by what their launcher put into the environment."""

import os


def rank() -> int:
    """Number this process among all of the job; 0 where there is but one."""
    return int(os.environ.get("RANK", "0"))


def is_launched() -> bool:
    """Tell whether a launcher such as torchrun started this process as one of its ranks."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ
