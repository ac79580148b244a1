import pytest
import torch
from torch.utils.data import Dataset, SequentialSampler

from leyden.batch import Batch
from leyden.data.batches.loader import ResumableLoader
from leyden.data.batches.sampler import BatchOrder
from leyden.errors import UserError


class Numbers(Dataset):
    def __getitem__(self, key):
        seed, rows = key
        return Batch(inputs={}, targets=None, rows=rows, seed=seed)


def loader(num_workers=0):
    order = BatchOrder(torch.arange(40), batch_size=4, seed=1, shuffle=True, drop_last=True)
    return ResumableLoader(Numbers(), order=order, num_workers=num_workers)


def seen(batches):
    return [(batch.seed, batch.rows.tolist()) for batch in batches]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_epoch_is_resumed_after_the_batch_of_its_state(num_workers):
    whole = loader()
    whole.order.set_epoch(3)
    batches = iter(whole)
    before = [next(batches) for _ in range(4)]
    state = whole.state_dict()
    resumed = loader(num_workers)
    resumed.load_state_dict(state)
    rest = iter(resumed)
    resumed.order.set_epoch(3)  # as Lightning does, when the iterator is made already

    assert len(before) == 4
    assert seen(rest) == seen(batches)


def test_another_epoch_begins_at_its_beginning():
    whole, resumed = loader(), loader()
    resumed.load_state_dict({"epoch": 3, "fetched": 10})
    for each in (whole, resumed):
        each.order.set_epoch(4)

    assert seen(resumed) == seen(whole)


def test_the_next_epoch_is_whole():
    resumed = loader()
    resumed.load_state_dict({"epoch": 0, "fetched": 7})

    assert [len(list(resumed)) for _ in range(2)] == [3, 10]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_the_global_generator_is_left_alone(num_workers):
    before = torch.get_rng_state()

    list(loader(num_workers))

    assert torch.equal(torch.get_rng_state(), before)


def test_a_sampler_of_single_rows_is_refused():
    order = loader().order

    with pytest.raises(UserError, match="use_distributed_sampler=False"):
        ResumableLoader(Numbers(), order=order, num_workers=0, sampler=SequentialSampler(range(9)))
