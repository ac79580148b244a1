"""What holds for every data module, as a class of tests to inherit."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from leyden.batch import Batch
from leyden.data.base import DataModule
from leyden.data.rows import SPLITS
from leyden.data.splits import KFold

SOME = 3
"""Training batches that are compared."""


class DataContract(ABC):
    """Tests of a data module: a subclass says how to make it, and pytest runs them.

    The rows may be few, but each split needs some of every class, and the training split three
    batches::

        class TestPets(DataContract):
            def make(self, **options):
                return Pets(root="tests/pets", batch_size=8, **options)
    """

    @abstractmethod
    def make(self, **options: Any) -> DataModule:
        """Make the data module with options of the base class beside its own."""

    def ready(self, **options: Any) -> DataModule:
        """Make the data module, prepare its rows and set it up."""
        data = self.make(**options)
        data.prepare_data()
        data.setup()
        return data

    def test_every_split_has_rows_of_its_own(self) -> None:
        """No split is empty, and no row stands in two."""
        data = self.ready()

        assert all(len(data.row_numbers(split)) for split in SPLITS)
        _check_disjoint([data.row_numbers(split) for split in SPLITS])
        assert set(np.concatenate([data.row_numbers(split) for split in SPLITS])) <= set(
            data.cached.kept
        )

    def test_runs_that_differ_in_their_seed_share_their_splits(self) -> None:
        """Splits are drawn by the splitter alone."""
        first, second = (self.ready(seed=seed) for seed in (0, 1))

        for split in SPLITS:
            assert np.array_equal(first.row_numbers(split), second.row_numbers(split))

    def test_no_row_is_tested_in_two_folds(self) -> None:
        """Each fold is a split too, and tests on rows that no other fold tests on."""
        options: Any = {"folds": 2, "val_fraction": 0.25, "test_fraction": 0}
        splitters = [KFold(fold=fold, **options) for fold in range(2)]
        folds = [self.ready(splitter=splitter) for splitter in splitters]

        for data in folds:
            _check_disjoint([data.row_numbers(split) for split in SPLITS])
        _check_disjoint([data.row_numbers("test") for data in folds])

    def test_no_row_is_lost_without_a_reason(self) -> None:
        """What was read was kept, or dropped by a step of the cleaning report."""
        data = self.ready()
        report = data.cleaning_report()

        dropped = sum(step.dropped for step in report.steps.values())
        assert report.rows_kept == len(data.cached.kept)
        assert report.items_read - report.rows_kept <= dropped

    def test_rows_are_read_alike_each_time(self, tmp_path: Path) -> None:
        """Two caches of the same source hold the same bytes."""
        first, second = (self.ready(cache_dir=str(tmp_path / name)) for name in "ab")

        assert first.cached.fingerprint == second.cached.fingerprint

    def test_prepared_rows_are_not_read_again(self) -> None:
        """The cache is found by what the source is."""
        self.ready()
        again = self.make()

        with patch.object(again, "read", side_effect=AssertionError("the source was read again")):
            again.prepare_data()
            again.setup()

    def test_training_batches_are_the_same_for_the_same_seed(self) -> None:
        """Order and augmentation come from the seed alone."""
        first, again, other = (_training_batches(self.ready(seed=seed)) for seed in (0, 0, 1))

        for one, two in zip(first, again, strict=True):
            _check_same(one, two)
        assert any(not torch.equal(a.rows, b.rows) for a, b in zip(first, other, strict=True))

    def test_a_batch_is_what_networks_take(self) -> None:
        """Inputs are finite, and there is one of each field, and one target, for every row."""
        for batch in _training_batches(self.ready()):
            assert batch.targets is not None
            assert len(batch.targets) == len(batch.rows)
            for values in batch.inputs.values():
                assert len(values) == len(batch.rows)
                assert values.isfinite().all()

    def test_evaluation_gives_every_row_once(self) -> None:
        """Metrics of a split count each of its rows."""
        data = self.ready()

        for rows, loader in (
            (data.row_numbers("val"), data.val_dataloader()),
            (data.row_numbers("test"), data.test_dataloader()),
        ):
            measured = torch.cat([batch.rows for batch in loader])
            assert sorted(measured.tolist()) == sorted(rows)

    def test_an_epoch_goes_on_where_it_was_left(self) -> None:
        """A loader that takes over the state of another gives the batches that were to come."""
        whole: Any = self.ready().train_dataloader()
        resumed: Any = self.ready().train_dataloader()
        batches = iter(whole)
        next(batches)
        resumed.load_state_dict(whole.state_dict())
        left, gone_on = (list(islice(loader, SOME - 1)) for loader in (batches, resumed))

        assert left, "the training split has no second batch"
        for one, two in zip(left, gone_on, strict=True):
            _check_same(one, two)

    def test_two_ranks_share_the_rows(self) -> None:
        """Ranks get as many batches each, and no row twice."""
        ranks = [self.ready(), self.ready()]
        for rank, data in enumerate(ranks):
            attach_trainer(data, rank=rank, world_size=2)
        rows = [[batch.rows for batch in islice(_train(data), SOME)] for data in ranks]

        assert len(rows[0]) == len(rows[1]) > 0
        _check_disjoint([torch.cat(own).numpy() for own in rows])

    def test_a_checkpoint_restores_the_preprocessing_without_the_rows(self, tmp_path: Path) -> None:
        """Prediction needs no training data, and the state loads with ``weights_only``."""
        trained = self.ready()
        torch.save(trained.state_dict(), tmp_path / "state.pt")

        restored = self.make(cache_dir=str(tmp_path / "nothing"))
        restored.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))

        batch = next(iter(trained.val_dataloader()))
        assert restored.spec == trained.spec
        _check_same(
            restored.on_after_batch_transfer(batch, 0), trained.on_after_batch_transfer(batch, 0)
        )


def attach_trainer(data: DataModule, *, rank: int = 0, world_size: int = 1) -> None:
    """Attach as much of a trainer as a data module asks for."""
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    trainer: Any = SimpleNamespace(
        training=True, global_rank=rank, world_size=world_size, strategy=strategy
    )
    data.trainer = trainer


def _train(data: DataModule) -> Iterator[Batch]:
    return iter(data.train_dataloader())


def _training_batches(data: DataModule) -> list[Batch]:
    attach_trainer(data)
    return [data.on_after_batch_transfer(batch, 0) for batch in islice(_train(data), SOME)]


def _check_disjoint(splits: list[Any]) -> None:
    together = np.concatenate(splits)
    assert len(np.unique(together)) == len(together), "a row stands in two splits"


def _check_same(one: Batch, two: Batch) -> None:
    torch.testing.assert_close(one._asdict(), two._asdict(), rtol=0, atol=0)
