"""Tests of the built wheel, and of projects that use it."""

import json
import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leyden import load

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "tides"
version = "1"

[project.entry-points."leyden.project"]
tides = "tides"

[tool.hatch.build.targets.wheel]
packages = ["src/tides"]
force-include = { "conf" = "tides/conf" }
"""

PREDICT = """
import importlib.util, json, sys
import leyden
rows = leyden.load(sys.argv[1]).predict(sys.argv[2])
status = dict(line.split(":") for line in open("/proc/self/status"))
kilobytes = int(status["VmHWM"].split()[0])
torch = importlib.util.find_spec("torch")
print(json.dumps({"rows": rows, "torch": torch, "MiB": kilobytes / 1024}))
"""

ADDED = {
    "data": (
        "from leyden.data.sets.digits import Digits\nclass Added(Digits): ...\n",
        "# Heights of tides, drawn as digits.\ndefaults: [digits, _self_]\nname: tides\n",
    ),
    "data/splitter": (
        "from leyden.data.splits import HoldOut\nclass Added(HoldOut): ...\n",
        "# A split rule of a project.\nval_fraction: 0.2\ntest_fraction: 0.2\nseed: 0\n",
    ),
    "network": (
        "from leyden.networks.mlp import MLP\nclass Added(MLP): ...\n",
        "# A network of a project.\n_partial_: true\nhidden_widths: [8]\n",
    ),
    "loss": (
        "from leyden.losses.focal import FocalLoss\nclass Added(FocalLoss): ...\n",
        "# A loss of a project.\ngamma: 1.0\n",
    ),
    "task": (
        "from leyden.tasks.classification import Classification\n"
        "class Added(Classification): ...\n",
        "# A task of a project.\ndefaults: [classification, _self_]\n",
    ),
}
"""One Python file and one YAML file for each group."""


def python(*words, cwd, site):
    return subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )


def install(source, site):
    pip = ("pip", "install", "--no-deps", "--no-index", "--no-build-isolation", "--target", site)
    done = python(*pip, source, cwd=site.parent, site=site)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Install the built wheel in a temporary folder; return the folder."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    install(wheel, folder / "site")
    return folder / "site"


@pytest.fixture(scope="module", params=["checkout", "installed"])
def project(request, site, tmp_path_factory):
    """Write a project; return the current directory and ``PYTHONPATH`` of its commands."""
    folder = tmp_path_factory.mktemp("tides")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "src" / "tides").mkdir(parents=True)
    (folder / "src" / "tides" / "__init__.py").touch()
    for group, (code, text) in ADDED.items():
        module = group.replace("/", "_")
        (folder / "src" / "tides" / f"{module}.py").write_text(code)
        (folder / "conf" / group).mkdir(parents=True, exist_ok=True)
        option = f"{text}_target_: tides.{module}.Added\n"
        (folder / "conf" / group / "tides.yaml").write_text(option)
    if request.param == "checkout":
        return folder, site
    own = tmp_path_factory.mktemp("installed") / "site"
    install(folder, own)
    return tmp_path_factory.mktemp("elsewhere"), f"{own}{os.pathsep}{site}"


@pytest.fixture(scope="module")
def interpreter(site, tmp_path_factory):
    """Return Python with the wheel and what an artefact of images needs, but without torch."""
    folder = tmp_path_factory.mktemp("without_torch")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    (packages,) = folder.glob("venv/lib/python*/site-packages")
    for path in site.iterdir():
        (packages / path.name).symlink_to(path)
    for name in ("filelock", "numpy", "onnxruntime", "pillow", "tqdm"):
        files = distribution(name).files
        assert files is not None
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            (packages / top).symlink_to(distribution(name).locate_file(top))
    return folder / "venv" / "bin" / "python"


def leyden(project, *words):
    folder, site = project
    return python("leyden", *words, cwd=folder, site=site)


def test_an_installed_wheel_trains_from_another_folder(site, tmp_path):
    done = python(
        "leyden", "train", "network=linear", "trainer.max_epochs=1", cwd=tmp_path, site=site
    )

    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("runs/digits/*/metrics.json"))
    assert (site / "leyden" / "conf" / "train.yaml").is_file()


def test_an_artefact_predicts_where_torch_is_not_installed(
    exported, interpreter, shared_run, tmp_path
):
    Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(tmp_path / "image.png")
    done = subprocess.run(
        [interpreter, "-I", "-c", PREDICT, exported, "image.png"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (expected,) = load(shared_run).predict(tmp_path / "image.png")
    (row,) = found["rows"]
    assert row == {
        "file": "image.png",
        "class": expected["class"],
        "probability": pytest.approx(expected["probability"], abs=0.01),  # the run is in bfloat16
    }
    assert found["torch"] is None
    assert found["MiB"] <= 200


def test_commands_run_where_torch_is_not_installed(exported, interpreter, tmp_path):
    Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(tmp_path / "image.png")

    def run(*words):
        return subprocess.run(
            [interpreter, "-I", "-m", "leyden", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    predicted = run("predict", f"export={exported}", "image.png")
    written = run("predict", f"export={exported}", "image.png", "output=rows.csv", "processes=2")
    mistaken = run("predict", f"exprot={exported}", "image.png")
    refused = [run(*words) for words in (["train"], ["predict", "run=digits", "image.png"])]

    assert predicted.stdout.startswith("file,class,probability\nimage.png,"), predicted.stderr
    assert (tmp_path / "rows.csv").read_text() == predicted.stdout, written.stderr
    assert "Did you mean 'export'?" in mistaken.stderr
    for done in refused:
        assert done.returncode == 2
        assert "pip install leyden" in done.stderr


def test_a_wheel_holds_the_page_of_the_server(site):
    page = Path("leyden", "serving", "server", "page")
    expected = {file.name for file in (ROOT / "src" / page).iterdir()}

    assert {file.name for file in (site / page).iterdir()} == expected


def test_a_project_trains_evaluates_and_predicts_with_its_own_classes(project):
    done = leyden(project, "train", *(f"{group}=tides" for group in ADDED), "debug=smoke")
    assert done.returncode == 0, done.stderr
    (run,) = project[0].glob("runs/tides/*")
    Image.new("L", (8, 8)).save(project[0] / "image.png")

    evaluated = leyden(project, "evaluate", f"run={run}")
    predicted = leyden(project, "predict", f"run={run}", "input=image.png")

    assert evaluated.returncode == 0, evaluated.stderr
    assert "test/loss" in evaluated.stdout
    assert predicted.returncode == 0, predicted.stderr
    assert "image.png" in predicted.stdout


@pytest.mark.parametrize("group", ADDED)
def test_each_option_of_a_project_is_known(project, group):
    helped = leyden(project, "train", "--help")
    mistaken = leyden(project, "train", f"{group}=tidse")

    assert helped.stdout.count("tides") >= len(ADDED)
    assert mistaken.returncode == 2
    assert "Did you mean 'tides'?" in mistaken.stderr


def test_a_sweep_finds_the_options_of_a_project(project):
    done = leyden(project, "train", "-m", "network=tides,linear", "name=swept", "debug=smoke")

    assert done.returncode == 0, done.stderr
    assert len(list(project[0].glob("runs/swept/*/*/metrics.json"))) == 2


def test_a_run_does_not_bring_the_package_that_it_names(project, site, tmp_path):
    trained = leyden(project, "train", "network=tides", "name=passed_on", "debug=smoke")
    assert trained.returncode == 0, trained.stderr
    (run,) = project[0].glob("runs/passed_on/*")
    (run / "src" / "tides").mkdir(parents=True)
    (run / "src" / "tides" / "__init__.py").write_text("open('MARK', 'w')")
    (run / "src" / "tides" / "network.py").write_text(ADDED["network"][0])
    (run / "pyproject.toml").touch()

    for cwd in (tmp_path, run):
        done = python("leyden", "evaluate", f"run={run}", cwd=cwd, site=site)

        assert done.returncode == 2, done.stderr
        assert "'tides.network.Added' is not in a trusted package" in done.stderr
        assert not (cwd / "MARK").exists()


def test_a_module_in_the_current_directory_is_not_imported(site, tmp_path):
    for name in ("yaml", "tides"):
        (tmp_path / f"{name}.py").write_text("open('MARK', 'w')")

    done = python("leyden", "train", "network._target_=tides.Net", cwd=tmp_path, site=site)

    assert done.returncode == 2, done.stderr
    assert "'tides.Net' is not in a trusted package" in done.stderr
    assert not (tmp_path / "MARK").exists()
