"""Projects: packages of users, whose classes and configs are trusted like those of Leyden.

A package is trusted if it is checked out in the current directory, or if it is installed and
declares an entry point in the group ``leyden.project``. Configs and checkpoints cannot add one.
"""

import functools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

ENTRY_POINTS = "leyden.project"

LEYDEN = Path(__file__).resolve().parents[1]

OF_A_RUN = ("config.yaml", "meta.pt", "checkpoints", "*.ckpt")
"""Patterns of files in a run folder, which may come from anybody and so is not a project."""


@dataclass(frozen=True)
class Project:
    """A trusted package.

    Attributes:
        package: Dotted name of the package.
        conf: Folder of its configs, which need not exist.
    """

    package: str
    conf: Path


def conf_of(package: Path) -> Path:
    """Return the ``conf/`` of a package: beside ``src/`` in a checkout, otherwise inside of it."""
    inside = package / "conf"
    is_checkout = package.parent.name == "src" and not inside.is_dir()
    return package.parents[1] / "conf" if is_checkout else inside


CONF = conf_of(LEYDEN)
"""Folder of the configs that come with Leyden."""


def find_projects() -> list[Project]:
    """Find the projects in the current directory, beside Leyden's sources, and among packages.

    Adds the ``src/`` of checkouts to ``sys.path``, so that their packages can be imported.
    """
    return _found(Path.cwd())


def conf_folders() -> list[Path]:
    """List the folders of configs in the order of the search; Leyden's own is last."""
    own = dict.fromkeys(project.conf for project in find_projects() if project.conf.is_dir())
    return [*(folder for folder in own if folder != CONF), CONF]


def why_untrusted(package: str) -> str:
    """Return why a package in ``./src/`` is not trusted; an empty string if there is none."""
    here = Path.cwd()
    if not (here / "src" / package).is_dir():
        return ""
    if _holds_run(here):
        return f" {here} holds a run, so src/{package} is not trusted: keep runs in other folders."
    return f" src/{package} needs an __init__.py in it, and a pyproject.toml beside src/."


@functools.cache
def _found(here: Path) -> list[Project]:
    roots = [here, LEYDEN.parents[1]] if LEYDEN.parent.name == "src" else [here]
    projects = [*(project for root in roots for project in _checked_out(root)), *_installed()]
    return list({project.package: project for project in reversed(projects)}.values())[::-1]


def _checked_out(root: Path) -> Iterator[Project]:
    if not (root / "pyproject.toml").is_file() or _holds_run(root):
        return
    for file in sorted(root.glob("src/*/__init__.py")):
        package = file.parent
        if package.name != LEYDEN.name:
            if str(package.parent) not in sys.path:
                sys.path.insert(0, str(package.parent))
            yield Project(package.name, conf_of(package))


def _holds_run(folder: Path) -> bool:
    return any(any(folder.glob(pattern)) for pattern in OF_A_RUN)


def _installed() -> Iterator[Project]:
    from leyden.config.static.sources import find_module

    for entry in sorted(entry_points(group=ENTRY_POINTS)):
        module = find_module(entry.module)
        if module and module.folders:
            yield Project(entry.module, conf_of(module.folders[0]))
