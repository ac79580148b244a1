"""Tests that every data module has to pass, as a class to inherit from."""

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
"""Number of training batches that are compared."""


class DataContract(ABC):
    """Tests of a data module, which pytest runs for each subclass.

    A subclass implements ``make``. A small source is enough, if every split has rows of each class
    and the training split has three batches::

        class TestPets(DataContract):
            def make(self, **options):
                return Pets(root="tests/pets", batch_size=8, **options)
    """

    @abstractmethod
    def make(self, **options: Any) -> DataModule:
        """Return a new data module.

        Args:
            options: Options of ``DataModule``, which take precedence over those of the subclass.
        """

    def ready(self, **options: Any) -> DataModule:
        """Return a new data module after ``prepare_data`` and ``setup``."""
        data = self.make(**options)
        data.prepare_data()
        data.setup()
        return data

    def test_every_split_has_rows_of_its_own(self) -> None:
        """No split is empty, no row is in two splits, and all rows are kept ones."""
        data = self.ready()

        assert all(len(data.row_numbers(split)) for split in SPLITS)
        _check_disjoint([data.row_numbers(split) for split in SPLITS])
        assert set(np.concatenate([data.row_numbers(split) for split in SPLITS])) <= set(
            data.cached.kept
        )

    def test_splits_do_not_depend_on_the_seed_of_the_run(self) -> None:
        """Only the splitter determines the splits."""
        first, second = (self.ready(seed=seed) for seed in (0, 1))

        for split in SPLITS:
            assert np.array_equal(first.row_numbers(split), second.row_numbers(split))

    def test_folds_share_no_test_row(self) -> None:
        """Each fold has disjoint splits, and test rows that are in no other fold's test split."""
        options: Any = {"folds": 2, "val_fraction": 0.25, "test_fraction": 0}
        splitters = [KFold(fold=fold, **options) for fold in range(2)]
        folds = [self.ready(splitter=splitter) for splitter in splitters]

        for data in folds:
            _check_disjoint([data.row_numbers(split) for split in SPLITS])
        _check_disjoint([data.row_numbers("test") for data in folds])

    def test_the_report_accounts_for_every_row(self) -> None:
        """Every item that was read is kept, or dropped by a step of the cleaning report."""
        data = self.ready()
        report = data.cleaning_report()

        dropped = sum(step.dropped for step in report.steps.values())
        assert report.rows_kept == len(data.cached.kept)
        assert report.items_read - report.rows_kept <= dropped

    def test_reading_is_deterministic(self, tmp_path: Path) -> None:
        """Two caches of one source have the same content."""
        first, second = (self.ready(cache_dir=str(tmp_path / name)) for name in "ab")

        assert first.cached.fingerprint == second.cached.fingerprint

    def test_the_cache_is_reused(self) -> None:
        """A second data module of the same source does not read it."""
        self.ready()
        again = self.make()

        with patch.object(again, "read", side_effect=AssertionError("the source was read again")):
            again.prepare_data()
            again.setup()

    def test_training_batches_depend_on_the_seed_alone(self) -> None:
        """The seed determines batch order and augmentation, and another seed changes the order."""
        first, again, other = (_training_batches(self.ready(seed=seed)) for seed in (0, 0, 1))

        for one, two in zip(first, again, strict=True):
            _check_same(one, two)
        assert any(not torch.equal(a.rows, b.rows) for a, b in zip(first, other, strict=True))

    def test_batches_are_finite_and_complete(self) -> None:
        """Every row of a batch has a target and finite inputs."""
        for batch in _training_batches(self.ready()):
            assert batch.targets is not None
            assert len(batch.targets) == len(batch.rows)
            for values in batch.inputs.values():
                assert len(values) == len(batch.rows)
                assert values.isfinite().all()

    def test_evaluation_covers_every_row_once(self) -> None:
        """The batches of a split hold each of its rows exactly once."""
        data = self.ready()

        for rows, loader in (
            (data.row_numbers("val"), data.val_dataloader()),
            (data.row_numbers("test"), data.test_dataloader()),
        ):
            measured = torch.cat([batch.rows for batch in loader])
            assert sorted(measured.tolist()) == sorted(rows)

    def test_an_epoch_can_be_resumed(self) -> None:
        """A loader that restores the state of another yields the remaining batches."""
        whole: Any = self.ready().train_dataloader()
        resumed: Any = self.ready().train_dataloader()
        batches = iter(whole)
        next(batches)
        resumed.load_state_dict(whole.state_dict())
        remaining, continued = (list(islice(loader, SOME - 1)) for loader in (batches, resumed))

        assert remaining, "the training split has no second batch"
        for one, two in zip(remaining, continued, strict=True):
            _check_same(one, two)

    def test_two_ranks_share_the_rows(self) -> None:
        """Both ranks have equally many batches, and no row in common."""
        ranks = [self.ready(), self.ready()]
        for rank, data in enumerate(ranks):
            attach_trainer(data, rank=rank, world_size=2)
        rows = [[batch.rows for batch in islice(_train(data), SOME)] for data in ranks]

        assert len(rows[0]) == len(rows[1]) > 0
        _check_disjoint([torch.cat(own).numpy() for own in rows])

    def test_a_checkpoint_restores_the_preprocessing(self, tmp_path: Path) -> None:
        """The state loads with ``weights_only``, and normalises batches without the rows."""
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
    """Attach a stand-in for the trainer, with the attributes that data modules read.

    Args:
        data: Data module, which is changed in place.
        rank: Rank of this process.
        world_size: Number of ranks.
    """
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
    assert len(np.unique(together)) == len(together), "a row is in two splits"


def _check_same(one: Batch, two: Batch) -> None:
    torch.testing.assert_close(one._asdict(), two._asdict(), rtol=0, atol=0)
