"""The record of a run in its checkpoints, which makes them self-contained."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

KEY = "leyden"
"""Key of the record in a checkpoint."""

DATA_FINGERPRINT = "data_fingerprint"
"""Key of the digest of all rows, within the record."""

MEMBERS = "members"
"""Key of the members of an ensemble in the record, each with its ``data`` and ``state_dict``."""

CALIBRATION = "calibration"
"""Key of the temperature and the decision threshold in the record; absent before `calibrate`."""

SPLIT_FINGERPRINT = "split_fingerprint"
"""Key of the digest of the row numbers of each split, within the record."""


@dataclass(frozen=True, kw_only=True)
class Learned:
    """The entries of a checkpoint from which a network is rebuilt, beside the config of its run.

    Attributes:
        data: ``state_dict`` of the data module.
        weights: ``state_dict`` of the task.
    """

    data: dict[str, Any]
    weights: "dict[str, Tensor]"


def read_config(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return the frozen config of a run, which is not trusted.

    Raises:
        ValueError: If it is missing.
        TypeError: If it has another type than expected.
    """
    check_types({"config": dict}, checkpoint[KEY])
    config: dict[str, Any] = checkpoint[KEY]["config"]
    return config


def read_learned(checkpoint: Mapping[str, Any]) -> list[Learned]:
    """Return the entries of one network, or of each member of an ensemble, of the expected types.

    Raises:
        ValueError: If an entry is missing.
        TypeError: If an entry has another type than expected.
    """
    record = checkpoint[KEY]
    if MEMBERS not in record:
        return [_read_one({**checkpoint, "data": record.get("data")})]
    check_types({MEMBERS: list}, record)
    if not record[MEMBERS]:
        raise ValueError(f"{MEMBERS} is empty")
    named = {f"{MEMBERS}[{number}]": member for number, member in enumerate(record[MEMBERS])}
    check_types(dict.fromkeys(named, dict), named)
    return [_read_one(member) for member in record[MEMBERS]]


def _read_one(entries: Mapping[str, Any]) -> Learned:
    import torch  # slow, and those who list runs need only the keys

    check_types({"data": dict, "state_dict": dict}, entries)
    data, weights = entries["data"], entries["state_dict"]
    check_types({"class_names": list, "statistics": dict, "target_counts": dict}, data)
    check_types(dict.fromkeys(weights, torch.Tensor), weights)
    named = {f"class_names[{number}]": name for number, name in enumerate(data["class_names"])}
    check_types(dict.fromkeys(named, str), named)
    return Learned(data=data, weights=weights)


def read_calibration(checkpoint: Mapping[str, Any]) -> tuple[float, float | None]:
    """Return the temperature and the decision threshold of a checkpoint; 1 and none by default.

    Raises:
        ValueError: If a value is out of range or missing.
        TypeError: If a value is not a number.
    """
    if CALIBRATION not in checkpoint[KEY]:
        return 1.0, None
    check_types({CALIBRATION: dict}, checkpoint[KEY])
    found: dict[str, Any] = checkpoint[KEY][CALIBRATION]
    check_types({"temperature": float}, found)
    temperature, threshold = found["temperature"], found.get("threshold")
    if threshold is not None:
        check_types({"threshold": float}, found)
    if not 0 < temperature < math.inf or not (threshold is None or 0 <= threshold <= 1):
        raise ValueError(f"{CALIBRATION} is {found!r:.80}")
    return temperature, threshold


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
