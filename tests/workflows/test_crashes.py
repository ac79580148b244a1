"""A run that is killed repeatedly equals an uninterrupted one, bit for bit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CRASHES = Path(__file__).with_name("crashes.py")

SMALL = (
    "network=mlp",
    "network.hidden_widths=[16]",
    "network.dropout=0.2",
    "data.batch_size=64",
    "callbacks.checkpoint.save_every_steps=3",
)
EVERYTHING = (
    *SMALL,
    "trainer.max_epochs=25",
    "trainer.accumulate_grad_batches=2",
    "callbacks=[default,ema]",
    "callbacks.early_stopping.patience=3",
    "scheduler=plateau",
    "scheduler.patience=0",
    "task/mix=mixup",
)
WORKERS = (
    *SMALL[2:],
    "network.channels=[4,8]",
    "trainer.max_epochs=5",
    "data.num_workers=2",
    "callbacks.checkpoint.save_top_k=2",
    "+trainer.val_check_interval=0.25",
)
AVERAGED = (
    *SMALL,
    "trainer.max_epochs=8",
    "callbacks=[default,swa]",
    "callbacks.swa.swa_epoch_start=3",
    "monitor=val/accuracy",
    "scheduler=plateau",
    "scheduler.patience=0",
)
LIMITED = (*SMALL, "scheduler=plateau", "scheduler.patience=0", "trainer.max_steps=150")
TWO_RANKS = (*SMALL, "data.batch_size=16", "trainer.max_epochs=5", "trainer=ddp")
SHARDED = (
    *TWO_RANKS[:-1],
    "trainer=fsdp",
    "callbacks.checkpoint.save_top_k=2",
    "trainer.accumulate_grad_batches=2",
    "trainer.gradient_clip_val=0.5",
)
ON_A_GPU = (
    "network.channels=[4,8]",
    *SMALL[2:],
    "trainer=gpu",
    "trainer.max_epochs=12",
    "deterministic=true",
    "callbacks=[default,ema,cuda_graph]",
)


@pytest.mark.parametrize(
    ("kills", "ranks", "overrides"),
    [
        (30, 1, EVERYTHING),
        (4, 1, WORKERS),
        (6, 1, AVERAGED),
        (6, 1, LIMITED),
        (3, 2, (*TWO_RANKS, "trainer.accelerator=cpu")),
        (2, 2, (*SHARDED, "trainer.accelerator=cpu")),
        pytest.param(4, 1, ON_A_GPU, marks=pytest.mark.gpu),
    ],
    ids=["everything", "workers", "averaged", "max_steps", "two_ranks", "sharded", "gpu"],
)
def test_a_run_survives_kills(tmp_path, kills, ranks, overrides):
    done = subprocess.run(
        [sys.executable, CRASHES, tmp_path, str(kills), str(ranks), "0", *overrides],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == {"kills": kills, "differences": []}
