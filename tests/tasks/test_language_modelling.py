import math
from functools import partial

import pytest
import torch
from torch import nn

from leyden.batch import Batch, DataSpec
from leyden.networks.transformer import CausalTransformer
from leyden.tasks.language_modelling import START, LanguageModelling

SIZES = {"vocab_size": 12}


class Successor(nn.Module):
    """Predicts the next higher token with certainty."""

    def __init__(self, *, vocab_size, certainty=20.0):
        super().__init__()
        self.certainty = nn.Parameter(torch.tensor(certainty))
        self.vocab_size = vocab_size

    def forward(self, tokens):
        return self.certainty * nn.functional.one_hot(
            (tokens + 1) % self.vocab_size, self.vocab_size
        )


def task(network=Successor, **options):
    return LanguageModelling(
        spec=DataSpec(network_sizes=SIZES),
        network=network,
        loss=nn.CrossEntropyLoss(),
        optimizer=partial(torch.optim.SGD, lr=0.1),
        scheduler=lambda *_: None,
        **options,
    ).eval()


def batch_of(*rows):
    longest = max(map(len, rows))
    tokens = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows]).bool()
    inputs = {"tokens": tokens, "mask": mask}
    return Batch(
        inputs=inputs, targets=torch.zeros(len(rows)), rows=torch.arange(len(rows)), seed=0
    )


def perplexity(module, *batches):
    for batch in batches:
        module.step(batch, "test")
    return module.metrics["test_metrics"].compute()["perplexity"].item()


def test_a_correct_prediction_has_a_perplexity_of_one():
    assert perplexity(task(), batch_of([1, 2, 3, 4], [1, 2])) == pytest.approx(1, abs=1e-4)


def test_a_uniform_prediction_has_a_perplexity_of_the_vocabulary_size():
    uniform = task(partial(Successor, certainty=0.0))

    assert perplexity(uniform, batch_of([5, 3, 7])) == pytest.approx(12)


def test_perplexity_does_not_depend_on_the_batches():
    rows = [[1, 2, 9], [1, 5], [1], [1, 2, 3, 4, 5, 8]]
    network = partial(Successor, certainty=2.0)

    together = perplexity(task(network), batch_of(*rows))

    assert together == pytest.approx(perplexity(task(network), *(batch_of(row) for row in rows)))


def test_padding_is_ignored():
    short, padded = batch_of([1, 2]), batch_of([1, 2], [1, 2, 3, 4, 5])
    first = {name: value[:1] for name, value in padded.inputs.items()}

    loss, tokens = task().step(short, "val")
    same, as_many = task().step(padded._replace(inputs=first), "val")
    assert loss.item() == pytest.approx(same.item())
    assert tokens.item() == as_many.item() == 2
    assert math.isfinite(task().step(batch_of([1]), "val").mean.item())


def test_a_prompt_is_continued_after_its_last_token():
    columns = task(new_tokens=3, temperature=0).predict(batch_of([1, 2], [4, 5, 6]).inputs)

    assert columns == {"text": [[1, 2, 3, 4, 5], [4, 5, 6, 7, 8, 9]]}


def test_sampling_is_seeded_and_a_higher_temperature_is_more_random():
    network = partial(Successor, certainty=3.0)
    prompt = batch_of([1]).inputs

    def written(**options):
        return task(network, new_tokens=40, top_k=12, **options).predict(prompt)["text"][0]

    assert written() == written()
    assert written() != written(sampling_seed=1)
    regular = list(range(1, 12))
    assert written(temperature=0.1)[:11] == regular
    assert written(temperature=5.0)[:11] != regular
    assert task(network, new_tokens=40, top_k=1, temperature=5.0).predict(prompt)["text"][0][
        :11
    ] == (regular)


def test_a_sequence_is_memorised():
    torch.manual_seed(0)
    module = task(partial(CausalTransformer, width=32, depth=1, heads=2, dropout=0.0))
    batch = batch_of([3, 1, 4, 1, 5, 9, 2, 6])
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(80):
        optimizer.zero_grad()
        module.step(batch, "train").mean.backward()
        optimizer.step()

    module.new_tokens, module.temperature = 6, 0
    written = module.predict(batch_of([3, 1]).inputs)["text"][0]

    assert written == [3, 1, 4, 1, 5, 9, 2, 6]
    assert START not in written


@pytest.mark.parametrize("options", [{"new_tokens": 0}, {"top_k": 0}, {"temperature": -1.0}])
def test_an_option_out_of_range_is_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        task(**options)
