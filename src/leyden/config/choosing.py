"""Choosing the network and the task of a command that names none, by a look at the data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import CachingConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from leyden.config.fitting import networks_that_take, sizes_of
from leyden.config.options import ROOT_CONFIG, groups
from leyden.config.projects import conf_folders
from leyden.config.static.members import read_attribute
from leyden.config.static.targets import bind, resolve
from leyden.data.look import Look, Looker
from leyden.errors import UserError, did_you_mean, first_line

CHOSEN = ("network", "task")
"""Groups that are chosen for the data."""

AUTO = "_auto"
"""Option of a group of which none has been named."""

FOLLOWING = (*CHOSEN, "loss")
"""Nodes whose keys depend on what is chosen."""

TABLE = "choices.yaml"

CONDITIONS = ("kind", "target", "max_side")
"""Keys of a row of the table that data may contradict."""

REASON = "reason"
"""Key beside the choices that Hydra records, which holds the reason for those that were made."""

Row = Mapping[str, Any]
"""Row of ``conf/choices.yaml``: what is known of data, and their network and task."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The options that are chosen for a command.

    Attributes:
        words: Overrides that name them; none if the command names all of them.
        reason: Why, as a clause; an empty string if there are none.
    """

    words: tuple[str, ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        return f"{', '.join(self.words)}, because {self.reason}" if self.words else ""


class _KeptFiles(CachingConfigRepository):
    """Files of ``conf/`` that are read once, however many configs are composed of them."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "_KeptFiles":
        return self


class ChoosingLoader(ConfigLoaderImpl):
    """Composes configs as Hydra does, after it has chosen what no override and no file names.

    What is chosen is composed as overrides before those of the user, but does not count as one: it
    is in no record of overrides and in no name of a folder.
    """

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.repository = _KeptFiles(self.repository)  # type: ignore[assignment]  # the same methods

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,  # noqa: FBT001, FBT002  # Hydra's signature
        validate_sweep_overrides: bool = True,  # noqa: FBT001, FBT002
    ) -> DictConfig:
        """Compose a config, of one job or of what all jobs of a sweep share."""
        load = partial(
            super().load_configuration,
            config_name,
            run_mode=run_mode,
            from_shell=from_shell,
            validate_sweep_overrides=validate_sweep_overrides,
        )
        choice = _choose(overrides, load)
        config = load(overrides=[*choice.words, *overrides])
        if choice.words:
            _record(choice, config)
        return config

    def choose(self, overrides: Sequence[str]) -> Choice:
        """Choose the options of ``CHOSEN`` that neither overrides nor files name.

        Args:
            overrides: Overrides, as on the command line; some may have several values.

        Raises:
            UserError: If the source of the data cannot be read, or no row of the table fits.
        """
        load = partial(super().load_configuration, ROOT_CONFIG, run_mode=RunMode.MULTIRUN)
        return _choose(overrides, load)


def _choose(overrides: Sequence[str], load: Callable[..., DictConfig]) -> Choice:
    """Choose for data that are composed of the overrides that do not depend on the choice."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    if set(CHOSEN) <= {each.key_or_group for each in parsed if not each.is_sweep_override()}:
        return Choice()
    options = groups()
    independent = [
        str(each.input_line)
        for each in parsed
        if each.key_or_group in options or each.key_or_group.split(".")[0] not in FOLLOWING
    ]
    config = load(overrides=independent)
    named = {group: config.hydra.runtime.choices.get(group) for group in CHOSEN}
    missing = [group for group in CHOSEN if named[group] == AUTO]
    if not missing:
        return Choice()
    data = _known_values(config.get("data"))
    look = look_at(data)
    row = _find_row(data, look, {group: named[group] for group in CHOSEN if group not in missing})
    reason = look.reason if look else f"{row['network']} takes the sizes of the data"
    return Choice(words=tuple(f"{group}={row[group]}" for group in missing), reason=reason)


def look_at(data: Mapping[str, Any]) -> Look | None:
    """Look at the source of a data set, without torch.

    Args:
        data: The node ``data``, without values that are missing. Its target is not imported.

    Returns:
        What has been found; ``None`` if the class names no function that looks at its source, or if
        ``check`` refuses the node.

    Raises:
        UserError: If the function cannot be imported, or the source cannot be read.
    """
    try:
        target = resolve(str(data.get("_target_")))
        bind(target, {**data, "_partial_": True}, where="data")
    except UserError:  # which `check` reports
        return None
    looker = read_attribute(target.classes, "look")
    if looker is None:
        return None
    try:
        return _import_looker(str(looker))(data)
    except ValueError as error:
        raise UserError(f"data: {error}") from error


def _import_looker(looker: str) -> Looker:
    module, _, name = looker.rpartition(".")
    try:
        look: Looker = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"data: look={looker!r} of its class cannot be imported: {first_line(error)}. Expected "
            "the dotted name of a function."
        ) from error
    return look


def read_table() -> Iterator[Row]:
    """Yield the rows of ``conf/choices.yaml``, those of projects first.

    Raises:
        UserError: If a row has an unknown key, or lacks a network or a task.
    """
    for file in (folder / TABLE for folder in conf_folders()):
        for row in yaml.safe_load(file.read_text()) or () if file.is_file() else ():
            unknown = next((key for key in row if key not in (*CHOSEN, *CONDITIONS)), None)
            if unknown is not None:
                hint = did_you_mean(str(unknown), (*CHOSEN, *CONDITIONS))
                raise UserError(f"{file}: no row has a key {unknown!r}.{hint}")
            if lacking := [group for group in CHOSEN if group not in row]:
                raise UserError(f"{file}: the row {row} lacks {lacking[0]}. Expected an option.")
            yield row


def _find_row(data: Mapping[str, Any], look: Look | None, named: Mapping[str, Any]) -> Row:
    """Return the first row that fits the data, if possible one with the options that are named.

    Raises:
        UserError: If there is none.
    """
    takers = networks_that_take(_sizes(data))
    rows = [
        row
        for row in read_table()
        if _fits(row, look) and ("network" in named or row["network"] in takers)
    ]
    if not rows:
        what = look.reason if look else "its networks do not take the sizes of the data"
        fitting = f" Networks that take their sizes: {', '.join(takers)}." if takers else ""
        raise UserError(
            f"No network and task can be chosen, because no row of conf/{TABLE} fits: {what}. "
            f"Give network=OPTION and task=OPTION.{fitting}"
        )
    return next((row for row in rows if named.items() <= row.items()), rows[0])


def _fits(row: Row, look: Look | None) -> bool:
    """Whether nothing that is known of the data contradicts a row."""
    if look is None:
        return True
    known = {"kind": look.kind, "target": look.target}
    is_same = all(known[key] in (None, row.get(key, known[key])) for key in known)
    return is_same and (look.side is None or look.side <= row.get("max_side", look.side))


def _sizes(data: Mapping[str, Any]) -> frozenset[str] | None:
    with suppress(UserError):  # of a target that `check` refuses
        return sizes_of(data)
    return None


def _known_values(node: Any) -> dict[str, Any]:
    """Return the values of a node as plain containers, without those that are missing."""
    if not isinstance(node, DictConfig):
        return {}
    values: dict[Any, Any]
    try:
        values = OmegaConf.to_container(node, resolve=True)  # type: ignore[assignment]
    except OmegaConfBaseException:  # which freezing the config reports
        values = OmegaConf.to_container(node)  # type: ignore[assignment]
    return {str(key): value for key, value in values.items() if value != MISSING}


def _record(choice: Choice, config: DictConfig) -> None:
    """Record why options were chosen, and that they are not overrides of the command."""
    hydra = config.hydra
    overrides: Any = OmegaConf.to_container(hydra.overrides.task)  # as they are written
    words = [word for word in overrides if word not in choice.words]
    hydra.overrides.task = words
    hydra.job.override_dirname = get_overrides_dirname(
        OverridesParser.create().parse_overrides(words),
        **hydra.job.config.override_dirname,
    )
    with open_dict(hydra):
        hydra.runtime.choices[REASON] = str(choice)
