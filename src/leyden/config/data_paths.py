"""Keys of ``data`` that are paths, because its class annotates them as ``DataPath``."""

import ast
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
    return [f"data.{name}" for name, each in parameters.items() if _is_path(each.annotation)]


def _is_path(annotation: Any) -> bool:
    kinds = members(annotation) if isinstance(annotation, ast.expr) else ()
    return any(name_of(kind) == "DataPath" for kind in kinds)
