"""``leyden predict run=RUN input=PATH…``: predicts raw files."""

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from leyden.cli.arguments import split
from leyden.cli.logs import quiet, tame_lightning
from leyden.cli.startup import importing
from leyden.config.origins import convert_errors
from leyden.config.shorthands import expand_shorthands
from leyden.errors import UserError, did_you_mean
from leyden.files import exists
from leyden.printable import cell, predicted_cell
from leyden.runs.folder import find_run

USAGE = """usage: leyden predict run=RUN input=PATH [PATH …] [format=csv|jsonl] [KEY=VALUE …]

Prints one row per input. RUN is a run folder or a checkpoint, PATH a file or a folder. A word that
is an existing path is an input, whatever its name. In CSV, a cell that a spreadsheet would evaluate
is prefixed with ' (or with ./ if it is a path), and control characters are escaped; format=jsonl
prints everything unchanged."""


def run(words: Sequence[str]) -> None:
    """Run the command."""
    # Globs expand to file names, which may look like overrides: lr=0.1.csv.
    words = [f"input={word}" if exists(word) else word for word in words]
    arguments = split(words, "run", "input", "format")
    chosen = arguments.required("run", "leyden predict run=runs/digits/TIME input=image.png")
    output_format = arguments.one("format") or "csv"
    if output_format not in PRINTERS:
        known = did_you_mean(output_format, PRINTERS)
        raise UserError(f"format={output_format} is unknown.{known}")
    find_run(chosen)  # reports a wrong path before the slow import of torch
    quiet()
    with importing():
        from leyden.workflows.predict import predict

    tame_lightning()
    # An empty path would be the current folder.
    inputs = [path for path in (*arguments.own.get("input", []), *arguments.bare) if path]
    with convert_errors(arguments.overrides):
        overrides = expand_shorthands(arguments.overrides)
        PRINTERS[output_format](predict(chosen, inputs, overrides))


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
