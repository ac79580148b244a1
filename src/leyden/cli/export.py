"""``leyden export run=RUN``: a folder that predicts without torch."""

from collections.abc import Sequence
from pathlib import Path

from leyden.cli.arguments import split
from leyden.cli.logs import quiet, tame_lightning
from leyden.cli.startup import importing
from leyden.config.origins import worded
from leyden.config.shorthands import written_out
from leyden.errors import UserError, did_you_mean
from leyden.runs.folder import as_json, find_run

USAGE = """usage: leyden export run=RUN [to=FOLDER] [format=onnx|pt2] [input=PATH …] [KEY=VALUE …]

Writes the network of a run as a folder that predicts without torch: the graph, from raw values to
probabilities, and model.json, which describes them. RUN is a run folder or a checkpoint; FOLDER is
exports/NAME by default, where NAME is that of the run. An exported network there is replaced.
format=pt2 writes a graph of torch.export, which needs torch to predict.

The folder appears once its answers are those of the checkpoint on real rows: the validation rows of
the run, or those of input=PATH. Prints how far they differ, as JSON."""

FORMATS = ("onnx", "pt2")


def run(words: Sequence[str]) -> None:
    """Run the command.

    Raises:
        UserError: An argument is not understood, or the run cannot be exported.
    """
    arguments = split(words, "run", "to", "format", "input")
    chosen = arguments.required("run", "leyden export run=runs/digits/TIME")
    arguments.refuse_bare()
    form = arguments.one("format") or FORMATS[0]
    if form not in FORMATS:
        raise UserError(f"format={form} is unknown.{did_you_mean(form, FORMATS)}")
    folder, _ = find_run(chosen)  # reports a wrong path before the slow import of torch
    to = Path(arguments.one("to") or Path("exports") / folder.path.resolve().parent.name)
    quiet()
    with importing():
        from leyden.serving.export import export

    tame_lightning()
    with worded(arguments.overrides):
        record = export(
            chosen,
            to.expanduser(),
            form=form,
            inputs=arguments.own.get("input", ()),
            overrides=written_out(arguments.overrides),
        )
    print(as_json({"export": str(to), **record["parity"]}))
