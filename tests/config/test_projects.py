from pathlib import Path

import pytest

from leyden.config import projects
from leyden.config.compose import compose
from leyden.config.options import groups
from leyden.config.projects import find_projects
from leyden.config.static.targets import resolve
from leyden.errors import UserError

CLASS = "class Gauge:\n    def __init__(self, *, depth: int) -> None: ...\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a project to the current directory, and return its name."""
    name = f"project_{abs(hash(str(tmp_path)))}"
    package = tmp_path / "src" / name
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "gauges.py").write_text(f"raise SystemExit('imported')\n{CLASS}def run(): ...\n")
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "conf" / "network").mkdir(parents=True)
    (tmp_path / "conf" / "network" / "gauge.yaml").write_text(
        f"# A network of gauges.\n_target_: {name}.gauges.Gauge\ndepth: 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*projects.sys.path])
    projects._found.cache_clear()
    yield name
    projects._found.cache_clear()


def test_classes_of_a_project_are_found_without_importing_it(write: str) -> None:
    assert [each.package for each in find_projects()] == [write]
    assert list(resolve(f"{write}.gauges.Gauge").signature.parameters) == ["depth"]


def test_functions_of_a_project_are_trusted_in_some_modules(write: str) -> None:
    with pytest.raises(UserError, match="only classes are trusted there"):
        resolve(f"{write}.gauges.run")
    Path("src", write, "optim.py").write_text("def rule(): ...\n")
    assert not resolve(f"{write}.optim.rule").is_class


def test_imports_of_a_project_are_not_trusted(write: str) -> None:
    Path("src", write, "open.py").write_text("import subprocess\nfrom zipfile import ZipFile\n")

    for target in ("open.subprocess.Popen", "open.ZipFile"):
        with pytest.raises(UserError, match="is not in a trusted package"):
            resolve(f"{write}.{target}")


def test_options_of_a_project_are_known_and_come_first(write: str) -> None:
    Path("conf/network/cnn.yaml").write_text(f"_target_: {write}.gauges.Gauge\ndepth: 7\n")

    assert {"gauge", "mlp"} <= set(groups()["network"])
    assert compose(["network=gauge"]).network.depth == 3
    assert compose(["network=cnn"]).network.depth == 7


@pytest.mark.parametrize("file", ["config.yaml", "meta.pt", "best.ckpt", "checkpoints/last.ckpt"])
def test_a_folder_of_a_run_is_not_a_project(write: str, file: str) -> None:
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).touch()

    assert find_projects() == []
    assert "gauge" not in groups()["network"]
    with pytest.raises(UserError, match=f"holds a run, so src/{write} is not trusted"):
        resolve(f"{write}.gauges.Gauge")


@pytest.mark.parametrize("missing", ["pyproject.toml", "src/{}/__init__.py"])
def test_an_incomplete_project_is_not_trusted(write: str, missing: str) -> None:
    Path(missing.format(write)).unlink()

    assert find_projects() == []
    with pytest.raises(UserError, match=r"needs an __init__\.py in it, and a pyproject.toml"):
        resolve(f"{write}.gauges.Gauge")
