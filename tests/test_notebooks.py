"""Notebooks: every code cell runs, in order, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NAMES = ("first_network", "predict")  # others are a person's own
NOTEBOOKS = [FOLDER / f"{name}.ipynb" for name in NAMES]


def cells_of(notebook):
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.slow
def test_a_notebook_runs(notebook, tmp_path):
    cells = [cell for cell in cells_of(notebook) if cell["cell_type"] == "code"]
    program = "\n\n".join("".join(cell["source"]) for cell in cells)

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_output(notebook):
    assert not any(cell.get("outputs") for cell in cells_of(notebook))
