"""``leyden export run=RUN``: a folder that predicts without torch."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from leyden.cli.arguments import Arguments, split
from leyden.cli.logs import quiet, tame_lightning
from leyden.cli.startup import importing
from leyden.config.origins import convert_errors
from leyden.config.shorthands import expand_shorthands
from leyden.errors import UserError, did_you_mean
from leyden.runs.folder import as_json, find_run
from leyden.serving.deployment import FILES

USAGE = """usage: leyden export run=RUN [to=FOLDER] [format=onnx|pt2|safetensors]
                                [precision=fp32|fp16|int8] [deploy=triton,kserve]
                                [input=PATH …] [KEY=VALUE …]

Writes the network of a run as a folder that predicts without torch: the graph, from raw values to
probabilities, and model.json, which describes them. RUN is a run folder or a checkpoint; FOLDER is
exports/NAME by default, where NAME is that of the run. An exported network there is replaced.
format=pt2 writes a graph of torch.export, which needs torch to predict; format=safetensors writes
the weights alone. precision=fp16 halves the weights, precision=int8 quantises those of matrix
products; metrics before and after are recorded. deploy= adds the configuration of Triton, of KServe
or of both.

The folder appears once its answers are those of the checkpoint on real rows: the validation rows of
the run, or those of input=PATH. Prints how far they differ, as JSON."""

FORMATS = {
    "onnx": ("precision=fp16", "precision=int8", "deploy", "input"),
    "pt2": ("precision=fp16", "input"),
    "safetensors": (),
}
"""Arguments that each format takes besides those that all take."""

PRECISIONS = ("fp32", "fp16", "int8")


def run(words: Sequence[str]) -> None:
    """Run the command.

    Raises:
        UserError: If an argument is not understood, or the run cannot be exported.
    """
    arguments = split(words, "run", "to", "format", "precision", "deploy", "input")
    chosen = arguments.required("run", "leyden export run=runs/digits/TIME")
    arguments.refuse_bare()
    form = _choice(arguments, "format", FORMATS)
    precision = _choice(arguments, "precision", PRECISIONS)
    deploy = _servers(arguments)
    _refuse_unused(arguments, form, precision)
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
            deploy=deploy,
            overrides=expand_shorthands(arguments.overrides),
        )
    print(as_json({"export": str(to), **record.get("parity", {})}))


def _choice(arguments: Arguments, key: str, choices: Iterable[str]) -> str:
    """Return the last value of a key, by default the first choice."""
    return _known(key, arguments.one(key) or next(iter(choices)), choices)


def _servers(arguments: Arguments) -> list[str]:
    """Return the servers that ``deploy=`` names."""
    names = (arguments.one("deploy") or "").split(",")
    return [_known("deploy", name.strip(), FILES) for name in names if name.strip()]


def _known(key: str, value: str, choices: Iterable[str]) -> str:
    if value not in choices:
        raise UserError(f"{key}={value} is unknown.{did_you_mean(value, choices)}")
    return value


def _refuse_unused(arguments: Arguments, form: str, precision: str) -> None:
    """Raise if an argument has no effect on a format.

    Raises:
        UserError: If there is one.
    """
    given = [key for key in ("deploy", "input") if arguments.one(key)]
    if precision != "fp32":
        given.append(f"precision={precision}")
    for key in given:
        if key not in FORMATS[form]:
            fitting = " or ".join(f"format={each}" for each, keys in FORMATS.items() if key in keys)
            raise UserError(
                f"{key} has no effect on format={form}. Expected {fitting}, or leave it out."
            )
