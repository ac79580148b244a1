"""Targets: counts, balancing weights, and the classes of a trained network."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leyden.batch import SEPARATOR
from leyden.data.cache.prepared import Cache
from leyden.data.values import matcher
from leyden.errors import UserError


def count_targets(targets: NDArray[np.generic], num_classes: int) -> dict[str, Any]:
    """Return counts or moments of training targets, in the format of ``DataSpec.targets``.

    Args:
        targets: Class indices or numbers ``(rows,)``, or truth values ``(rows, labels)``.
        num_classes: Number of classes or labels; 0 if the targets are numbers.

    Example:
        >>> count_targets(np.array([0, 2, 2]), num_classes=3)
        {'kind': 'class', 'counts': [1, 0, 2]}
    """
    if targets.dtype.kind == "f":
        values = targets.astype(np.float64)
        centre = float(values.mean())
        return {"kind": "number", "centre": centre, "mean": 0.0, "std": float(values.std())}
    if targets.ndim == 2:
        return {"kind": "labels", "counts": targets.sum(axis=0, dtype=np.int64).tolist()}
    return {"kind": "class", "counts": np.bincount(targets, minlength=num_classes).tolist()}


def centre_targets(cached: Cache, counts: Mapping[str, Any]) -> Cache:
    """Subtract the training mean from number targets, so that float32 is precise enough for them.

    Args:
        cached: Prepared rows; targets other than numbers are not changed.
        counts: Result of ``count_targets`` on the training split.
    """
    if counts.get("kind") != "number":
        return cached
    return replace(cached, targets=(cached.targets - counts["centre"]).astype(np.float32))


def readable_targets(cached: Cache, rows: NDArray[np.int64]) -> list[Any]:
    """Return the target of each row as a person reads it.

    Args:
        cached: Rows whose targets are classes, labels or numbers.
        rows: Numbers ``(n,)`` of the rows.

    Returns:
        Names of classes, names of labels joined as in predictions, or numbers; ``n`` values.
    """
    names = cached.class_names
    if cached.targets.ndim == 2:
        held = cached.targets[rows].astype(bool)
        return [SEPARATOR.join(np.array(names, object)[each]) for each in held]
    if names:
        return [names[index] for index in cached.targets[rows]]
    return cached.targets[rows].tolist()  # type: ignore[no-any-return]


def balancing_weights(targets: NDArray[np.generic], class_names: Sequence[str] | None) -> Tensor:
    """Return weights ``(rows,)``, float64, with which every class is drawn equally often.

    Args:
        targets: Class indices ``(rows,)``.
        class_names: Names of the classes; empty if targets are numbers, sequences or absent.

    Raises:
        UserError: If the targets are not classes.
    """
    if not class_names or targets.ndim != 1 or targets.dtype.kind == "f":
        raise UserError(
            "data.balanced=true draws every class equally often, but the targets of this data are "
            "not classes. Remove data.balanced, or set it to false."
        )
    _, members, counts = np.unique(targets, return_inverse=True, return_counts=True)
    return torch.from_numpy(1 / counts[members])


def align_classes(cached: Cache, class_names: Sequence[str]) -> Cache:
    """Convert targets to the class indices of a trained network.

    Names that are equal as values, such as 1 and 1.0, are one class.

    Args:
        cached: Rows of the data, which need not have all of the classes.
        class_names: Class names of the network by index.

    Raises:
        UserError: If the data have a class that the network was not trained on.
    """
    if tuple(class_names) == cached.class_names:
        return cached
    find = matcher(class_names)
    names = [find(name) for name in cached.class_names]
    if not names or None in names:
        raise different_classes(class_names, cached.class_names)
    known = np.array([list(class_names).index(str(name)) for name in names])
    if cached.targets.ndim == 1:
        targets: NDArray[np.generic] = known[cached.targets]
    else:
        targets = np.zeros((len(cached.targets), len(class_names)), cached.targets.dtype)
        for label, place in enumerate(known):
            targets[:, place] = np.maximum(targets[:, place], cached.targets[:, label])
    return replace(cached, targets=targets, class_names=tuple(class_names))


def different_classes(expected: Sequence[str], found: Sequence[str]) -> UserError:
    """Return the error for data whose classes are not those of a checkpoint."""
    return UserError(
        f"The classes of the data differ from those of the checkpoint: expected "
        f"{list(expected)}, got {list(found)}. Give the data that the run "
        "was trained on, or train a new run."
    )
