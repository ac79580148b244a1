"""Comparing the answer of a network to its example with the one that was recorded."""

import math
from typing import Any

from leyden.errors import UserError, describe
from leyden.serving.artefact import Artefact, Network
from leyden.serving.predictor import as_rows

TOLERANCE = 1e-3
"""Largest difference, of numbers beyond 1 relative to them."""


def check_example(artefact: Artefact, network: Network) -> None:
    """Raise if a network does not answer its example as its record states.

    Raises:
        UserError: If it cannot answer, or answers differently.
    """
    try:
        example = artefact.record["example"]
        expected = example["response"]["predictions"]
        inputs = artefact.reader.decode_rows(example["request"]["inputs"])
        columns = artefact.reading.predict(network, inputs.fields)
        found = list(as_rows(artefact.reader.readable(columns)))
        agrees = all(_agree(*rows) for rows in zip(found, expected, strict=True))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"The example of {artefact.path} cannot be computed: {describe(error)}. Export the run "
            "again with this version of Leyden."
        ) from error
    if not agrees:
        raise UserError(
            f"{artefact.path} answers its example with {found}, expected {expected}. Export the "
            "run again."
        )


def _agree(found: Any, expected: Any) -> bool:
    """Whether two predictions are equal but for rounding; only what is found is compared."""
    if isinstance(found, dict):
        return all(_agree(value, expected[name]) for name, value in found.items())
    if isinstance(found, float):
        return math.isclose(found, expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(found == expected)
