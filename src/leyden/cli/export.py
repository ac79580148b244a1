"""``leyden export run=RUN``: a folder that predicts without torch."""

from collections.abc import Sequence
from pathlib import Path

from leyden.cli.arguments import Arguments, split
from leyden.cli.logs import quiet, tame_lightning
from leyden.cli.startup import importing
from leyden.config.origins import convert_errors
from leyden.config.shorthands import expand_shorthands
from leyden.errors import UserError, did_you_mean
from leyden.runs.folder import as_json, find_run

USAGE = """usage: leyden export run=RUN [to=FOLDER] [format=onnx|pt2] [precision=fp32|fp16|int8]
                                [input=PATH …] [KEY=VALUE …]

Writes the network of a run as a folder that predicts without torch: the graph, from raw values to
probabilities, and model.json, which describes them. RUN is a run folder or a checkpoint; FOLDER is
exports/NAME by default, where NAME is that of the run. An exported network there is replaced.
format=pt2 writes a graph of torch.export, which needs torch to predict. precision=fp16 halves the
weights, precision=int8 quantises those of matrix products; metrics before and after are recorded.

The folder appears once its answers are those of the checkpoint on real rows: the validation rows of
the run, or those of input=PATH. Prints how far they differ, as JSON."""

FORMATS = ("onnx", "pt2")

PRECISIONS = ("fp32", "fp16", "int8")


def run(words: Sequence[str]) -> None:
    """Run the command.

    Raises:
        UserError: If an argument is not understood, or the run cannot be exported.
    """
    arguments = split(words, "run", "to", "format", "precision", "input")
    chosen = arguments.required("run", "leyden export run=runs/digits/TIME")
    arguments.refuse_bare()
    form = _choice(arguments, "format", FORMATS)
    precision = _choice(arguments, "precision", PRECISIONS)
    if form == "pt2" and precision == "int8":
        raise UserError("precision=int8 is quantised in ONNX. Expected format=onnx.")
    folder, _ = find_run(chosen)  # reports a wrong path before the slow import of torch
    to = Path(arguments.one("to") or Path("exports") / folder.path.resolve().parent.name)
    quiet()
    with importing():
        from leyden.serving.export import export

    tame_lightning()
    with convert_errors(arguments.overrides):
        record = export(
            chosen,
            to.expanduser(),
            form=form,
            precision=precision,
            inputs=arguments.own.get("input", ()),
            overrides=expand_shorthands(arguments.overrides),
        )
    print(as_json({"export": str(to), **record["parity"]}))


def _choice(arguments: Arguments, key: str, choices: Sequence[str]) -> str:
    """Return the last value of a key, by default the first choice."""
    value = arguments.one(key) or choices[0]
    if value not in choices:
        raise UserError(f"{key}={value} is unknown.{did_you_mean(value, choices)}")
    return value
