"""Configurations for other servers of exported graphs: Triton, and KServe on Kubernetes.

Both speak the Open Inference Protocol and take the values that the graph takes.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from leyden.schema import DATATYPES, Field

FILES = {"triton": "config.pbtxt", "kserve": "inference_service.yaml"}
"""File of each server, beside the graph."""

MOST_ROWS = 64
"""Largest batch that Triton puts together: the largest that is compared with the checkpoint."""

DELAY_MICROSECONDS = 2000
"""Time for which Triton holds a request back to put it in a batch with others."""


def write_deployment(
    server: str, folder: Path, *, name: str, inputs: Iterable[Field], outputs: Iterable[Field]
) -> None:
    """Write the configuration of a server.

    Args:
        server: Name in ``FILES``.
        folder: Folder of the exported network.
        name: Name of the run.
        inputs: Values that the graph takes; their first size is the batch.
        outputs: Answers of the graph, likewise.
    """
    text = triton_config(inputs, outputs) if server == "triton" else inference_service(name)
    (folder / FILES[server]).write_text(text, encoding="utf-8")


def triton_config(inputs: Iterable[Field], outputs: Iterable[Field]) -> str:
    r"""Return the ``config.pbtxt`` of Triton's ONNX Runtime backend.

    Triton takes the name of the model from its folder. It batches requests whose varying sizes,
    such as the lengths of texts, are equal.

    Args:
        inputs: Values that the graph takes; their first size is the batch.
        outputs: Answers of the graph, likewise.

    Example:
        >>> frames = Field(name="frames", dtype="int64", shape=("batch",), meaning="")
        >>> print(triton_config([frames], []).split("\n\n")[1])
        input {
          name: "frames"
          data_type: TYPE_INT64
          dims: [ 1 ]
          reshape { shape: [ ] }
        }
    """
    sections = [
        f'backend: "onnxruntime"\nmax_batch_size: {MOST_ROWS}',
        *(_tensor("input", field) for field in inputs),
        *(_tensor("output", field) for field in outputs),
        f"dynamic_batching {{ max_queue_delay_microseconds: {DELAY_MICROSECONDS} }}",
        "instance_group { kind: KIND_CPU count: 1 }",
    ]
    return "\n\n".join(sections) + "\n"


def _tensor(kind: str, field: Field) -> str:
    sizes = field.sizes[1:]
    lines = [
        f"name: {json.dumps(field.name)}",
        f"data_type: TYPE_{DATATYPES[field.dtype]}",
        f"dims: [ {', '.join(map(str, sizes or [1]))} ]",
        # Triton has no rows without a dimension: clients send (batch, 1).
        *([] if sizes else ["reshape { shape: [ ] }"]),
    ]
    return "\n".join([f"{kind} {{", *(f"  {line}" for line in lines), "}"])


def inference_service(name: str) -> str:
    r"""Return an ``InferenceService`` of KServe, which runs the graph in Triton.

    Args:
        name: Name of the run.

    Example:
        >>> print(inference_service("My_run").split("\n")[3])
          name: my-run
    """
    # A name of Kubernetes: lower-case letters, digits and hyphens, a letter first.
    label = re.sub(r"[^a-z0-9]+", "-", name.lower())[:50].strip("-")
    if not label[:1].isalpha():
        label = f"network-{label}".rstrip("-")
    return f"""\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {label}
spec:
  predictor:
    model:
      modelFormat:
        name: onnx
      protocolVersion: v2
      runtime: kserve-tritonserver
      storageUri: s3://BUCKET/models  # set this to the folder that holds Triton's model repository
      resources:
        requests:
          cpu: "1"
          memory: 1Gi
        limits:
          cpu: "1"
          memory: 2Gi
"""
