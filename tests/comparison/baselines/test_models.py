import pytest
import torch

from leyden.comparison.baselines.models import Examples, Problem, fit_constant, fit_linear
from leyden.comparison.baselines.scikit_learn import fit_gradient_boosting, fit_nearest_neighbours
from leyden.data.features import Features
from leyden.data.text.features import TfIdf

FITS = (fit_constant, fit_linear, fit_gradient_boosting, fit_nearest_neighbours)

LEARNING = FITS[1:]


def problem(kind, targets, features, *, num_outputs, val=0):
    train = Examples(features=features, targets=targets)
    return Problem(
        kind=kind,
        num_outputs=num_outputs,
        train=train,
        val=Examples(features=features, targets=targets) if val else empty(train),
        seed=0,
    )


def empty(rows):
    none = Features(
        numbers=rows.features.numbers[:0],
        categories=rows.features.categories[:0],
        cardinalities=rows.features.cardinalities,
    )
    return Examples(features=none, targets=rows.targets[:0])


def numbers(rows=200):
    return torch.randn(rows, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("fit", LEARNING)
@pytest.mark.parametrize("val", [False, True])
def test_classes_are_learned(fit, val):
    features = Features(numbers=numbers())
    targets = (features.numbers[:, 0] > 0).long() + (features.numbers[:, 0] > 1).long()
    outputs = fit(problem("class", targets, features, num_outputs=3, val=val))(features)
    assert outputs.shape == (200, 3)
    assert (outputs.argmax(dim=1) == targets).float().mean() > 0.8


@pytest.mark.parametrize("fit", LEARNING)
def test_labels_are_learned_also_one_that_all_rows_have(fit):
    features = Features(numbers=numbers())
    targets = torch.stack([features.numbers[:, 0] > 0, torch.ones(200) > 0], dim=1).float()
    outputs = fit(problem("labels", targets, features, num_outputs=2, val=True))(features)
    assert ((outputs > 0) == (targets > 0)).float().mean() > 0.9
    assert outputs.isfinite().all()


@pytest.mark.parametrize("fit", LEARNING)
def test_numbers_are_learned(fit):
    features = Features(numbers=numbers())
    targets = features.numbers[:, :1] * 0.8 + features.numbers[:, 1:2] * 0.6
    outputs = fit(problem("number", targets, features, num_outputs=1, val=True))(features)
    assert outputs.shape == (200, 1)
    assert (outputs - targets).square().mean() < 0.5 * targets.var()


@pytest.mark.parametrize("fit", LEARNING)
def test_categories_are_not_taken_for_quantities(fit):
    codes = torch.arange(200) % 7
    features = Features(numbers=torch.empty(200, 0), categories=codes[:, None], cardinalities=[7])
    targets = (codes % 2 == 0).long()  # no function that rises or falls with the code
    outputs = fit(problem("class", targets, features, num_outputs=2, val=True))(features)
    assert torch.equal(outputs.argmax(dim=1), targets)


@pytest.mark.parametrize("fit", LEARNING)
def test_texts_are_learned(fit):
    texts = [f"a {animal} in text {number}" for number in range(60) for animal in ("cat", "dog")]
    features = Features(numbers=torch.empty(120, 0), sparse=TfIdf(texts)(texts))
    targets = torch.arange(120) % 2
    outputs = fit(problem("class", targets, features, num_outputs=2, val=True))(features)
    assert (outputs.argmax(dim=1) == targets).float().mean() > 0.95


@pytest.mark.parametrize("fit", FITS)
def test_a_class_without_training_rows_has_a_finite_loss(fit):
    features = Features(numbers=numbers())
    targets = (features.numbers[:, 0] > 0).long()
    predict = fit(problem("class", targets, features, num_outputs=3))
    assert predict(features).log_softmax(dim=1)[:, 2].isfinite().all()


def test_the_constant_predicts_frequencies():
    features = Features(numbers=torch.empty(4, 0))
    targets = torch.tensor([0, 1, 1, 1])
    outputs = fit_constant(problem("class", targets, features, num_outputs=2))(features)
    assert outputs.softmax(dim=1)[0].tolist() == pytest.approx([0.25, 0.75])


def test_validation_lowers_the_penalty_of_the_linear_model():
    features = Features(numbers=numbers() * 0.01)  # small, so that the usual penalty is too strong
    targets = (features.numbers[:, 0] > 0).long()
    losses = {}
    for val in (False, True):
        given = problem("class", targets, features, num_outputs=2, val=val)
        losses[val] = given.loss(fit_linear(given)(features), targets).item()
    assert losses[True] < 0.5 * losses[False]
