"""A correct data module passes the contract, and each test detects the fault that it is for."""

from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch

from leyden.data.image.augment import Flip
from leyden.data.image.module import ImageData
from leyden.data.rows import Rows
from leyden.data.splits import HoldOut, KFold
from leyden.testing.data_contract import DataContract

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 1, 4, 6), dtype=np.uint8)


class Noise(ImageData):
    """Sixty images of three classes."""

    class_names = ("ant", "bee", "cow")
    image_shape = (1, 4, 6)

    def __init__(self, **options):
        super().__init__(name="noise", **{"batch_size": 8, "augment": {"flip": Flip()}} | options)

    def source_settings(self):
        return {}

    def read(self):
        names = [f"noise[{row}]" for row in range(60)]
        yield Rows(arrays={"images": PIXELS}, targets=np.arange(60) % 3, split="all", sources=names)


class TestNoise(DataContract):
    def make(self, **options):
        return Noise(**options)


class TrainsOnTestRows(Noise):
    def row_numbers(self, split):
        return super().row_numbers("train" if split == "test" else split)


class SplitBySeed(Noise):
    def __init__(self, **options):
        super().__init__(**options | {"splitter": HoldOut(seed=options.get("seed", 0))})


class IgnoresFolds(Noise):
    def __init__(self, **options):
        super().__init__(**options | {"splitter": KFold(folds=2)})


class DropsRowsUnreported(Noise):
    def setup(self, stage=None):
        super().setup(stage)
        self._cache = replace(self.cached, kept=self.cached.kept[1:])


class ReadsAtRandom(Noise):
    def read(self):
        for rows in super().read():
            rows.arrays["images"] = np.random.default_rng().permutation(PIXELS)
            yield rows


class ChangesItsFingerprint(Noise):
    numbers = count()

    def __init__(self, **options):
        super().__init__(**options)
        self.number = next(self.numbers)

    def source_settings(self):
        return {"number": self.number}


class AugmentsAtRandom(Noise):
    def on_after_batch_transfer(self, batch, dataloader_idx):
        batch = super().on_after_batch_transfer(batch, dataloader_idx)
        images = batch.inputs["images"]
        return batch._replace(inputs={"images": images + torch.rand(1)})


class YieldsNaN(Noise):
    def fit(self, arrays, rows):
        return super().fit(arrays, rows) | {"mean": torch.tensor([torch.nan])}


class LosesEvaluationRows(Noise):
    def val_dataloader(self):
        return list(super().val_dataloader())[:-1]

    test_dataloader = val_dataloader


class RestartsTheEpoch(Noise):
    def train_dataloader(self):
        loader = super().train_dataloader()
        loader.load_state_dict = lambda _: None
        return loader


class IgnoresRanks(Noise):
    def _loader(self, split):
        self.trainer = None
        return super()._loader(split)


class SavesNoStatistics(Noise):
    def state_dict(self):
        return super().state_dict() | {"statistics": {"mean": torch.zeros(1), "std": torch.ones(1)}}


FAULTS = {
    TrainsOnTestRows: "every_split_has_rows_of_its_own",
    SplitBySeed: "splits_do_not_depend_on_the_seed_of_the_run",
    IgnoresFolds: "folds_share_no_test_row",
    DropsRowsUnreported: "the_report_accounts_for_every_row",
    ReadsAtRandom: "reading_is_deterministic",
    ChangesItsFingerprint: "the_cache_is_reused",
    AugmentsAtRandom: "training_batches_depend_on_the_seed_alone",
    YieldsNaN: "batches_are_finite_and_complete",
    LosesEvaluationRows: "evaluation_covers_every_row_once",
    RestartsTheEpoch: "an_epoch_can_be_resumed",
    IgnoresRanks: "two_ranks_share_the_rows",
    SavesNoStatistics: "a_checkpoint_restores_the_preprocessing",
}


@pytest.mark.parametrize(("faulty", "name"), FAULTS.items(), ids=[each.__name__ for each in FAULTS])
def test_a_fault_is_found(faulty, name, tmp_path, monkeypatch):
    monkeypatch.setenv("LEYDEN_CACHE", str(tmp_path))
    contract = type("Contract", (DataContract,), {"make": lambda _, **options: faulty(**options)})
    test = getattr(contract(), f"test_{name}")
    arguments = [tmp_path] if "tmp_path" in test.__annotations__ else []

    with pytest.raises((AssertionError, ValueError)):
        test(*arguments)


def test_every_test_of_the_contract_has_a_fault():
    names = {name.removeprefix("test_") for name in vars(DataContract) if name.startswith("test_")}

    assert names == set(FAULTS.values())
