"""``leyden predict run=RUN input=PATH…``: predictions for raw files."""

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from leyden.cli.arguments import split
from leyden.cli.logs import quiet, tame_lightning
from leyden.cli.startup import importing
from leyden.config.origins import worded
from leyden.errors import UserError, did_you_mean
from leyden.runs.folder import find_run

USAGE = """usage: leyden predict run=RUN input=PATH [PATH …] [format=csv|jsonl] [KEY=VALUE …]

Prints one row per input. RUN is a run folder or a checkpoint file, PATH a file or a folder."""


def run(words: Sequence[str]) -> None:
    """Run the command."""
    if {"-h", "--help"} & set(words):
        print(USAGE)
        return
    arguments = split(words, "run", "input", "format")
    chosen = arguments.required("run", "leyden predict run=runs/digits/TIME input=image.png")
    output_format = arguments.one("format") or "csv"
    if output_format not in PRINTERS:
        known = did_you_mean(output_format, PRINTERS)
        raise UserError(f"format={output_format} is unknown.{known}")
    find_run(chosen)  # tells of a wrong path before torch is imported
    quiet()
    with importing():
        from leyden.workflows.predict import predict

    tame_lightning()
    inputs = [*arguments.own.get("input", []), *arguments.bare]
    with worded(arguments.overrides):
        PRINTERS[output_format](predict(chosen, inputs, arguments.overrides))


def _print_csv(rows: Iterable[dict[str, Any]]) -> None:
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(sys.stdout, list(row))
            writer.writeheader()
        writer.writerow(row)


def _print_json(rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        print(json.dumps(row))


PRINTERS = {"csv": _print_csv, "jsonl": _print_json}
