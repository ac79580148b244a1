"""Tracing a trained network for batches of any size."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch.export import ExportedProgram

from leyden.arrays import Arrays
from leyden.batch import as_tensors
from leyden.data.base import DataModule
from leyden.errors import UserError, first_line
from leyden.schema import Field
from leyden.serving.graph import Graph
from leyden.tasks.base import Task
from leyden.workflows.ensemble import EnsembleData


def trace(
    task: Task, data: DataModule | EnsembleData, values: Arrays, *, half: bool
) -> ExportedProgram:
    """Trace the graph of a network for batches of any size.

    Args:
        task: Task with the trained weights, in evaluation mode.
        data: Data module with the fitted preprocessing.
        values: Values ``(batch, ...)`` by name, to trace with.
        half: Whether the network computes in float16.

    Raises:
        UserError: If the network cannot be traced.
    """
    graph = Graph(task, data, dtype=torch.float16 if half else torch.float32)
    tensors = as_tensors(values)
    given = tuple(tensors[field.name] for field in graph.inputs)
    shapes = {"values": _dynamic_shapes(graph.inputs)}
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of torch's own code
            # The solver cannot prove some guards, such as those of numbers of frames.
            program = torch.export.export(
                graph,
                given,
                dynamic_shapes=shapes,
                prefer_deferred_runtime_asserts_over_guards=True,
            )
    except Exception as error:  # of the tracer, or of the network where it is traced
        raise UserError(
            f"The network cannot be exported: {first_line(error)}. Expected tensor operations for "
            "any size of the batch: tensor.shape[0] instead of len(tensor), no branches on values."
        ) from error
    for node in program.graph.nodes:  # paths of this machine
        node.meta.pop("stack_trace", None)
    return program


def _dynamic_shapes(fields: Sequence[Field]) -> tuple[dict[int, Any], ...]:
    """Return the sizes that vary, by position in each shape."""
    least = {size: field.least for field in fields for size in field.shape} | {"batch": 0}
    sizes = {
        name: torch.export.Dim(name, min=smallest)
        for name, smallest in least.items()
        if isinstance(name, str)
    }
    return tuple(
        {axis: sizes[size] for axis, size in enumerate(field.shape) if isinstance(size, str)}
        for field in fields
    )
