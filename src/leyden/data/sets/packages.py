"""Data files that an installed package ships; the package itself is not imported."""

from importlib.util import find_spec
from pathlib import Path


def package_file(package: str, *names: str) -> Path | None:
    """Find the first file of these names, relative to an installed package, if there is one."""
    found = find_spec(package)
    folders = (found.submodule_search_locations if found else None) or ()
    files = (Path(folder) / name for folder in folders for name in names)
    return next((file for file in files if file.is_file()), None)
