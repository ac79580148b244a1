"""Train by one process, and by two ranks that share the network, then one, then two again.

python tests/workflows/mixed_ranks.py FOLDER BATCH_SIZE [KEY=VALUE …]

Tells how far apart both end, and whether the last checkpoint was a folder after each split.
"""

import json
import sys
import warnings
from pathlib import Path

import torch
from crashes import attempt, log_of

from leyden.checkpoints.io import load_checkpoint
from leyden.config.compose import compose, freeze
from leyden.runs.folder import RunFolder

COMPARED = ("state_dict", "optimizer_states")

GIVEN_SPLITS = (("fsdp", 2), ("cpu", 1), ("fsdp", 2))


def main(folder, batch_size, *overrides):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    whole, mixed = (RunFolder(Path(folder) / name) for name in ("whole", "mixed"))
    train(whole, 1, int(batch_size), len(GIVEN_SPLITS), *overrides)
    folders = []
    for epochs, (trainer, ranks) in enumerate(GIVEN_SPLITS, start=1):
        words = (*overrides, f"trainer={trainer}")
        train(mixed, ranks, int(batch_size) // ranks, epochs, *words)
        folders.append(mixed.last.is_dir())
    first, second = (load_checkpoint(each.last) for each in (whole, mixed))
    apart = {name: distance(first[name], second[name]) for name in COMPARED}
    sys.stdout.write(json.dumps({"folders": folders} | apart) + "\n")


def train(run, ranks, batch_size, epochs, *overrides):
    words = (f"data.batch_size={batch_size}", f"trainer.max_epochs={epochs}")
    config = freeze(compose([*overrides, *words, "trainer.accelerator=cpu"]))
    assert attempt(config, run, ranks) == [0] * ranks, log_of(run)


def distance(first, second):
    """Give the greatest difference between tensors of the same place."""
    if isinstance(first, torch.Tensor):
        return float((first - second).abs().max())
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        return max((distance(first[key], second[key]) for key in first), default=0.0)
    if isinstance(first, list):
        assert len(first) == len(second)
        return max((distance(*pair) for pair in zip(first, second, strict=True)), default=0.0)
    return 0.0


if __name__ == "__main__":
    main(*sys.argv[1:])
