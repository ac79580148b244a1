"""A run continues with any number of ranks, whether they shard the network or not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("mixed_ranks.py")


def test_a_run_continues_with_another_number_of_ranks(tmp_path):
    words = (
        "network=mlp",
        "network.norm=layer",
        "network.hidden_widths=[15,1]",
        "data.augment=null",
        "scheduler=constant",
        "optimizer.lr=0.01",
    )

    done = subprocess.run(
        # 30 rows do not divide those of the splits, nor two ranks the units; the second has none
        # of the last hidden layer.
        [sys.executable, SCRIPT, tmp_path, "30", *words],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )

    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found.pop("folders") == [True, False, True]
    assert max(found.values()) < 1e-4, found
