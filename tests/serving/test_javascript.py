"""The example in JavaScript predicts what Python predicts."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import leyden
from leyden.serving.export import export

EXAMPLE = Path(__file__).parents[2] / "docs" / "deploy" / "predict.mjs"

PACKAGES = ("onnxruntime-node", "pngjs")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Install the packages of the example; return their folder."""
    if shutil.which("npm") is None:
        pytest.skip("needs npm")
    folder = tmp_path_factory.mktemp("javascript")
    # Scripts of the packages would download what a GPU needs.
    install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"npm cannot install the packages: {done.stderr.strip()[-200:]}")
    shutil.copy(EXAMPLE, folder)
    return folder


@pytest.mark.release
@pytest.mark.slow
def test_the_export_of_the_default_network_has_the_same_answer(shared_run, project, tmp_path):
    export(str(shared_run), tmp_path / "digits")
    network = leyden.load(tmp_path / "digits")
    random = np.random.default_rng(0)
    for name, shape in (("grey", (8, 8)), ("colours", (8, 8, 3))):
        path = tmp_path / f"{name}.png"
        Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(path)

        done = subprocess.run(
            ["node", "predict.mjs", tmp_path / "digits", path],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 0, done.stderr
        (expected,) = network.predict(path)
        found = json.loads(done.stdout)
        assert found["class"] == expected["class"]
        assert found["probability"] == pytest.approx(expected["probability"], abs=1e-5)
