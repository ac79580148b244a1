"""The folder of an exported network, and the session that runs it. Without torch."""

import importlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from leyden.arrays import Arrays
from leyden.data.joined import JoinedReader
from leyden.data.readers import Reader
from leyden.errors import UserError, first_line
from leyden.schema import Field
from leyden.tasks.readings import READINGS, Reading

FORMAT = 1
"""Version of the folder."""

RECORD, CARD = "model.json", "README.md"

GRAPHS = {"onnx": "model.onnx", "pt2": "model.pt2"}
"""File of the graph by format."""

WEIGHTS, NORMALISATION = "model.safetensors", "normalisation.safetensors"
"""Files of an export of the weights alone, which has no graph."""

TOP = 5
"""Number of the most probable classes in a prediction for which a request states none."""

Network = Callable[[Arrays], Arrays]
"""Computes the answers, ``(batch, ...)`` by name, for values ``(batch, ...)``."""

READERS = {
    "audio": "leyden.data.audio.reader.ClipReader",
    "image": "leyden.data.image.reader.ImageReader",
    "speech": "leyden.data.audio.reader.SpeechReader",
    "table": "leyden.data.table.reader.TableReader",
    "text": "leyden.data.text.reader.TextReader",
}
"""Class of each kind of reader; a kind is imported when it is used."""


def is_artefact(path: Path) -> bool:
    """Whether a path is the folder of an exported network."""
    return (path / RECORD).is_file()


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """An exported network on disk.

    Attributes:
        path: Its folder.
        record: The content of ``model.json``.
        reader: Reads files as the values that the graph takes.
        reading: Reads the answers of the graph.
    """

    path: Path
    record: Mapping[str, Any]
    reader: Reader
    reading: Reading


def read_artefact(path: Path) -> Artefact:
    """Read the description of an exported network.

    Raises:
        UserError: If it is missing, damaged, or of another version.
    """
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not an exported network: {first_line(error)}.") from error
    found = record.get("format") if isinstance(record, dict) else None
    if found != FORMAT:
        raise UserError(
            f"{path / RECORD} has format {found}, expected {FORMAT}. Export the run again with "
            "this version of Leyden."
        )
    try:
        return Artefact(
            path=path,
            record=record,
            reader=_read_reader(record["preprocessing"], path),
            reading=READINGS[record["reading"]["kind"]].from_json(record["reading"]),
        )
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise UserError(
            f"{path / RECORD} is damaged: {first_line(error)}. Export the run again."
        ) from error


def graph_inputs(reader: Reader) -> tuple[Field, ...]:
    """Return the values of a reader that a graph takes.

    Those without columns, such as the categories of a table of numbers, are left out, because many
    servers and clients have no empty tensors.
    """
    return tuple(field for field in reader.values if 0 not in field.shape)


def write_reader(reader: Reader, folder: Path, *, prefix: str = "") -> dict[str, Any]:
    """Write the attachments of a reader, and return what ``read_artefact`` builds it from.

    Args:
        reader: The reader.
        folder: Folder of the exported network.
        prefix: Beginning of the names of attachments.
    """
    settings = {"kind": reader.kind, **reader.to_json()}
    if isinstance(reader, JoinedReader):
        settings["members"] = [
            write_reader(member, folder, prefix=f"{prefix}{i}-")
            for i, member in enumerate(reader.members)
        ]
    for name, file in reader.attachments.items():
        (folder / f"{prefix}{file}").write_text(settings.pop(name), encoding="utf-8")
    return settings


def _read_reader(described: Mapping[str, Any], folder: Path, *, prefix: str = "") -> Reader:
    settings = dict(described)
    if settings["kind"] == JoinedReader.kind:
        members = enumerate(settings["members"])
        return JoinedReader(
            members=[_read_reader(each, folder, prefix=f"{prefix}{i}-") for i, each in members]
        )
    module, _, name = READERS[settings.pop("kind")].rpartition(".")
    reader: type[Reader] = getattr(importlib.import_module(module), name)
    for attached, file in reader.attachments.items():
        settings[attached] = (folder / f"{prefix}{file}").read_text(encoding="utf-8")
    return reader.from_json(settings)


class Session:
    """Runs the graph of an exported network with ONNX Runtime.

    Args:
        path: The graph.
        threads: Threads of one call; ``None`` for one per core.

    Raises:
        UserError: If ONNX Runtime is not installed, or cannot read the graph.
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        runtime = _runtime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
        options.log_severity_level = 3  # errors
        # threads that spin while they wait take the cores of other threads and processes
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = runtime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime has its own errors
            raise UserError(
                f"ONNX Runtime cannot read {path}: {first_line(error)}. Export the run again."
            ) from error
        self._inputs = [value.name for value in self._session.get_inputs()]
        self._outputs = [value.name for value in self._session.get_outputs()]

    def __call__(self, values: Arrays) -> dict[str, np.ndarray[Any, Any]]:
        """Compute the answers, ``(batch, ...)`` by name, for values ``(batch, ...)``."""
        given = {name: values[name] for name in self._inputs}
        try:
            _check_indices(given)
            answers = self._session.run(self._outputs, given)
        except Exception as error:  # the runtime has its own errors
            raise UserError(
                f"The exported network cannot compute these values: {first_line(error)}. Expected "
                f"values as {RECORD} describes them."
            ) from error
        return dict(zip(self._outputs, answers, strict=True))


def _check_indices(values: Arrays) -> None:
    """Check indices and lengths, because ONNX counts negative indices from the end.

    Raises:
        ValueError: If one is negative.
    """
    for name, array in values.items():
        if array.dtype == np.int64 and array.min(initial=0) < 0:
            raise ValueError(f"{name}: {array.min()} is negative")


def _runtime() -> Any:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it would write into the home folder
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise UserError(
            "Exported networks are run by the package onnxruntime, which is not installed. "
            "Install it with pip install 'leyden[export]'."
        ) from error
    return onnxruntime
