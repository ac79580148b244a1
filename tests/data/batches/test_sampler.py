import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from leyden.data.batches.sampler import POOLED_BATCHES, BatchOrder, derive_seed

SIZES = list(itertools.product((1, 2, 7, 8, 9, 31), (1, 4, 8, 40), (1, 2, 3), (False, True)))


def order_of(n=20, *, batch_size=4, seed=0, shuffle=True, drop_last=False, rank=0, world_size=1):
    return BatchOrder(
        torch.arange(100, 100 + n),
        batch_size=batch_size,
        seed=seed,
        shuffle=shuffle,
        drop_last=drop_last,
        rank=rank,
        world_size=world_size,
    )


def batches(order, epoch=0):
    order.set_epoch(epoch)
    return [rows.tolist() for _, rows in order]


def seeds(order, epoch=0):
    order.set_epoch(epoch)
    return [seed for seed, _ in order]


def joined(lists):
    return list(itertools.chain.from_iterable(lists))


@pytest.mark.parametrize(("n", "batch_size", "world_size", "drop_last"), SIZES)
def test_ranks_share_every_global_batch_and_count_their_own(n, batch_size, world_size, drop_last):
    ranks = [
        order_of(n, batch_size=batch_size, drop_last=drop_last, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    size = batch_size * world_size
    alone = batches(order_of(n, batch_size=size, drop_last=drop_last))
    if n > size and 0 < n % size < world_size and not drop_last:
        alone[-2:] = [joined(alone[-2:])]

    shares = [batches(order) for order in ranks]

    together = [joined(step) for step in itertools.zip_longest(*shares, fillvalue=[])]
    assert [len(share) for share in shares] == [len(order) for order in ranks]
    assert together == alone
    assert all(0 < len(rows) <= batch_size + 1 for rows in joined(shares))
    if n >= world_size:
        assert len({len(share) for share in shares}) == 1  # none waits for one that has no batch
    if not drop_last:
        assert sorted(joined(together)) == list(range(100, 100 + n))


def test_dropping_the_last_batch_leaves_only_full_ones():
    assert [len(rows) for rows in batches(order_of(11, drop_last=True))] == [4, 4]


@pytest.mark.parametrize("epoch", [0, 1, 17])
def test_every_row_comes_once_an_epoch(epoch):
    assert sorted(joined(batches(order_of(21), epoch))) == list(range(100, 121))


def test_an_epoch_can_be_repeated():
    order = order_of()
    first = batches(order, 3), seeds(order, 3)
    batches(order, 4)

    assert (batches(order, 3), seeds(order, 3)) == first
    assert (batches(order_of(), 3), seeds(order_of(), 3)) == first


@pytest.mark.parametrize("other", [{"epoch": 1}, {"seed": 1}])
def test_another_epoch_or_seed_is_another_order_with_other_seeds(other):
    changed = order_of(seed=other.get("seed", 0))
    epoch = other.get("epoch", 0)

    assert batches(changed, epoch) != batches(order_of())
    assert not set(seeds(changed, epoch)) & set(seeds(order_of()))


def test_every_batch_of_every_rank_has_its_own_seed():
    ranks = [order_of(rank=rank, world_size=2) for rank in range(2)]

    drawn = joined(seeds(order, epoch) for order in ranks for epoch in range(3))

    assert len(set(drawn)) == len(drawn) == 18


def test_rows_keep_their_order_without_shuffling():
    order = order_of(6, shuffle=False)

    assert batches(order, 0) == batches(order, 1) == [[100, 101, 102, 103], [104, 105]]


def test_a_seed_is_a_torch_seed():
    assert all(0 <= derive_seed(number, 0) < 2**63 for number in range(1000))
    assert len({derive_seed(number, 0) for number in range(1000)}) == 1000


class Echo(torch.utils.data.Dataset):
    def __getitem__(self, key):
        return key


@pytest.mark.parametrize("epoch", [0, 1])
def test_loader_processes_change_nothing(epoch):
    here, elsewhere = (
        DataLoader(Echo(), sampler=order_of(), batch_size=None, num_workers=workers)
        for workers in (0, 2)
    )
    for loader in (here, elsewhere):
        loader.sampler.set_epoch(epoch)

    fetched = [[(seed, rows.tolist()) for seed, rows in loader] for loader in (here, elsewhere)]

    assert fetched[0] == fetched[1]
    assert len(fetched[0]) == len(here) == 5


def sized_order(*, shuffle, n=1000, rank=0, world_size=1):
    rows = torch.arange(n)
    return BatchOrder(
        rows,
        sizes=(rows * 37) % 101,
        batch_size=8,
        seed=0,
        shuffle=shuffle,
        drop_last=False,
        rank=rank,
        world_size=world_size,
    )


@pytest.mark.parametrize("shuffle", [True, False])
def test_rows_of_similar_size_share_a_batch(shuffle):
    order = sized_order(shuffle=shuffle)

    sizes = [[row * 37 % 101 for row in batch] for batch in batches(order)]

    spreads = [max(batch) - min(batch) for batch in sizes]
    assert sorted(joined(batches(order))) == list(range(1000))
    assert sum(spreads) / len(spreads) < 8  # about 80 if rows are drawn regardless of size


def test_batches_of_similar_size_come_in_an_order_drawn_each_epoch():
    order = sized_order(shuffle=True)

    first, second = batches(order, epoch=0), batches(order, epoch=1)

    assert first == batches(order, epoch=0)
    assert {frozenset(batch) for batch in first} != {frozenset(batch) for batch in second}
    means = [sum(row * 37 % 101 for row in batch) for batch in first]
    assert means != sorted(means)


def test_ranks_share_batches_of_similar_size():
    shares = [batches(sized_order(shuffle=True, rank=rank, world_size=2)) for rank in range(2)]

    together = joined(joined(step) for step in itertools.zip_longest(*shares, fillvalue=[]))
    assert sorted(together) == list(range(1000))


def weighted_order(**options):
    classes = torch.tensor([0] * 900 + [1] * 90 + [2] * 10)
    weights = 1 / torch.bincount(classes).double()[classes]
    order = BatchOrder(
        torch.arange(5000, 6000),
        weights=weights,
        **{"batch_size": 50, "seed": 0, "shuffle": True, "drop_last": False} | options,
    )
    return order, classes


def test_rows_are_drawn_in_proportion_to_their_weights():
    order, classes = weighted_order()

    drawn = torch.cat([torch.as_tensor(rows) for rows in batches(order)])

    assert len(drawn) == 1000
    counts = torch.bincount(classes[drawn - 5000])
    assert counts.min() > 270
    assert counts.max() < 400


def test_draws_are_a_function_of_seed_and_epoch():
    assert batches(weighted_order()[0]) == batches(weighted_order()[0])
    assert batches(weighted_order()[0]) != batches(weighted_order()[0], epoch=1)
    assert batches(weighted_order()[0]) != batches(weighted_order(seed=1)[0])


def test_ranks_share_the_rows_that_are_drawn():
    alone = batches(weighted_order()[0])
    ranks = [batches(weighted_order(batch_size=25, rank=r, world_size=2)[0]) for r in (0, 1)]

    assert [one + other for one, other in zip(*ranks, strict=True)] == alone


@st.composite
def orders(draw):
    """Draw the orders of all ranks, whose rows may be sized or weighted, over several pools."""
    batch_size, world_size = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    most = 3 * POOLED_BATCHES * batch_size * world_size
    n = draw(st.integers(batch_size * world_size, min(most, 600)))
    sizes = draw(st.sampled_from([None, torch.arange(n), (torch.arange(n) * 37) % 11]))
    options = {
        "batch_size": batch_size,
        "seed": draw(st.integers(0, 2**31)),
        "drop_last": draw(st.booleans()),
        "sizes": sizes,
        "world_size": world_size,
    }
    if draw(st.booleans()):
        options["weights"] = torch.rand(n, dtype=torch.float64) + 0.5
    return [
        BatchOrder(torch.arange(n), shuffle=True, rank=rank, **options)
        for rank in range(world_size)
    ]


@settings(max_examples=30)
@given(orders())
def test_every_training_row_is_seen(ranks):
    epochs, order = 100, ranks[0]
    n = len(order.rows)
    size = order.batch_size * order.world_size

    visits = torch.zeros(n, dtype=torch.int64)
    for epoch in range(epochs):
        rows = torch.tensor(joined(joined(batches(rank, epoch) for rank in ranks)))
        assert len(rows) == (n - n % size if order.drop_last else n)
        visits += torch.bincount(rows, minlength=n)

    if order.weights is None:
        assert visits.max() <= epochs
        assert order.drop_last or visits.min() == epochs
    assert visits.min() > 0


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.integers(65, 127))
def test_what_an_epoch_leaves_out_does_not_depend_on_its_size(seed, n):
    order = BatchOrder(
        torch.arange(n),
        sizes=torch.arange(n),
        batch_size=64,
        seed=seed,
        shuffle=True,
        drop_last=True,
    )

    seen = torch.tensor(joined(joined(batches(order, epoch) for epoch in range(200))))

    visits = torch.bincount(seen, minlength=n) / 200
    share = 64 / n
    assert (visits - share).abs().max() < 0.2
    assert (visits[-n // 2 :].mean() - share).abs() < 0.03  # the longest half
