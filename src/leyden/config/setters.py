"""All places that set a key of a composed config, or choose the option of a group, in order."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from leyden.config.choosing import TABLE, Choice, ChoosingLoader
from leyden.config.compose import hydra_started
from leyden.config.options import ROOT_CONFIG, config_files, groups
from leyden.config.projects import CONF
from leyden.config.yaml_lines import Entry, find_defaults, find_entry

COMMAND_LINE = "command line"
"""Place of an override."""


@dataclass(frozen=True, kw_only=True)
class Setter:
    """One place that sets a key.

    Attributes:
        place: File with its line, such as ``conf/train.yaml:12``, or ``command line``.
        text: The value as it is written there; on the command line, the whole override.
        comment: Comment beside it in the file; an empty string if none.
    """

    place: str
    text: str
    comment: str = ""


class Layer(NamedTuple):
    """A file of ``conf/`` in the order in which Hydra merges them: later ones win.

    Attributes:
        name: Name such as ``network/cnn``.
        package: Keys of the node into which the file is merged; none for the top level.
    """

    name: str
    package: tuple[str, ...]


def find_layers(overrides: Sequence[str]) -> tuple[list[Layer], Choice]:
    """List the files of which overrides compose a config, without Hydra's own, in merging order.

    Returns:
        The files, and what was chosen for the data and composed with them.

    Raises:
        hydra.errors.HydraException: If an override is invalid; see ``origins.convert_errors``.
    """
    running = GlobalHydra.instance().hydra  # in a job
    with nullcontext(running) if running else hydra_started() as hydra:
        loader = hydra.config_loader
        choice = loader.choose(overrides) if isinstance(loader, ChoosingLoader) else Choice()
        words = [*choice.words, *overrides]
        found = loader.compute_defaults_list(ROOT_CONFIG, words, RunMode.RUN)
    own = config_files()
    return [
        Layer(each.config_path, tuple(filter(None, (each.package or "").split("."))))
        for each in found.defaults
        if each.config_path in own
    ], choice


def find_setters(key: str, overrides: Sequence[str]) -> list[Setter]:
    """List what sets a dotted key, a part of it, or a node around it; the last one wins.

    Args:
        key: Dotted key, such as ``network.dropout``.
        overrides: Overrides without shorthands and without values of sweeps.
    """
    files, path, setters = config_files(), key.split("."), []
    layers, _ = find_layers(overrides)
    for name, package in layers:
        if tuple(path[: len(package)]) == package and len(package) < len(path):
            entry = find_entry(files[name], path[len(package) :])
            setters += [_in_file(entry)] if entry else []
    return [*setters, *_on_command_line(key, overrides)]


def find_choosers(group: str, overrides: Sequence[str]) -> list[Setter]:
    """List what chooses the option of a group; the last one wins.

    Args:
        group: Config group, such as ``task/mix``.
        overrides: Overrides without shorthands and without values of sweeps.
    """
    files, (layers, choice) = config_files(), find_layers(overrides)
    names = dict.fromkeys([ROOT_CONFIG, *(layer.name for layer in layers)])
    found = [
        (written.removeprefix("optional ").startswith("override "), entry)
        for name in names
        for written, entry in find_defaults(files[name])
        if _absolute(written, name) == group
    ]
    choosers = [_in_file(entry) for _, entry in sorted(found, key=lambda each: each[0])]
    chosen = (word.removeprefix(f"{group}=") for word in choice.words if _names(word, group))
    words = (word for word in overrides if _names(word, group))
    return [
        *choosers,
        *(Setter(place=f"conf/{TABLE}", text=option, comment=choice.reason) for option in chosen),
        *(Setter(place=COMMAND_LINE, text=word) for word in words),
    ]


def overrides_of(key: str, overrides: Sequence[str]) -> list[str]:
    """List the overrides that set a dotted key, a part of it, or a node around it by its value."""
    names = [(word.lstrip("+~").partition("=")[0], word) for word in overrides]
    return [
        word
        for name, word in names
        if (f"{key}.".startswith(f"{name}.") and name not in groups()) or name.startswith(f"{key}.")
    ]


def find_in_file(key: str, file: Path, overrides: Sequence[str]) -> list[Setter]:
    """List what sets a dotted key of a frozen config: its file, then overrides."""
    entry = find_entry(file, key.split("."))
    return [*([_in_file(entry)] if entry else []), *_on_command_line(key, overrides)]


def place_of(file: Path, line: int) -> str:
    """Return a file and a line as an editor or a terminal links them.

    Files of Leyden and of the project in the current folder are shown as ``conf/...``.
    """
    for folder in (Path.cwd(), CONF.parent):
        if file.is_relative_to(folder):
            return f"{file.relative_to(folder)}:{line}"
    return f"{file}:{line}"


def _names(word: str, group: str) -> bool:
    """Whether an override chooses the option of a group."""
    return word.lstrip("+~").partition("=")[0] == group


def _in_file(entry: Entry) -> Setter:
    place = place_of(entry.file, entry.line)
    return Setter(place=place, text=entry.text, comment=entry.comment)


def _on_command_line(key: str, overrides: Sequence[str]) -> Iterator[Setter]:
    return (Setter(place=COMMAND_LINE, text=word) for word in overrides_of(key, overrides))


def _absolute(written: str, name: str) -> str:
    """Return the group of an item of the defaults list of a file.

    >>> _absolute("override /data@data", "experiment/penguins"), _absolute("mix", "task/ctc")
    ('data', 'task/mix')
    """
    group = written.split()[-1].partition("@")[0]
    parent = name.rpartition("/")[0]
    if group.startswith("/"):
        return group[1:]
    return f"{parent}/{group}" if parent else group
