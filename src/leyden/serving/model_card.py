"""The model card of an exported network: what it was trained on, and how well it predicts."""

from collections.abc import Mapping, Sequence
from typing import Any

from leyden.serving.artefact import NORMALISATION, RECORD, WEIGHTS

LIMITS = (
    "Metrics hold for rows like those of the test split. Rows from another source, device, time or "
    "language can be predicted much worse; measure them before relying on predictions."
)

WEIGHTS_ALONE = (
    f"`{WEIGHTS}` holds the weights of the checkpoint by the names of the network's `state_dict`, "
    f"and `{NORMALISATION}` the buffers of the modules that normalise each input. `members` of "
    f"`{RECORD}` has the arguments of each network and the statistics of its targets. The inputs "
    "and answers above are those of a graph, which this folder does not hold."
)


def model_card(record: Mapping[str, Any], *, name: str, config: Mapping[str, Any]) -> str:
    """Return the card as Markdown, in the sections of Mitchell et al. 2019, arXiv:1810.03993.

    Args:
        record: The content of ``model.json``.
        name: Name of the run.
        config: Plain config of the run.
    """
    data, network = (config.get(group) or {} for group in ("data", "network"))
    sections = [
        f"# {name}",
        f"A network for {record['task'].replace('_', ' ')} of {record['kind']} data, exported by "
        f"Leyden {record['versions']['leyden']}.",
        "## Inputs and answers",
        _table(("input", "dtype", "shape", "meaning"), map(_field, record["inputs"])),
        _table(("answer", "dtype", "shape", "meaning"), map(_field, record["outputs"])),
        *([f"Classes: {_listed(record['class_names'])}."] if record["class_names"] else []),
        "## Metrics",
        _table(("metric", "value"), ((key, f"{value:.6g}") for key, value in _numbers(record))),
        "## Data",
        _table(
            ("key", "value"),
            [
                ("data set", data.get("name")),
                ("reader", data.get("_target_")),
                ("fingerprint of all rows", record["data_fingerprint"]),
            ],
        ),
        "## Network and training",
        _table(
            ("key", "value"),
            [
                *((f"network.{key}", value) for key, value in network.items()),
                *((key, config[key]) for key in ("seed",) if key in config),
                *((f"version of {key}", value) for key, value in record["versions"].items()),
            ],
        ),
        *_fidelity(record),
        "## Limits",
        LIMITS,
    ]
    return "\n\n".join(sections) + "\n"


def _fidelity(record: Mapping[str, Any]) -> list[str]:
    """Return the section that compares the folder with the checkpoint."""
    parity = record.get("parity")
    if parity is None:
        return ["## Weights", WEIGHTS_ALONE]
    return [
        "## Parity",
        f"The answers differ from those of the checkpoint in float32 by at most "
        f"{parity['deviation']:.2g}, on batches of {', '.join(map(str, parity['batches']))} rows; "
        f"{parity['tolerance']:g} is tolerated.",
    ]


def _numbers(record: Mapping[str, Any]) -> list[tuple[str, float]]:
    metrics: Mapping[str, Any] = record["metrics"]
    return [(key, value) for key, value in metrics.items() if isinstance(value, int | float)]


def _field(field: Mapping[str, Any]) -> tuple[Any, ...]:
    shape = ", ".join(map(str, field["shape"]))
    return field["name"], field["dtype"], f"({shape})", field["meaning"]


def _listed(names: Sequence[str], most: int = 20) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(_cell(name) for name in names[:most]) + more


def _table(columns: Sequence[str], rows: Any) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: Any) -> str:
    """Return a value as text that cannot end its cell, nor be read as markup."""
    text = " ".join(str(value).split())
    return "".join(f"\\{mark}" if mark in "|`*<>[]\\" else mark for mark in text)
