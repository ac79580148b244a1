"""Exporting a finished run as a folder that predicts without torch."""

import hashlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram

from leyden.batch import as_tensors
from leyden.checkpoints.record import DATA_FINGERPRINT
from leyden.config.compose import to_plain
from leyden.data.base import DataModule
from leyden.data.inputs import Reader
from leyden.errors import UserError, first_line
from leyden.files import write_aside
from leyden.runs.folder import write_json
from leyden.schema import Arrays, Field, count_rows
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
from leyden.serving.decompositions import DECOMPOSITIONS
from leyden.serving.deployment import write_deployment
from leyden.serving.graph import Graph, compute_answers
from leyden.serving.loading import open_graph
from leyden.serving.model_card import model_card
from leyden.serving.precision import TOLERANCES, measure, quantise
from leyden.serving.predictor import as_rows
from leyden.serving.program import write_program
from leyden.serving.weights import write_weights
from leyden.tasks.base import Task
from leyden.tasks.readings import Reading
from leyden.workflows.ensemble import EnsembleData
from leyden.workflows.finished import FinishedRun, load_run

VERSION_DIGITS = 12
"""Digits of the SHA-256 of the graph, or of the weights, that name a version."""

BATCHES = (1, 2, 7, 64)
"""Numbers of rows with which an export is compared with its checkpoint."""

PACKAGES = ("leyden", "torch", "onnx", "onnxruntime")
"""Packages whose versions are recorded; formats other than ONNX do not need the last two."""

FLOAT32 = ("trainer.precision=32-true", "trainer.accelerator=cpu")
"""Overrides with which the checkpoint is compared: the precision of the graph."""


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
    batches = _real_batches(data, files)
    inputs = graph_inputs(reader)
    WRITERS[form](
        _trace(task, data, batches[-1], half=precision == "fp16"),
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
        "parity": _compare(task, data, network, batches, tolerance=TOLERANCES[precision]),
    }
    record["example"] = _example(record, network, reader, task.reading, batches)
    if precision != "fp32" and not files:
        before = measure(task, data, partial(compute_answers, task, data))
        if before:
            record |= {"metrics_before": before, "metrics": measure(task, data, network)}
    return record


def _real_batches(data: DataModule | EnsembleData, inputs: Sequence[str]) -> list[Arrays]:
    """Return values of real rows in batches of ``BATCHES`` rows; rows are repeated if necessary.

    Args:
        data: Data module with the fitted preprocessing.
        inputs: Files to read the rows from; the validation rows of the run if there are none.
    """
    if inputs:
        chunks = (chunk.fields for chunk in data.reader().read(inputs) if chunk.names)
        rows = next(chunks, None)
        if rows is None:
            raise UserError(f"No row of {', '.join(inputs)} can be read. Expected other files.")
        count = count_rows(rows)
        numbers = [np.arange(start, start + size) % count for start, size in enumerate(BATCHES)]
        return [{name: values[each] for name, values in rows.items()} for each in numbers]
    try:
        data.prepare_data()
        data.setup("validate")
    except UserError as error:
        raise UserError(
            f"The export is compared with the checkpoint on validation rows, which cannot be read: "
            f"{error} Or give files to compare on: input=PATH."
        ) from error
    known = data.row_numbers("val")
    if not len(known):  # as of an ensemble
        known = data.row_numbers("test")
    drawn = np.resize(known, sum(BATCHES))
    return [data.values_of(rows) for rows in np.split(drawn, np.cumsum(BATCHES)[:-1])]


def _trace(
    task: Task, data: DataModule | EnsembleData, values: Arrays, *, half: bool
) -> ExportedProgram:
    """Trace the graph of a network for batches of any size.

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


def _write_onnx(
    program: ExportedProgram, path: Path, *, values: Sequence[str], answers: Sequence[str]
) -> None:
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


WRITERS = {"onnx": _write_onnx, "pt2": write_program}
"""Function that writes a traced graph, by format."""


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


def _compare(
    task: Task,
    data: DataModule | EnsembleData,
    network: Network,
    batches: Sequence[Arrays],
    *,
    tolerance: float,
) -> dict[str, Any]:
    """Compare the answers of the graph with those of the checkpoint.

    Raises:
        UserError: If they differ by more than the tolerance.
    """
    largest = 0.0
    for values in batches:
        answers, expected = network(values), compute_answers(task, data, values)
        deviation = task.reading.deviation(answers, expected)
        if not deviation <= tolerance:
            rows = count_rows(values)
            raise UserError(
                f"The exported network differs from the checkpoint by {deviation:.2g} on a batch "
                f"of {rows} rows; expected at most {tolerance:g}. Nothing was written. A network "
                "whose operations depend on other rows of the batch cannot be exported."
            )
        largest = max(largest, deviation)
    return {"tolerance": tolerance, "deviation": largest, "batches": list(BATCHES)}


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
