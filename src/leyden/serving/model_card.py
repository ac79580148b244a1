"""The model card of an exported network: what it was trained on, and how well it predicts."""

from collections.abc import Mapping, Sequence
from typing import Any

LIMITS = (
    "Metrics hold for rows like those of the test split. Rows from another source, device, time or "
    "language can be predicted much worse; measure them before relying on predictions."
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
        "## Parity",
        f"The answers differ from those of the checkpoint in float32 by at most "
        f"{record['parity']['deviation']:.2g}, on batches of "
        f"{', '.join(map(str, record['parity']['batches']))} rows; "
        f"{record['parity']['tolerance']:g} is tolerated.",
        "## Limits",
        LIMITS,
    ]
    return "\n\n".join(sections) + "\n"


def _numbers(record: Mapping[str, Any]) -> list[tuple[str, float]]:
    metrics: Mapping[str, Any] = record["metrics"]
    return [(key, value) for key, value in metrics.items() if isinstance(value, int | float)]


def _field(field: Mapping[str, Any]) -> tuple[Any, ...]:
    return field["name"], field["dtype"], tuple(field["shape"]), field["meaning"]


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
