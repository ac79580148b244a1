import io
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from leyden.data.image.augment import Flip, Shift
from leyden.data.image.cleaning import ImageCleaning
from leyden.data.image.module import ImageData
from leyden.data.rows import Rows
from leyden.data.splits import HoldOut, Splitter
from leyden.errors import UserError
from leyden.testing.data_contract import attach_trainer

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 1, 4, 6), dtype=np.uint8)
TARGETS = np.array(["ant", "bee", "cow"] * 20)


class Shades(ImageData):
    """Sixty noise images in three classes, in one split or in several."""

    image_shape = (1, 4, 6)

    def __init__(self, *, pixels=PIXELS, targets=TARGETS, splits=None, **options):
        super().__init__(**{"name": "shades", "batch_size": 8} | options)
        self.pixels = pixels
        self.targets = targets
        self.splits = splits or {"all": slice(None)}

    def source_settings(self):
        return {"bytes": self.pixels.tobytes().hex(), "targets": self.targets.tolist()} | {
            split: str(rows) for split, rows in self.splits.items()
        }

    def read(self):
        for split, rows in self.splits.items():
            names = [f"{split}[{row}]" for row in range(len(self.targets[rows]))]
            yield Rows(
                arrays={"images": self.pixels[rows]},
                targets=self.targets[rows],
                split=split,
                sources=names,
            )


class Named(Shades):
    class_names = ("ant", "bee", "cow")

    def __init__(self, **options):
        super().__init__(targets=np.arange(60) % 3, **options)


def ready(cls=Shades, **options):
    data = cls(**options)
    data.prepare_data()
    data.setup()
    return data


def content(data):
    """Return the contents of each split, independent of row numbers."""
    return {
        split: sorted(
            data.cached.arrays["images"][row].tobytes() for row in data.row_numbers(split)
        )
        for split in ("train", "val", "test")
    }


@dataclass
class Seen:
    epoch: int
    rows: list
    seed: int
    images: torch.Tensor


class Watcher(LightningModule):
    """Module without parameters that records its batches."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = {"train": [], "val": [], "test": []}

    def note(self, split, batch):
        seen = Seen(self.current_epoch, batch.rows.tolist(), batch.seed, batch.inputs["images"])
        self.seen[split].append(seen)
        return self.weight * 0

    def training_step(self, batch, _):
        return self.note("train", batch)

    def validation_step(self, batch, _):
        self.note("val", batch)

    def test_step(self, batch, batch_idx):  # noqa: ARG002
        self.note("test", batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def watch(data, tmp_path, *, epochs=1):
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=tmp_path,
    )
    watcher = Watcher()
    trainer.fit(watcher, datamodule=data)
    trainer.test(watcher, datamodule=data, verbose=False)
    return watcher.seen


def images_of(seen):
    return torch.cat([each.images for each in seen])


def normalised(data, seen):
    raw = torch.from_numpy(np.array(data.cached.arrays["images"]))
    rows = torch.tensor([row for each in seen for row in each.rows])
    return data.normalisation()["images"](raw[rows])


def test_rows_are_split_by_the_given_fractions():
    data = ready(splitter=HoldOut(val_fraction=0.25, test_fraction=0.2))

    assert len(data.row_numbers("test")) == pytest.approx(12, abs=6)
    assert len(data.row_numbers("val")) == pytest.approx(12, abs=6)
    assert sorted(
        np.concatenate([data.row_numbers(split) for split in ("train", "val", "test")])
    ) == list(range(60))


def test_given_splits_are_kept():
    data = ready(splits={"train": slice(30), "val": slice(30, 40), "test": slice(40, 60)})

    assert data.row_numbers("train").tolist() == list(range(30))
    assert data.row_numbers("val").tolist() == list(range(30, 40))
    assert data.row_numbers("test").tolist() == list(range(40, 60))


def test_a_split_that_is_not_given_is_split_off_the_training_split():
    data = ready(splits={"train": slice(40), "test": slice(40, 60)})

    assert data.row_numbers("test").tolist() == list(range(40, 60))
    assert set(data.row_numbers("val")) < set(range(40))


def test_runs_with_other_seeds_share_their_test_split():
    assert content(ready(seed=0)) == content(ready(seed=1))
    assert content(ready(splitter=HoldOut(seed=0))) != content(ready(splitter=HoldOut(seed=1)))


def test_a_changed_cleaning_step_is_another_cache():
    repeated = {"pixels": np.concatenate([PIXELS, PIXELS]), "targets": np.tile(TARGETS, 2)}

    cleaned, left = (
        ready(cleaning=ImageCleaning(duplicates=duplicates), **repeated)
        for duplicates in (True, False)
    )

    assert cleaned.cached.path != left.cached.path
    assert (len(cleaned.cached.kept), len(left.cached.kept)) == (60, 120)


def test_renamed_classes_are_another_cache(monkeypatch):
    before = ready(Named)

    monkeypatch.setattr(Named, "class_names", ("ant", "bee", "dog"))

    assert ready(Named).cached.path != before.cached.path
    assert ready(Named).spec.class_names == ("ant", "bee", "dog")


def test_statistics_come_from_the_training_rows_alone():
    data = ready()
    changed = PIXELS.copy()
    changed[np.concatenate([data.row_numbers("val"), data.row_numbers("test")])] //= 3

    other = ready(pixels=changed)

    assert other.cached.fingerprint != data.cached.fingerprint
    assert other.statistics == data.statistics
    train = PIXELS[data.row_numbers("train")] / 255
    assert data.statistics["mean"].tolist() == pytest.approx([train.mean()], rel=1e-6)
    assert data.statistics["std"].tolist() == pytest.approx([train.std()], rel=1e-6)


def test_only_training_batches_are_augmented(tmp_path):
    data = ready(augment={"flip": Flip(probability=1.0)})

    seen = watch(data, tmp_path)

    assert torch.equal(images_of(seen["train"]), normalised(data, seen["train"]).flip(3))
    for split in ("val", "test"):
        assert torch.equal(images_of(seen[split]), normalised(data, seen[split]))


def test_a_batch_can_be_augmented_again_from_its_rows_and_its_seed(tmp_path):
    shift, flip = Shift(pixels=1), Flip()
    data = ready(augment={"shift": shift, "flip": flip})

    seen = watch(data, tmp_path, epochs=2)

    for each in seen["train"]:
        generator = torch.Generator().manual_seed(each.seed)
        raw = torch.from_numpy(np.array(data.cached.arrays["images"][each.rows]))
        again = flip(shift(raw, generator), generator)
        assert torch.equal(each.images, data.normalisation()["images"](again))


def test_every_epoch_has_its_own_order_and_drops_a_short_last_batch(tmp_path):
    data = ready(augment={"shift": Shift(pixels=1)})

    seen = watch(data, tmp_path, epochs=2)

    first, second = ([each for each in seen["train"] if each.epoch == epoch] for epoch in (0, 1))
    assert [len(each.rows) for each in first] == [8] * (len(data.row_numbers("train")) // 8)
    assert [each.rows for each in first] != [each.rows for each in second]
    assert len({each.seed for each in seen["train"]}) == len(seen["train"])
    assert [row for each in seen["test"] for row in each.rows] == data.row_numbers("test").tolist()


def test_batches_depend_on_the_seed_and_not_on_the_loader_processes(tmp_path):
    augment = {"shift": Shift(pixels=1), "flip": Flip()}

    here, elsewhere, reseeded = (
        watch(ready(augment=augment, num_workers=workers, seed=seed), tmp_path)
        for workers, seed in ((0, 5), (2, 5), (0, 6))
    )

    for split in ("train", "val", "test"):
        assert torch.equal(images_of(here[split]), images_of(elsewhere[split]))
    assert not torch.equal(images_of(here["train"]), images_of(reseeded["train"]))
    assert torch.equal(images_of(here["test"]), images_of(reseeded["test"]))


def test_a_training_split_smaller_than_a_batch_still_trains(tmp_path):
    seen = watch(ready(batch_size=64), tmp_path)

    assert [len(each.rows) for each in seen["train"]] == [42]


def test_ranks_get_batches_though_the_rows_do_not_fill_a_global_one():
    data = ready(batch_size=32)
    shares = []
    for rank in range(2):
        attach_trainer(data, rank=rank, world_size=2)
        shares.append([batch.rows.tolist() for batch in data.train_dataloader()])

    assert [len(share) for share in shares] == [1, 1]
    assert sorted(shares[0][0] + shares[1][0]) == data.row_numbers("train").tolist()


def test_the_state_restores_preprocessing_without_data():
    trained = ready()
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    file.seek(0)

    restored = Shades(cache_dir="/nowhere")
    restored.load_state_dict(torch.load(file, weights_only=True))

    raw = torch.from_numpy(PIXELS[:3])
    assert restored.spec == trained.spec
    assert restored.spec.class_names == ("ant", "bee", "cow")
    assert torch.equal(
        restored.normalisation()["images"](raw), trained.normalisation()["images"](raw)
    )


def test_restored_statistics_stay_with_other_data(tmp_path):
    trained = ready()
    other = Shades(pixels=PIXELS // 2, cache_dir=str(tmp_path))
    other.load_state_dict(trained.state_dict())

    other.prepare_data()
    other.setup()

    assert other.statistics == trained.statistics
    assert other.class_names == other.cached.class_names == ("ant", "bee", "cow")


def test_classes_that_differ_from_the_checkpoint_are_an_error():
    state = ready().state_dict()
    renamed = Shades(targets=np.array(["ant", "bee", "dog"] * 20))
    renamed.load_state_dict(state)
    renamed.prepare_data()

    with pytest.raises(UserError, match=r"'cow'.*'dog'"):
        renamed.setup()


def test_a_checkpoint_of_other_classes_cannot_be_loaded_after_setup():
    state = ready().state_dict()
    renamed = ready(targets=np.array(["ant", "bee", "dog"] * 20))

    with pytest.raises(UserError, match=r"'cow'.*'dog'"):
        renamed.load_state_dict(state)


@pytest.mark.parametrize(("rows", "lacking"), [(3, "val and test"), (6, "val")])
def test_too_few_rows_are_an_error_that_names_the_empty_splits(rows, lacking):
    with pytest.raises(UserError, match=f"No row is left for {lacking}: .* keeps {rows} rows"):
        ready(pixels=PIXELS[:rows], targets=TARGETS[:rows])


def test_a_class_without_a_training_row_is_an_error_that_names_it():
    targets = np.array(["ant", "bee"] * 20 + ["cow"] * 20)

    with pytest.raises(UserError, match="No training row is left of cow"):
        ready(targets=targets, splits={"train": slice(40), "test": slice(30, 60)})


class Fixed(Splitter):
    def __init__(self, **splits):
        self.splits = splits

    def split(self, rows):  # noqa: ARG002
        return self.splits


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"test": np.arange(9, 20)}, "is in another split"),
        ({"test": np.arange(50, 61)}, "was not to be split"),
        ({"test": [10, 11]}, r"returns .*test \(<class 'list'>\). Expected int64 arrays"),
        ({"tests": np.arange(10, 20)}, r"returns .*tests \(int64\). Expected int64 arrays"),
    ],
)
def test_mistakes_of_a_custom_splitter_are_errors(splits, message):
    with pytest.raises(UserError, match=message):
        ready(splitter=Fixed(**{"train": np.arange(20, 50), "val": np.arange(10)} | splits))


@pytest.mark.parametrize("option", [{"splitter": {"fold": 1}}, {"cleaning": {"leakage": False}}])
def test_arguments_without_a_target_are_refused_by_name(option):
    with pytest.raises(TypeError, match=f"{next(iter(option))}: expected a .* with a _target_"):
        Shades(**option)


def test_ranks_without_a_row_are_an_error():
    data = ready(splits={"train": slice(30), "val": slice(30, 31), "test": slice(31, 60)})
    attach_trainer(data, world_size=2)

    assert len(data.test_dataloader()) == 2
    with pytest.raises(UserError, match="The val split has 1 rows for 2 ranks"):
        data.val_dataloader()


def test_a_batch_of_no_rows_is_refused_by_name():
    with pytest.raises(ValueError, match="batch_size"):
        Shades(batch_size=0)
    with pytest.raises(ValueError, match="num_workers must be at least 0, got -1"):
        Shades(num_workers=-1)


def test_data_that_are_not_set_up_say_so():
    with pytest.raises(RuntimeError, match=r"prepare_data\(\) and setup\(\)"):
        _ = Shades().cached


def test_rows_of_one_class_alone_are_an_error():
    with pytest.raises(UserError, match="Every row has the target 'ant'"):
        ready(targets=np.array(["ant"] * 60))


def test_a_class_that_a_split_lacks_is_a_warning(caplog):
    targets = TARGETS.copy()
    targets[targets == "cow"] = "ant"
    targets[7] = "cow"

    ready(targets=targets)

    assert caplog.messages == [
        "no row of the val split measures cow",
        "no row of the test split measures cow",
    ]


def test_the_error_for_an_empty_split_reports_what_cleaning_dropped():
    pixels = np.zeros_like(PIXELS)

    with pytest.raises(UserError, match=r"keeps 1 rows of 60; .* dropped 59 by duplicates\."):
        ready(pixels=pixels, targets=np.array(["ant"] * 60), cleaning=ImageCleaning(max_dropped=1))


def test_what_cleaning_changes_is_a_warning_in_every_run(caplog):
    repeated = {
        "pixels": np.concatenate([PIXELS, PIXELS[:30]]),
        "targets": np.tile(TARGETS, 2)[:90],
    }

    for _ in range(2):  # the second run finds the cache
        caplog.clear()
        ready(**repeated)
        assert "data.cleaning.duplicates drops 30 of 90 rows" in caplog.text
