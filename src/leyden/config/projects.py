"""Projects: packages of the user's own, whose classes and configs are trusted as Leyden's are.

A package is trusted because it is checked out where a command is given, or because it is installed
and declares the entry point group ``leyden.project``. No config and no checkpoint can add one.
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
"""Files that make a folder one of a run, which is passed on with whatever is in it."""


@dataclass(frozen=True)
class Project:
    """A trusted package.

    Attributes:
        package: Its dotted name.
        conf: The folder of its configs, which need not exist.
    """

    package: str
    conf: Path


def conf_of(package: Path) -> Path:
    """Return ``conf/`` of a package: beside ``src/`` in a checkout, else inside the package."""
    inside = package / "conf"
    is_checkout = package.parent.name == "src" and not inside.is_dir()
    return package.parents[1] / "conf" if is_checkout else inside


CONF = conf_of(LEYDEN)
"""The configs that come with Leyden."""


def find_projects() -> list[Project]:
    """Find the projects in the current directory, beside Leyden's sources, and installed ones.

    The ``src/`` of a checkout is put on ``sys.path``, so that its packages can be imported.
    """
    return _found(Path.cwd())


def conf_folders() -> list[Path]:
    """List the folders of configs in the order in which they are searched; Leyden's is the last."""
    own = dict.fromkeys(project.conf for project in find_projects() if project.conf.is_dir())
    return [*(folder for folder in own if folder != CONF), CONF]


def why_untrusted(package: str) -> str:
    """Return why a package in ``src/`` of the current directory is not trusted; ``""`` if none."""
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
