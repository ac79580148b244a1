import numpy as np
import torch

from leyden.data.rows import Ragged
from leyden.data.text.batches import TokenBatches


def test_a_batch_is_as_long_as_its_longest_row():
    rows = [np.array(row, np.int32) for row in ([5, 6, 7], [8], [9, 9])]
    tokens = Ragged.of(rows, dtype=np.dtype(np.int32))
    batches = TokenBatches(tokens, np.array([0, 1, 0]))

    batch = batches[4, torch.tensor([1, 2])]

    assert batch.inputs["tokens"].shape == (2, 2)
    assert batch.targets.tolist() == [1, 0]
    assert batch.seed == 4
