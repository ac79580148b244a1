import logging
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

from leyden.cli.main import main

sys.path.append(str(Path(__file__).parent))  # for shipped.py and fabricated.py

collect_ignore = [  # run by tests
    "workflows/crossval_crashes.py",
    "workflows/mixed_ranks.py",
    "workflows/same_answer.py",
]

HARMLESS_WARNINGS = (
    "ignore:.*LeafSpec.* is deprecated:FutureWarning",  # Lightning's own use of torch
    "ignore:.*smaller than the logging interval",  # metrics are logged once an epoch
    "ignore:Precision bf16-mixed is not supported by the model summary",
    "ignore:Be aware that when using `ckpt_path`",  # a run is continued without a callback
    "ignore:SWA is currently only supported every epoch",  # it replaces the schedule in the end
    "ignore:Swapping scheduler",
    "ignore:You're using the WeightAveraging callback with a model that",  # it is whole
    "ignore:.*does not have many workers",  # rows are memory-mapped, so none are needed
    "ignore:GPU available but not used",  # if a test is for the CPU
)


# The same examples in every run, and no limit on their time: the machine may be busy.
hypothesis.settings.register_profile("leyden", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("leyden")


def pytest_configure(config):
    config.addinivalue_line("markers", "gpu: needs a CUDA GPU, and runs with -m gpu alone")
    config.addinivalue_line("markers", "release: of Leyden itself, and runs with -m release alone")
    config.addinivalue_line(
        "markers",
        "slow: starts processes or walks large products, and runs in make test-all",
    )
    if "gpu" not in config.getoption("markexpr"):
        # Tests that do not need a GPU have the same results on all machines.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    for harmless in HARMLESS_WARNINGS:
        config.addinivalue_line("filterwarnings", harmless)


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their markers
def pytest_collection_modifyitems(config, items):
    of_release = pytest.mark.skip(reason="judges what comes with Leyden: -m release")
    for item in items:
        if "leyden_process" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("release") and "release" not in config.getoption("markexpr"):
            item.add_marker(of_release)
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA GPU, and -m gpu"))


@pytest.fixture(autouse=True, scope="session")
def alone_on_this_machine(tmp_path_factory):
    """Keep the user's cache out of the tests, and leave the other cores to other work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEYDEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("PYTHONFAULTHANDLER", "1")  # a process that crashes prints its traceback
        torch.set_num_threads(1)
        yield


@dataclass(frozen=True)
class Done:
    """Result of a command."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def leyden_process():
    """Run ``leyden`` as a user does: in a process of its own, in a folder of the test's."""

    def run(*words, cwd, options=(), **environment):
        done = subprocess.run(
            [sys.executable, *options, "-m", "leyden", *map(str, words)],
            cwd=cwd,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def leyden(tmp_path, monkeypatch, capsys):
    """Run ``leyden`` in this process, which has torch imported already; runs go to tmp_path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level

    def run(*words):
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:  # of Hydra's, after its help
            code = end.code or 0
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    yield run
    for handler in set(logger.handlers) - set(handlers):
        handler.close()
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture(scope="session")
def shared_run(tmp_path_factory, leyden_process):
    """Return the folder of a finished run of two epochs, which tests may read but not change."""
    folder = tmp_path_factory.mktemp("shared")
    done = leyden_process(
        "train", "network=linear", "trainer.max_epochs=2", "name=shared", cwd=folder
    )
    assert done.code == 0, done.err
    (run,) = (folder / "runs" / "shared").iterdir()
    return run


@pytest.fixture(scope="session")
def exported(tmp_path_factory, shared_run, leyden_process):
    """Return the folder of an exported classifier of digits, which tests may read."""
    folder = tmp_path_factory.mktemp("exports") / "digits"
    done = leyden_process("export", f"run={shared_run}", f"to={folder}", cwd=folder.parent)
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def own_run(shared_run, tmp_path):
    """Return a copy of the shared run that a test may change."""
    return Path(shutil.copytree(shared_run, tmp_path / "runs" / "shared" / shared_run.name))


@pytest.fixture
def alone(tmp_path):
    """Return a mesh whose only rank is this process."""
    from torch import distributed
    from torch.distributed.device_mesh import init_device_mesh

    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    yield init_device_mesh("cpu", (1,))
    distributed.destroy_process_group()


@pytest.fixture
def measurements(tmp_path):
    """Give the path of a table of three classes that two numbers and a word tell apart."""
    random = np.random.default_rng(0)
    species = np.arange(240) % 3
    columns = (
        random.normal(3 * species, 1),
        random.normal(-2 * species, 1),
        np.array(["north", "south", "east"])[(species + (random.random(240) < 0.2)) % 3],
        np.array(["cat", "dog", "owl"])[species],
    )
    rows = [f"{a:.4f},{b:.4f},{c},{d}" for a, b, c, d in zip(*columns, strict=True)]
    file = tmp_path / "measurements.csv"
    file.write_text("\n".join(["length,depth,place,species", *rows]))
    return file
