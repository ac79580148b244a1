"""Folders of runs, cross-validations and sweeps, as commands write them, without any training."""

import csv
import shlex

import yaml

from leyden.comparison.results import SWEEP
from leyden.runs.folder import RunFolder, write_json

CONFIG = {
    "name": "cats",
    "seed": 0,
    "monitor": "val/loss",
    "data": {
        "_target_": "leyden.data.sets.digits.Digits",
        "name": "cats",
        "batch_size": 32,
        "cache_dir": None,
        "splitter": {"_target_": "leyden.data.splits.HoldOut", "val_fraction": 0.1, "seed": 0},
    },
    "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.003},
}

HISTORY = [
    {"epoch": epoch, "step": 10 * epoch, "lr": 0.1, "train/loss": 2 - epoch / 4, "val/loss": 2.0}
    for epoch in range(4)
]


def write_run(path, *, loss, seed=0, lr=0.003, state="finished", **changes):
    """Write the folder of a run; ``changes`` are those of its status."""
    path.mkdir(parents=True)
    folder = RunFolder(path)
    config = CONFIG | {"seed": seed, "optimizer": CONFIG["optimizer"] | {"lr": lr}}
    folder.config.write_text(yaml.safe_dump(config))
    status = {
        "state": state,
        "started": "2026-01-01T10:00:00.000+00:00",
        "seconds": 2.5,
        "error": None,
        "mode": "min",
        "rows": {"train": 80, "val": 10, "test": 10},
        "data_fingerprint": "d" * 8,
        "split_fingerprint": "s" * 8,
        "parameters": 1234,
        "peak_memory": {"main": 300 * 2**20},
    }
    write_json(folder.status, status | changes)
    write_json(folder.job, {"number": None, "overrides": {"optimizer.lr": lr}, "run": None})
    write_json(
        folder.provenance,
        {
            "command": "leyden train optimizer.lr=0.003",
            "versions": {"python": "3.11.7", "torch": "2.13.0"},
            "git": {"revision": "abc", "modified": False},
            "platform": "Linux",
            "hardware": {"processor": "x86_64", "cores": 2, "gpus": []},
        },
    )
    steps = {"duplicates": {"enabled": True, "found": 4, "dropped": 3, "findings": []}}
    write_json(folder.cleaning, {"items_read": 103, "rows_kept": 100, "steps": steps})
    if state == "finished":
        metrics = {"val/loss": loss, "val/accuracy": 1 - loss, "test/loss": loss + 0.01}
        write_json(folder.metrics, metrics)
    write_csv(path / "metrics.csv", HISTORY)
    return path


def write_csv(file, rows):
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_sweep(path, losses, *, key="optimizer.lr", default=0.003):
    """Write the folder of a sweep.

    Args:
        path: Its folder.
        losses: For each swept value, the loss with each seed; ``None`` for a job that failed.
        key: The swept key.
        default: Its value without the sweep.
    """
    words = ",".join(map(str, losses))
    command = shlex.join(["leyden", "train", "-m", "network=mlp", f"{key}={words}", "seeds=2"])
    number = 0
    for value, of_seeds in losses.items():
        for seed, loss in enumerate(of_seeds):
            failed = {"state": "failed", "error": "ValueError: no"} if loss is None else {}
            job = RunFolder(write_run(path / f"{number}_job", loss=loss, seed=seed, **failed))
            overrides = {key: value, "seed": seed}
            write_json(job.job, {"number": number, "overrides": overrides, "run": None})
            write_json(job.provenance, {"command": command})
            number += 1
    defaults = {key: default, "seed": 0}
    write_json(path / SWEEP, {"kind": "train", "swept": {key: words}, "defaults": defaults})
    return path


def write_crossval(path, losses, *, names=("cat", "dog"), wrong=()):
    """Write the folder of a cross-validation with ten rows per fold and class.

    Args:
        path: Its folder.
        losses: Loss of each fold.
        names: Names of the classes.
        wrong: Numbers of the rows that have the label of the class after theirs.
    """
    write_run(path, loss=sum(losses) / len(losses))
    folder = RunFolder(path)
    count = len(losses)
    write_json(folder.crossval, {"folds": count, "repeats": 1, "jobs": 1})
    write_json(folder.metrics, {"test/loss": sum(losses) / count})
    folds, predictions = [], []
    for fold, loss in enumerate(losses):
        inner = RunFolder(write_run(path / f"fold-{fold}", loss=loss, seed=fold))
        write_json(inner.metrics, {"test/loss": loss, "val/loss": loss})
        folds.append({"repeat": 0, "fold": fold, "seed": fold, "n_train": 80})
        folds[-1]["n_test"] = 10 * len(names)
        for row in range(10 * len(names)):
            number = fold * 10 * len(names) + row
            place = row % len(names)
            shown = names[(place + 1) % len(names)] if number in wrong else names[place]
            probabilities = {
                f"probability of {name}": 0.9 if each == place else 0.1 / (len(names) - 1)
                for each, name in enumerate(names)
            }
            known = {"source": f"{number}.png", "repeat": 0, "fold": fold}
            known |= {"target": shown, "class": names[place]}
            predictions.append(known | probabilities)
    write_csv(folder.folds, folds)
    write_csv(folder.predictions, predictions)
    return path
