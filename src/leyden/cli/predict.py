"""``leyden predict run=RUN input=PATH…``: predicts raw files; ``export=`` does without torch."""

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leyden.cli.arguments import Arguments, split
from leyden.cli.logs import quiet, tame_lightning
from leyden.cli.startup import importing
from leyden.errors import UserError, did_you_mean
from leyden.files import exists

if TYPE_CHECKING:
    from leyden.data.parts import Keep
    from leyden.serving.predictor import Predictor

USAGE = """usage: leyden predict run=RUN input=PATH [PATH …] [KEY=VALUE …]
       leyden predict export=EXPORT input=PATH [PATH …]

Prints one row per input. RUN is a run folder or a checkpoint, EXPORT a folder that leyden export
wrote, PATH a file or a folder. A word that is an existing path is an input, whatever its name.

  format=csv|jsonl           format of what is printed
  output=FILE                write FILE.csv, FILE.jsonl or FILE.parquet instead; the same command
                             continues after a kill with what FILE.partial holds, and an existing
                             file is not replaced
  processes=N                predict in N processes; the rows are the same
  top=K                      the K most probable classes
  columns=all|NAME[,NAME]    columns of a table to keep beside the predictions, as text

If the target of a table has a name, the predicted column is called predicted_NAME. In CSV, a cell
that a spreadsheet would evaluate is prefixed with ' (or with ./ if it is a path), and control
characters are escaped; JSON lines and Parquet hold everything unchanged."""

PRINTED, WRITTEN = ("csv", "jsonl"), ("csv", "jsonl", "parquet")
"""Formats, of which the written ones are also suffixes."""


def run(words: Sequence[str]) -> None:
    """Run the command.

    Raises:
        UserError: If an argument is not understood, or inputs cannot be predicted.
    """
    # Globs expand to file names, which may look like overrides: lr=0.1.csv.
    words = [f"input={word}" if exists(word) else word for word in words]
    own = ("run", "export", "input", "format", "output", "processes", "top", "columns")
    arguments = split(words, *own)
    form, file = _destination(arguments)
    processes = arguments.integer("processes", default=1)
    top = arguments.integer("top", default=0)
    # An empty path would be the current folder.
    inputs = [path for path in (*arguments.own.get("input", []), *arguments.bare) if path]
    open_network, settings = _network(arguments)
    if not inputs:
        raise UserError("Nothing to predict. Expected input=PATH, a file or a folder of files.")
    if processes > 1:
        threads = max(1, len(os.sched_getaffinity(0)) // processes)
        open_network = partial(open_network, threads=threads)
    quiet()
    with importing():
        from leyden.serving.many import Prediction, RowOptions

    options = RowOptions(form=form, top=top, keep=_columns(arguments))
    prediction = Prediction(open_network, inputs, options=options, processes=processes)
    if file is not None:
        prediction.write(file, settings)
        return
    for content in prediction.stream():
        sys.stdout.write(content.decode())


def _destination(arguments: Arguments) -> tuple[str, Path | None]:
    """Return the format and the file to write; ``None`` if the rows are printed."""
    form, output = arguments.one("format"), arguments.one("output")
    if output is None:
        form = form or PRINTED[0]
        if form not in PRINTED:
            hint = " It is written to output=FILE.parquet." if form == "parquet" else ""
            raise UserError(f"format={form} is unknown.{hint or did_you_mean(form, PRINTED)}")
        return form, None
    file = Path(output).expanduser()
    suffix = file.suffix.removeprefix(".").lower()
    if suffix not in WRITTEN:
        raise UserError(
            f"output={output} has no known suffix, such as .csv.{did_you_mean(suffix, WRITTEN)}"
        )
    if form not in (None, suffix):
        raise UserError(f"format={form} does not match the suffix of output={output}. Give one.")
    return suffix, file


def _columns(arguments: Arguments) -> "Keep":
    """Return the columns to keep."""
    given = arguments.own.get("columns", [])
    names = [name.strip() for value in given for name in value.split(",") if name.strip()]
    return "all" if names == ["all"] else list(dict.fromkeys(names))


def _network(arguments: Arguments) -> tuple[Callable[..., "Predictor"], dict[str, Any]]:
    """Return a function that loads the network, and what else determines the predictions."""
    if (export := arguments.one("export")) is None:
        from leyden.config.shorthands import expand_shorthands  # imports Hydra, as runs need
        from leyden.runs.folder import find_run

        chosen = arguments.required("run", "leyden predict run=runs/digits/TIME input=image.png")
        find_run(chosen)  # reports a wrong path before the slow import of torch
        overrides = expand_shorthands(arguments.overrides)
        return partial(_open_run, chosen, overrides), {"overrides": overrides}
    refused = [*arguments.overrides, *(f"run={run}" for run in arguments.own.get("run", ()))]
    if refused:
        raise UserError(
            f"{refused[0]}: an exported network is not a run and has no config. Leave it out, or "
            "give run= instead of export=."
        )
    return partial(_open_export, Path(arguments.required("export", export)).expanduser()), {}


def _open_run(run: str, overrides: Sequence[str], *, threads: int | None = None) -> "Predictor":
    """Load a run, in the process of the command or in a worker process."""
    quiet()
    with importing():
        import torch

        from leyden.config.origins import convert_errors
        from leyden.serving.run_predictor import RunPredictor

    tame_lightning()
    if threads is not None:
        torch.set_num_threads(threads)
    with convert_errors(overrides):
        return RunPredictor(run, overrides)


def _open_export(path: Path, *, threads: int | None = None) -> "Predictor":
    """Load an exported network without torch, in either process."""
    quiet()
    with importing():
        from leyden.serving.loading import open_export

    return open_export(path, threads=threads)
