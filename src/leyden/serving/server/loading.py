"""Loading a network to serve, and checking its answer to the example in its record."""

import math
import os
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from leyden.errors import UserError, describe
from leyden.serving.artefact import GRAPHS, Artefact, Network, Session, read_artefact
from leyden.serving.predictor import as_rows
from leyden.serving.server.options import Options
from leyden.serving.server.service import Service

TOLERANCE = 1e-3
"""Largest absolute difference of two numbers, and relative to those above 1."""


def load_service(
    folder: Path,
    *,
    options: Options,
    pool: Executor,
    observe_batch: Callable[[int], None],
) -> Service:
    """Load an exported network, and compare its answer to its example with the recorded one.

    The arguments are those of ``Service``.

    Raises:
        UserError: If the network cannot be loaded without torch, or gives another answer.
    """
    artefact = read_artefact(folder)
    graph = folder / GRAPHS["onnx"]
    if not graph.is_file():
        raise UserError(f"{folder} has no graph in ONNX. Export the run with format=onnx.")
    cores = len(os.sched_getaffinity(0))
    network = Session(graph, threads=options.threads or max(1, cores - 1))
    check_example(artefact, network)
    return Service(
        artefact=artefact,
        network=network,
        options=options,
        pool=pool,
        observe_batch=observe_batch,
    )


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
    """Whether two predictions are equal up to rounding; members that were not found are ignored."""
    if isinstance(found, dict):
        return all(_agree(value, expected[name]) for name, value in found.items())
    if isinstance(found, float):
        return math.isclose(found, expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(found == expected)
