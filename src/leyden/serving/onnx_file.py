"""A graph in ONNX. Imports torch."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.export import ExportedProgram

from leyden.errors import UserError, first_line
from leyden.serving.decompositions import DECOMPOSITIONS


def write_onnx(
    program: ExportedProgram, path: Path, *, values: Sequence[str], answers: Sequence[str]
) -> None:
    """Write a traced graph in ONNX.

    Args:
        program: The graph.
        path: The file.
        values: Names of its inputs.
        answers: Names of its outputs.

    Raises:
        UserError: If a package is missing, or ONNX lacks an operation of the graph.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision
    try:
        from onnx_ir.passes.common import ClearMetadataAndDocStringPass

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own code
            converted = torch.onnx.export(
                program.run_decompositions(DECOMPOSITIONS),
                dynamo=True,
                input_names=values,
                output_names=answers,
                verbose=False,
            )
    except ModuleNotFoundError as error:
        raise UserError(
            f"format=onnx needs the package {error.name}, which is not installed. Install it with "
            "pip install 'leyden[export]', or give format=pt2."
        ) from error
    except torch.onnx.OnnxExporterError as error:
        raise UserError(
            f"The network cannot be written in ONNX: {first_line(error.__cause__ or error)}. "
            "Expected operations that ONNX has."
        ) from error
    assert converted is not None
    ClearMetadataAndDocStringPass()(converted.model)  # paths of this machine
    converted.save(path)
