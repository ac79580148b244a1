import numpy as np
import torch

from leyden.data.batches.fetched_rows import FetchedRows


def test_a_batch_holds_the_fetched_inputs_of_its_rows():
    batches = FetchedRows(lambda rows: {"doubled": 2 * rows}, targets=np.array([0, 1, 0]))

    batch = batches[4, torch.tensor([2, 1])]

    assert batch.inputs["doubled"].tolist() == [4, 2]
    assert batch.targets.tolist() == [0, 1]
    assert batch.rows.tolist() == [2, 1]
    assert batch.seed == 4
