from types import SimpleNamespace

import numpy as np
import pytest
import torch

from leyden.data.batches.cached_rows import CPU, CachedRows, without_none
from leyden.data.image.augment import Flip

GPU = torch.device("cuda", 0)


@pytest.fixture
def rows():
    """Return 100 rows of 4 bytes and a target."""
    images = np.arange(400, dtype=np.uint8).reshape(100, 4)
    return CachedRows(SimpleNamespace(arrays={"images": images}, targets=np.arange(100)))


def test_a_batch_holds_the_rows_that_were_asked_for(rows):
    batch = rows[7, torch.tensor([3, 1])]

    assert batch.inputs["images"].tolist() == [[12, 13, 14, 15], [4, 5, 6, 7]]
    assert batch.targets is not None
    assert batch.targets.tolist() == batch.rows.tolist() == [3, 1]
    assert batch.seed == 7


def test_rows_stay_mapped_for_the_cpu(rows):
    before = rows.inputs["images"]

    assert not rows.move_to(CPU)
    assert rows.inputs["images"] is before


@pytest.mark.parametrize(("free", "fits"), [(2 * 1200 - 1, False), (2 * 1200, True)])
def test_a_gpu_keeps_rows_that_take_half_of_its_free_memory(free, fits, rows, monkeypatch):
    moved = []
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda _: (free, 10**9))
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, *_, **__: moved.append(tensor) or tensor)

    rows.move_to(GPU)

    assert len(moved) == (2 if fits else 0)


def test_null_augmentations_are_skipped():
    flip = Flip()

    assert without_none({"flip": flip, "shift": None}) == {"flip": flip}
    assert without_none(None) == {}
