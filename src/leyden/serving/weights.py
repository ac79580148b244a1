"""The weights of a network alone, as safetensors, for programs that build the network themselves.

The names are those of the network's ``state_dict``, and of the modules that normalise its inputs.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leyden.config.compose import to_plain
from leyden.errors import UserError
from leyden.serving.artefact import NORMALISATION, WEIGHTS
from leyden.tasks.classification import Classification
from leyden.workflows.ensemble import EnsembleData
from leyden.workflows.finished import FinishedRun


def write_weights(finished: FinishedRun, folder: Path) -> dict[str, Any]:
    """Write the weights of a run, and the buffers that normalise its inputs, as two files.

    Args:
        finished: The run.
        folder: Folder of the files.

    Returns:
        The part of ``model.json`` on the weights: ``members``, the arguments that build each
        network, of which an ensemble has several, and the statistics of its targets; and the
        ``temperature`` that divides the logits of classes.

    Raises:
        UserError: If safetensors is not installed, or the files have other tensors.
    """
    task, data = finished.task, finished.data
    _write(task.network.state_dict(), folder / WEIGHTS)
    _write(nn.ModuleDict(data.normalisation()).state_dict(), folder / NORMALISATION)
    network = to_plain(finished.config, resolve=True)["network"]
    own = {key: value for key, value in network.items() if key != "_partial_"}
    members = data.members if isinstance(data, EnsembleData) else [data]
    return {
        "precision": "fp32",
        "members": [
            {"network": {**own, **member.network_sizes()}, "targets": member.target_counts}
            for member in members
        ],
        "temperature": task.temperature if isinstance(task, Classification) else 1.0,
    }


def _write(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors by name, and compare those of the file with them."""
    try:
        from safetensors.torch import load, save
    except ModuleNotFoundError as error:
        raise UserError(
            "format=safetensors needs the package safetensors, which is not installed. Install it "
            "with pip install 'leyden[export]'."
        ) from error
    # Tied weights share memory, which the format refuses, and others may be channels last.
    copies = {
        name: tensor.clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    path.write_bytes(save(copies, metadata={"format": "pt"}))
    found = load(path.read_bytes())
    if found.keys() != copies.keys() or not all(
        torch.equal(found[name], tensor) for name, tensor in copies.items()
    ):
        raise UserError(
            f"{path.name} reads back other weights than the checkpoint has, which are NaN or were "
            "damaged on disk. Nothing was written. Expected finite weights."
        )
