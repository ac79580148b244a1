"""Keys of ``data`` that are paths, because its class annotates them as ``DataPath``."""

from collections.abc import Mapping
from typing import Any

from leyden.config.static.annotations import members, name_of
from leyden.config.static.targets import resolve
from leyden.errors import UserError


def path_keys(data: Any) -> list[str]:
    """Return the dotted keys that hold paths below ``data``, such as ``data.root``.

    Args:
        data: The node ``data``. Its target is not imported.

    Returns:
        The keys of parameters that are annotated as ``leyden.files.DataPath``; none if the class
        cannot be found, which ``check`` reports.
    """
    target = data.get("_target_") if isinstance(data, Mapping) else None
    try:
        parameters = resolve(str(target)).signature.parameters
    except UserError:
        return []
    kinds = ((name, kind) for name, each in parameters.items() for kind in members(each.annotation))
    return [f"data.{name}" for name, kind in kinds if name_of(kind) == "DataPath"]
