"""Names of data after the file or folder that holds them, as ``conf/data/`` uses them."""

import os
import re
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

LONGEST = 100
"""Maximum bytes of a name, which is that of folders."""

PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip", ".tar")


def source_name(path: str) -> str:
    """Return the name of a file without its suffixes, or that of a folder, as a folder is called.

    Args:
        path: Path of the file or folder, which need not exist.

    Returns:
        A name without separators and spaces; an empty string if nothing is left.

    Example:
        >>> source_name("measured/sales 2024.csv.gz"), source_name("pets/")
        ('sales-2024', 'pets')
    """
    # pathlib raises if the user of ~user is unknown, and resolving would follow links
    full = Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111
    while full.suffix in PACKED:
        full = full.with_suffix("")
    name = full.name if os.path.isdir(full) else full.stem  # noqa: PTH112  # for any text
    name = re.sub(r"[^\w.=+-]+", "-", name).strip("-.")
    return name.encode()[:LONGEST].decode(errors="ignore")


def _name_of(key: str, default: str, *, _parent_: DictConfig) -> str:
    """Resolve ``${name_of:KEY,DEFAULT}``: the name of the path at a key beside this one."""
    path: Any = OmegaConf.select(_parent_, key, throw_on_missing=False)
    return (path is not None and source_name(str(path))) or default


def register() -> None:
    """Register ``name_of`` with OmegaConf."""
    OmegaConf.register_new_resolver("name_of", _name_of, replace=True)
