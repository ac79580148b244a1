"""Exporting a finished run as a folder that predicts without torch."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from leyden.arrays import Arrays, count_rows
from leyden.checkpoints.record import DATA_FINGERPRINT
from leyden.config.compose import to_plain
from leyden.data.readers import Reader
from leyden.errors import UserError
from leyden.files import write_aside
from leyden.runs.folder import write_json
from leyden.serving.artefact import (
    CARD,
    FORMAT,
    GRAPHS,
    RECORD,
    TOP,
    WEIGHTS,
    Network,
    graph_inputs,
    is_artefact,
    write_reader,
)
from leyden.serving.deployment import write_deployment
from leyden.serving.graph import compute_answers
from leyden.serving.loading import open_graph
from leyden.serving.model_card import model_card
from leyden.serving.onnx_file import write_onnx
from leyden.serving.parity import compare, real_batches
from leyden.serving.precision import TOLERANCES, measure, quantise
from leyden.serving.predictor import as_rows
from leyden.serving.program import write_program
from leyden.serving.tracing import trace
from leyden.serving.weights import write_weights
from leyden.tasks.readings import Reading
from leyden.workflows.finished import FinishedRun, load_run

VERSION_DIGITS = 12
"""Digits of the SHA-256 of the graph, or of the weights, that name a version."""

PACKAGES = ("leyden", "torch", "onnx", "onnxruntime")
"""Packages whose versions are recorded; formats other than ONNX do not need the last two."""

FLOAT32 = ("trainer.precision=32-true", "trainer.accelerator=cpu")
"""Overrides with which the checkpoint is compared: the precision of the graph."""


WRITERS = {"onnx": write_onnx, "pt2": write_program}
"""Function that writes a traced graph, by format."""


def export(
    run: str,
    folder: Path,
    *,
    form: str = "onnx",
    precision: str = "fp32",
    inputs: Sequence[str] = (),
    deploy: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the network of a run as a folder that predicts without torch.

    The folder appears once its answers are those of the checkpoint on real rows.

    Args:
        run: Run folder or checkpoint.
        folder: The folder to write; an existing one is replaced if it is an exported network.
        form: Format of the graph: ``onnx``, or ``pt2`` of ``torch.export``, which needs torch; or
            ``safetensors`` for the weights alone, which are not compared on rows.
        precision: ``fp32``; ``fp16`` for half the size; or ``int8``, in ONNX alone, for matrix
            products with 8-bit weights. The metrics before and after are recorded.
        inputs: Files whose rows are compared; the validation rows of the run by default.
        deploy: Servers for which a configuration is written: names in ``deployment.FILES``.
        overrides: Changes to the run's own config.

    Returns:
        The content of ``model.json``.

    Raises:
        UserError: If the run cannot be restored or exported, its data cannot be read, the answers
            differ, or the folder cannot be written.
    """
    with _replace_export(folder) as aside:
        finished = load_run(run, [*overrides, *FLOAT32])
        reader, reading = finished.data.reader(), finished.task.eval().reading
        if form == "safetensors":
            written = write_weights(finished, aside)
            record = {**_describe(finished, reader, reading, file=aside / WEIGHTS), **written}
        else:
            record = _write_graph(finished, aside, form=form, precision=precision, files=inputs)
        record["preprocessing"] = write_reader(reader, aside)
        write_json(aside / RECORD, record)
        for server in deploy:
            write_deployment(
                server,
                aside,
                name=record["name"],
                inputs=graph_inputs(reader),
                outputs=reading.answers,
            )
        card = model_card(record, name=record["name"], config=to_plain(finished.config))
        (aside / CARD).write_text(card, encoding="utf-8")
    return record


@contextmanager
def _replace_export(folder: Path) -> Iterator[Path]:
    """Create an empty folder that replaces an exported network when the block ends.

    Raises:
        UserError: If the folder is something else, or cannot be created.
    """
    with ExitStack() as stack:
        try:
            if folder.exists() and not is_artefact(folder):
                raise UserError(
                    f"to={folder} exists, and is not an exported network. Give another folder."
                )
            folder.parent.mkdir(parents=True, exist_ok=True)
            aside = stack.enter_context(write_aside(folder))
            aside.mkdir()
        except OSError as error:
            raise UserError(
                f"to={folder} cannot be written: {error.strerror} ({error.filename}). Expected a "
                "path in a folder that exists or can be created, and that you may write to."
            ) from error
        yield aside


def _write_graph(
    finished: FinishedRun, folder: Path, *, form: str, precision: str, files: Sequence[str]
) -> dict[str, Any]:
    """Write the graph of a run, and compare its answers with those of the checkpoint.

    Args:
        finished: The run.
        folder: Folder of the graph.
        form: ``onnx`` or ``pt2``.
        precision: ``fp32``, ``fp16`` or ``int8``.
        files: Files whose rows are compared; the validation rows by default.

    Returns:
        The content of ``model.json`` without the preprocessing.
    """
    task, data, reader = finished.task, finished.data, finished.data.reader()
    batches = real_batches(data, files)
    inputs = graph_inputs(reader)
    WRITERS[form](
        trace(task, data, batches[-1], half=precision == "fp16"),
        folder / GRAPHS[form],
        values=[value.name for value in inputs],
        answers=[answer.name for answer in task.reading.answers],
    )
    if precision == "int8":
        quantise(folder / GRAPHS[form])
    network = open_graph(folder)
    record = {
        **_describe(finished, reader, task.reading, file=folder / GRAPHS[form]),
        "inputs": [asdict(field) for field in inputs],
        "precision": precision,
        "parity": compare(task, data, network, batches, tolerance=TOLERANCES[precision]),
    }
    record["example"] = _example(record, network, reader, task.reading, batches)
    if precision != "fp32" and not files:
        before = measure(task, data, partial(compute_answers, task, data))
        if before:
            record |= {"metrics_before": before, "metrics": measure(task, data, network)}
    return record


def _describe(
    finished: FinishedRun, reader: Reader, reading: Reading, *, file: Path
) -> dict[str, Any]:
    """Return the part of ``model.json`` that all formats have.

    Args:
        finished: The run.
        reader: Its reader.
        reading: Reading of its answers.
        file: The graph or the weights, whose digest is the version.
    """
    metrics = finished.folder.metrics
    return {
        "format": FORMAT,
        "name": finished.folder.path.resolve().parent.name,
        "version": hashlib.sha256(file.read_bytes()).hexdigest()[:VERSION_DIGITS],
        "kind": reader.kind,
        "task": reading.kind,
        "target": reader.target,
        "unit": reader.unit,
        "class_names": list(reading.names),
        "row": reader.row_schema,
        "inputs": [asdict(field) for field in reader.values],
        "outputs": [asdict(field) for field in reading.answers],
        "reading": reading.to_json(),
        "metrics": json.loads(metrics.read_text()) if metrics.is_file() else {},
        "data_fingerprint": finished.record.get(DATA_FINGERPRINT),
        "versions": {name: version(name) for name in PACKAGES if find_spec(name)},
    }


def _example(
    record: Mapping[str, Any],
    network: Network,
    reader: Reader,
    reading: Reading,
    batches: Sequence[Arrays],
) -> dict[str, Any]:
    """Return a request with one of the compared rows, and the response of a server."""
    numbered = ((batch, row) for batch in batches for row in range(count_rows(batch)))
    rows = (reader.encode_row(batch, row) for batch, row in numbered)
    # A text may consist of an unknown token alone, which spells nothing.
    row, inputs = next((row, inputs) for row in rows if (inputs := reader.decode_rows([row])).names)
    columns = reading.predict(network, inputs.fields, top=TOP)
    return {
        "request": {"inputs": [row], "top": TOP},
        "response": {
            "predictions": list(as_rows(reader.readable(columns))),
            "model": {name: record[name] for name in ("name", "version")},
        },
    }
