"""``leyden predict run=RUN input=PATH…``: predicts raw files; ``export=`` does without torch."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from leyden.cli.arguments import Arguments, split
from leyden.cli.logs import quiet, tame_lightning
from leyden.cli.startup import importing
from leyden.errors import UserError, did_you_mean
from leyden.files import exists
from leyden.printable import cell, predicted_cell

USAGE = """usage: leyden predict run=RUN input=PATH [PATH …] [format=csv|jsonl] [KEY=VALUE …]
       leyden predict export=EXPORT input=PATH [PATH …] [format=csv|jsonl]

Prints one row per input. RUN is a run folder or a checkpoint, EXPORT a folder that leyden export
wrote, PATH a file or a folder. A word that is an existing path is an input, whatever its name. In
CSV, a cell that a spreadsheet would evaluate is prefixed with ' (or with ./ if it is a path), and
control characters are escaped; format=jsonl prints everything unchanged."""


def run(words: Sequence[str]) -> None:
    """Run the command."""
    # Globs expand to file names, which may look like overrides: lr=0.1.csv.
    words = [f"input={word}" if exists(word) else word for word in words]
    arguments = split(words, "run", "export", "input", "format")
    output_format = arguments.one("format") or "csv"
    if output_format not in PRINTERS:
        known = did_you_mean(output_format, PRINTERS)
        raise UserError(f"format={output_format} is unknown.{known}")
    # An empty path would be the current folder.
    inputs = [path for path in (*arguments.own.get("input", []), *arguments.bare) if path]
    predict = _predict_with_run if arguments.one("export") is None else _predict_with_export
    with _converted_errors(arguments):
        PRINTERS[output_format](predict(arguments, inputs))


def _converted_errors(arguments: Arguments) -> AbstractContextManager[None]:
    """Convert errors of a run's config; exports have none, and need no package that reads one."""
    if arguments.one("export") is not None:
        return nullcontext()
    from leyden.config.origins import convert_errors

    return convert_errors(arguments.overrides)


def _predict_with_run(arguments: Arguments, inputs: Sequence[str]) -> Iterator[dict[str, Any]]:
    from leyden.config.shorthands import expand_shorthands
    from leyden.runs.folder import find_run

    chosen = arguments.required("run", "leyden predict run=runs/digits/TIME input=image.png")
    find_run(chosen)  # reports a wrong path before the slow import of torch
    quiet()
    with importing():
        from leyden.workflows.predict import predict

    tame_lightning()
    return predict(chosen, inputs, expand_shorthands(arguments.overrides))


def _predict_with_export(arguments: Arguments, inputs: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Predict without importing torch."""
    refused = [*arguments.overrides, *(f"run={run}" for run in arguments.own.get("run", ()))]
    if refused:
        raise UserError(
            f"{refused[0]}: an exported network is not a run and has no config. Leave it out, or "
            "give run= instead of export=."
        )
    if not inputs:
        raise UserError("Nothing to predict. Expected input=PATH, a file or a folder of files.")
    quiet()
    with importing():
        from leyden.serving.loading import open_export

    return open_export(Path(arguments.required("export", "")).expanduser()).stream(inputs)


def _print_csv(rows: Iterable[dict[str, Any]]) -> None:
    writer = csv.writer(sys.stdout)
    for number, row in enumerate(rows):
        if number == 0:
            writer.writerow([cell(column) for column in row])
        writer.writerow([predicted_cell(column, value) for column, value in row.items()])


def _print_json(rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        print(json.dumps(row))


PRINTERS = {"csv": _print_csv, "jsonl": _print_json}
