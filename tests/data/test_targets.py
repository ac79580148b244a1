from functools import partial

import numpy as np
import pytest
import torch

from leyden.data.cache.prepared import Cache
from leyden.data.cache.source_names import SourceNames, append_names
from leyden.data.targets import align_classes, balancing_weights, centre_targets, count_targets
from leyden.errors import UserError


@pytest.fixture
def cached(tmp_path):
    return partial(cache_of, tmp_path)


def cache_of(folder, targets, class_names):
    ends = append_names(folder / "sources.txt", [str(row) for row in range(len(targets))])
    return Cache(
        path=folder,
        arrays={},
        targets=np.array(targets),
        splits=np.zeros(len(targets), np.uint8),
        kept=np.arange(len(targets)),
        keys=np.arange(len(targets), dtype=np.uint64),
        is_grouped=False,
        times=None,
        sources=SourceNames(folder / "sources.txt", ends),
        class_names=tuple(class_names),
        facts={},
        fingerprint="",
    )


def test_targets_are_counted_by_their_kind():
    assert count_targets(np.array([0, 2, 2]), 4) == {"kind": "class", "counts": [1, 0, 2, 0]}
    assert count_targets(np.array([[1, 0], [1, 1]], np.uint8), 2) == {
        "kind": "labels",
        "counts": [2, 1],
    }
    numbers = {"kind": "number", "centre": 2.0, "mean": 0.0, "std": 1.0}
    assert count_targets(np.array([1.0, 3.0]), 0) == numbers


def test_every_class_weighs_the_same():
    weights = balancing_weights(np.array([0, 0, 0, 5]), "abcdef")

    torch.testing.assert_close(weights, torch.tensor([1 / 3, 1 / 3, 1 / 3, 1]).double())


@pytest.mark.parametrize(
    ("targets", "names"),
    [(np.array([1.0, 2.0]), None), (np.array([[0, 1]]), "ab"), (np.array([0, 0]), ())],
)
def test_only_classes_can_be_balanced(targets, names):
    with pytest.raises(UserError, match="not classes"):
        balancing_weights(targets, names)


def test_other_data_are_numbered_as_in_training(cached):
    found = align_classes(cached([0, 1, 1], ["bee", "cow"]), ["ant", "bee", "cow"])

    assert found.targets.tolist() == [1, 2, 2]
    assert found.class_names == ("ant", "bee", "cow")


@pytest.mark.parametrize(
    ("trained", "names"),
    [(["1", "2", "3"], ["2.0", "3"]), (["0", "false", "true"], ["False", "TRUE"])],
)
def test_equal_names_are_one_class(cached, trained, names):
    assert align_classes(cached([0, 1, 1], names), trained).targets.tolist() == [1, 2, 2]


def test_words_for_true_and_false_are_the_classes_of_training(cached):
    assert align_classes(cached([0, 1], ["N", "Y"]), ["no", "yes"]).targets.tolist() == [0, 1]
    labels = cached([[1, 0, 0], [0, 1, 1]], ["2", "3", "4"])
    assert align_classes(labels, ["1", "2.0", "3", "4"]).targets.tolist() == [
        [0, 1, 0, 0],
        [0, 0, 1, 1],
    ]


def test_numbers_are_measured_from_their_centre_before_they_lose_digits(cached):
    data = cached([1_700_000_000.0, 1_700_000_001.0], [])

    found = centre_targets(data, {"kind": "number", "centre": 1_700_000_000.5})

    assert found.targets.dtype == np.float32
    assert found.targets.tolist() == [-0.5, 0.5]
    assert centre_targets(data, {"kind": "class"}) is data


def test_labels_are_put_in_the_order_of_training(cached):
    found = align_classes(cached([[1, 0], [0, 1]], ["bee", "cow"]), ["ant", "bee", "cow"])

    assert found.targets.tolist() == [[0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("names", [["ant", "dog"], []])
def test_a_class_that_training_never_saw_is_refused(cached, names):
    with pytest.raises(UserError, match=r"expected \['ant', 'bee'\]"):
        align_classes(cached([0, 1], names), ["ant", "bee"])
