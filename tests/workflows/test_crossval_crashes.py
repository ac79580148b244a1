"""A cross-validation that is killed repeatedly equals an uninterrupted one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CRASHES = Path(__file__).with_name("crossval_crashes.py")

SMALL = (
    "folds=3",
    "network=mlp",
    "network.hidden_widths=[16]",
    "network.dropout=0.2",
    "data.batch_size=64",
    "trainer.max_epochs=2",
    "callbacks.checkpoint.save_every_steps=3",
)


def test_a_cross_validation_survives_kills_and_trains_no_finished_fold_again(tmp_path):
    done = subprocess.run(
        [sys.executable, CRASHES, tmp_path, "3", "0", *SMALL],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == {"kills": 3, "differences": [], "finished_before": 3}
