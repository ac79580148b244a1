import pytest

from leyden.data.sources.split_names import assign_splits, parse_split

SPELLINGS = {
    "train": ["train", "Train", "TRAINING", "train_set", "TrainSet", "training-data", "train2017"],
    "val": ["val", "valid", "Validation", "dev", "DEV", "development", "val_images", "valset"],
    "test": ["test", "Testing", "test set", "TestData", "images_test", "test1"],
    "eval": ["eval", "Evaluation"],
    None: ["trainer", "detest", "value", "validity", "device", "contest", "medieval", "data", ""],
}


@pytest.mark.parametrize(
    ("name", "meaning"), [(name, key) for key, names in SPELLINGS.items() for name in names]
)
def test_a_name_means_a_split_in_any_spelling(name, meaning):
    assert parse_split(name) == meaning


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (["train", "dev", "eval"], "test"),
        (["train", "TEST", "eval"], "val"),
        (["train", "eval"], None),
        (["train", "val", "test", "eval"], None),
    ],
)
def test_eval_is_the_split_that_no_other_name_means(names, split):
    assert assign_splits(names).get("eval") == split


def test_names_are_assigned_to_the_splits_that_they_mean():
    assert assign_splits(["Training", "train", "dev", "all", "extra"]) == {
        "Training": "train",
        "train": "train",
        "dev": "val",
        "all": "all",
    }
