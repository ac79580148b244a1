"""Two ranks equal one process: the same weights, and metrics that count every row once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("same_answer.py")


@pytest.mark.parametrize(
    ("ways", "network"),
    [
        ("ddp,fsdp", ("network=mlp", "network.norm=none")),
        ("ddp", ("network=cnn", "network.channels=[4,8]", "trainer.sync_batchnorm=true")),
    ],
    ids=["without_batch_norm", "synced_batch_norm"],
)
def test_two_ranks_of_half_the_batch_equal_one_process(tmp_path, ways, network):
    words = (
        *network,
        "data.augment=null",
        "trainer.max_epochs=2",  # rounding differs, and in longer training it grows
        "trainer.precision=32-true",
        "optimizer=sgd",
    )

    done = subprocess.run(
        # 30 rows do not divide the rows of validation and test.
        [sys.executable, SCRIPT, tmp_path, "30", ways, *words],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )

    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert list(found) == ways.split(",")
    for apart in found.values():
        assert set(apart) > {"weights", "val/loss", "test/loss", "test/accuracy", "test/auroc"}
        assert max(apart.values()) < 1e-5, found
