"""The record of a run in its checkpoints, which makes them self-contained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

KEY = "leyden"
"""Key of the record in a checkpoint."""

DATA_FINGERPRINT = "data_fingerprint"
"""Key of the digest of all rows, within the record."""

SPLIT_FINGERPRINT = "split_fingerprint"
"""Key of the digest of the row numbers of each split, within the record."""


@dataclass(frozen=True, kw_only=True)
class Learned:
    """The entries of a checkpoint from which a finished run is rebuilt.

    Attributes:
        config: Frozen config, which is not trusted.
        data: ``state_dict`` of the data module.
        weights: ``state_dict`` of the task.
    """

    config: dict[str, Any]
    data: dict[str, Any]
    weights: dict[str, Tensor]


def read_learned(checkpoint: Mapping[str, Any]) -> Learned:
    """Return the entries from which a finished run is rebuilt, after checking their types.

    Raises:
        ValueError: If an entry is missing.
        TypeError: If an entry has another type than expected.
    """
    record = checkpoint[KEY]
    check_types({"config": dict, "data": dict}, record)
    check_types({"class_names": list, "statistics": dict, "target_counts": dict}, record["data"])
    check_types({"state_dict": dict}, checkpoint)
    weights, names = checkpoint["state_dict"], record["data"]["class_names"]
    check_types(dict.fromkeys(weights, Tensor), weights)
    named = {f"class_names[{number}]": name for number, name in enumerate(names)}
    check_types(dict.fromkeys(named, str), named)
    return Learned(config=record["config"], data=record["data"], weights=weights)


def describe_data_change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return how the data of two records differ, as a sentence; ``""`` if they do not."""
    for key, what in (
        (DATA_FINGERPRINT, "The data have"),
        (SPLIT_FINGERPRINT, "The splits of the data have"),
    ):
        if before.get(key) != now[key]:
            return (
                f"{what} changed since the run was trained on them (fingerprint {before.get(key)}, "
                f"now {now[key]}), so the test split could contain training rows."
            )
    return ""


def check_types(expected: Mapping[str, type], entries: Mapping[str, Any]) -> None:
    """Check that entries exist and have the expected types.

    Raises:
        ValueError: If an entry is missing.
        TypeError: If an entry has another type.
    """
    for key, kind in expected.items():
        if key not in entries:
            raise ValueError(f"it lacks {key}")
        if not isinstance(entries[key], kind):
            found = type(entries[key]).__name__
            raise TypeError(f"{key!r:.80} is a {found}, not a {kind.__name__}")
