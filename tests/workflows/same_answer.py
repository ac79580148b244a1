"""Train one process, and two ranks of half the batch in each way; tell how far apart they end.

python tests/workflows/same_answer.py FOLDER BATCH_SIZE WAY,… [KEY=VALUE …]
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


def main(folder, batch_size, ways, *overrides):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    one = trained(folder, 1, int(batch_size), *overrides)
    found = {}
    for way in ways.split(","):
        two = trained(folder, 2, int(batch_size) // 2, *overrides, f"trainer={way}")
        found[way] = apart(one, two)
    sys.stdout.write(json.dumps(found) + "\n")


def apart(one, two):
    first, second = (load_checkpoint(each.last)["state_dict"] for each in (one, two))
    weights = max(float((first[name] - second[name]).abs().max()) for name in first)
    metrics = [each.read_metrics() for each in (one, two)]
    assert metrics[0].keys() == metrics[1].keys()
    return {"weights": weights} | {
        name: abs(metrics[0][name] - metrics[1][name]) for name in metrics[0]
    }


def trained(folder, ranks, batch_size, *overrides):
    size = f"data.batch_size={batch_size}"
    config = freeze(compose([*overrides, size, "trainer.accelerator=cpu"]))
    run = RunFolder(Path(folder) / overrides[-1].replace("=", "_"))
    assert attempt(config, run, ranks) == [0] * ranks, log_of(run)
    return run


if __name__ == "__main__":
    main(*sys.argv[1:])
