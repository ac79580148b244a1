import numpy as np
import pytest
import torch
from torchmetrics import R2Score

from leyden.tasks.metrics import R2, ClassAUROC, ClassF1, LabelAUROC, LabelF1


def value(metric, *batches):
    for batch in batches:
        metric.update(*batch)
    return metric.compute().item()


def scores(rows, classes):
    return torch.rand(rows, classes, generator=torch.Generator().manual_seed(rows)).softmax(dim=1)


def test_the_auroc_of_one_class_is_undefined():
    assert np.isnan(value(ClassAUROC(num_classes=3), (scores(4, 3), torch.ones(4).long())))
    assert np.isnan(value(LabelAUROC(num_labels=2), (scores(4, 2), torch.zeros(4, 2).long())))


def test_a_label_of_all_rows_is_left_out_of_the_auroc(auroc):
    targets = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 0, 0]])
    predicted = scores(3, 3)

    got = value(LabelAUROC(num_labels=3), (predicted, targets))

    expected = auroc(targets[:, 1:2].numpy(), predicted[:, 1:2].numpy())
    assert got == pytest.approx(expected.item())


def test_f1_leaves_out_classes_without_targets_and_predictions():
    predicted = torch.tensor([[0.9, 0.1, 0.2, 0.1], [0.1, 0.1, 0.8, 0.1]])
    labels = torch.tensor([[1, 0, 0, 0], [1, 0, 0, 0]])

    got = value(LabelF1(num_labels=4, threshold=0.5), (predicted, labels))

    # The third label is a false positive; the second and fourth are in neither.
    assert got == pytest.approx((2 / 3 + 0) / 2)
    none = torch.zeros(2, 4).long()
    assert np.isnan(value(LabelF1(num_labels=4, threshold=0.5), (none * 1.0, none)))
    classes = torch.tensor([0, 0])
    assert value(ClassF1(num_classes=4), (predicted, classes)) == pytest.approx((2 / 3 + 0) / 2)


@pytest.mark.parametrize("classes", range(2, 40))
def test_perfect_predictions_are_exactly_one(classes):
    targets = torch.arange(classes).repeat(3)
    sure = torch.nn.functional.one_hot(targets, classes).float()

    assert value(ClassF1(num_classes=classes), (sure, targets)) == 1.0
    assert value(ClassAUROC(num_classes=classes), (sure, targets)) == 1.0
    assert value(LabelF1(num_labels=classes, threshold=0.5), (sure, sure.long())) == 1.0


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_r2_does_not_depend_on_the_unit(unit):
    targets, noise = torch.randn(50), torch.randn(50) / 3
    expected = value(R2Score(), (targets + noise, targets))

    got = value(R2(), ((targets + noise) * unit, targets * unit))

    assert got == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("targets", [[3.0], [0.1, 0.1, 0.1], [1e4] * 7])
def test_r2_without_variance_is_undefined(targets):
    targets = torch.tensor(targets)

    assert np.isnan(value(R2(), (targets, targets)))
    assert np.isnan(value(R2(), (targets + 1, targets)))
