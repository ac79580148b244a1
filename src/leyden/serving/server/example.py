"""Comparing the answer of a network to its example with the one that was recorded."""

import math
from typing import Any

from leyden.errors import UserError
from leyden.serving.artefact import Artefact, Network
from leyden.serving.predictor import as_rows

TOLERANCE = 1e-3
"""Largest difference, of numbers beyond 1 relative to them."""


def check_example(artefact: Artefact, network: Network) -> None:
    """Raise if a network does not answer its example as its record states.

    Raises:
        UserError: If it cannot answer, or answers differently.
    """
    example = artefact.record["example"]
    inputs = artefact.reader.decode_rows(example["request"]["inputs"])
    columns = artefact.reading.predict(network, inputs.fields)
    found = list(as_rows(artefact.reader.readable(columns)))
    expected = example["response"]["predictions"]
    for one, other in zip(found, expected, strict=True):
        if not all(_agree(value, other[name]) for name, value in one.items()):
            raise UserError(
                f"{artefact.path} answers its example with {one}, expected {other}. Export the run "
                "again."
            )


def _agree(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(one == other)
