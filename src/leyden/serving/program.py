"""A graph in torch's own format, with the names of its values and answers. Imports torch."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.export import ExportedProgram

from leyden.arrays import Arrays
from leyden.batch import as_tensors
from leyden.errors import UserError, first_line

NAMES = "leyden.json"
"""File within the archive that names the values and the answers."""


def write_program(
    program: ExportedProgram, path: Path, *, values: Sequence[str], answers: Sequence[str]
) -> None:
    """Write a traced graph as one file, which ``torch.export.load`` reads as well."""
    names = json.dumps({"values": list(values), "answers": list(answers)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own code
        torch.export.save(program, path, extra_files={NAMES: names})


class Program:
    """Runs a graph that ``write_program`` wrote.

    Args:
        path: The file.

    Raises:
        UserError: If it is damaged.
    """

    def __init__(self, path: Path) -> None:
        extra = {NAMES: ""}
        try:
            self._module = torch.export.load(path, extra_files=extra).module()
            names = json.loads(extra[NAMES])
        except Exception as error:  # torch raises errors of many types
            raise UserError(
                f"torch cannot read {path}: {first_line(error)}. Export the run again."
            ) from error
        self._values, self._answers = names["values"], names["answers"]

    def __call__(self, values: Arrays) -> Arrays:
        """Compute the answers, ``(batch, ...)`` by name, for values ``(batch, ...)``."""
        tensors = as_tensors(values)
        with torch.inference_mode():
            answers = self._module(*(tensors[name] for name in self._values))
        found = zip(self._answers, answers, strict=True)
        return {name: answer.numpy() for name, answer in found}
