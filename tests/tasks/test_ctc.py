import pytest
import torch
from torch import nn

from leyden.batch import Batch, DataSpec
from leyden.errors import UserError
from leyden.optim.schedules import constant
from leyden.tasks.ctc import CTC

SPEC = DataSpec(network_sizes={}, tokens=("", "\ufffd", "a", "b", " "))


class Identity(nn.Module):
    """Returns its input as logits."""

    def forward(self, images):
        return images


def task(**options):
    options = {"spec": SPEC, "loss": nn.CTCLoss(zero_infinity=True)} | options
    return CTC(network=Identity, optimizer=torch.optim.SGD, scheduler=constant, **options)


def logits_of(*paths):
    return torch.nn.functional.one_hot(torch.tensor(paths), len(SPEC.tokens)) * 20.0


def batch_of(logits, targets):
    rows = torch.arange(len(targets))
    return Batch(inputs={"images": logits}, targets=torch.tensor(targets), rows=rows, seed=0)


def metrics(learned, batch):
    loss, _ = learned.step(batch, "val")
    values = learned.metrics["val_metrics"].compute()
    return loss.item(), {name: value.item() for name, value in values.items()}


def test_predictions_are_decoded_transcripts():
    logits = logits_of([2, 2, 0, 3], [0, 4, 2, 0])

    assert task().predictions(logits) == {"transcript": ["ab", " a"]}
    assert task(beam_width=3).predictions(logits) == {"transcript": ["ab", " a"]}


def test_a_correct_network_has_no_loss_and_no_errors():
    loss, values = metrics(task(), batch_of(logits_of([2, 0, 3, 0]), [[2, 3, 0]]))

    assert loss == pytest.approx(0, abs=1e-3)
    assert values == {"cer": 0.0, "wer": 0.0}


def test_error_rates_count_edits_over_characters_and_words():
    # The references are "a b", the predictions "a a" and "ab".
    logits = logits_of([2, 4, 2, 0], [2, 3, 0, 0])

    _, values = metrics(task(), batch_of(logits, [[2, 4, 3], [2, 4, 3]]))

    assert values["cer"] == pytest.approx(2 / 6)
    assert values["wer"] == pytest.approx(3 / 4)


def test_character_and_word_error_rates_are_not_merged():
    learned = task()
    metrics(learned, batch_of(logits_of([2]), [[2]]))

    _, values = metrics(learned, batch_of(logits_of([2, 3, 2, 3]), [[2, 3, 2, 2]]))

    assert values == pytest.approx({"cer": 1 / 5, "wer": 1 / 2})


def test_an_unknown_character_counts_as_an_error():
    _, values = metrics(task(), batch_of(logits_of([2, 0]), [[2, 1]]))

    assert values["cer"] == 0.5


def test_the_loss_sums_over_alignments():
    logits = torch.zeros(1, 2, len(SPEC.tokens))

    loss, _ = metrics(task(), batch_of(logits, [[2]]))

    assert loss == pytest.approx(-torch.tensor(3 / 25).log().item())  # aa, _a, a_


def test_a_row_without_enough_steps_has_no_gradient():
    logits = torch.zeros(1, 1, len(SPEC.tokens), requires_grad=True)

    loss, _ = task().step(batch_of(logits, [[2, 3]]), "train")
    loss.backward()

    assert loss.item() == 0
    assert logits.grad.abs().max() == 0


def test_data_without_transcripts_are_refused():
    spec = DataSpec(network_sizes={}, class_names=("a", "b"))

    with pytest.raises(UserError, match=r"task=ctc learns transcripts.*data=speech_text"):
        task(spec=spec)


def test_a_beam_width_below_one_is_refused():
    with pytest.raises(ValueError, match="beam_width must be at least 1, got 0"):
        task(beam_width=0)
