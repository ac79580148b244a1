import torch

from leyden.data.text.augment import TokenDropout
from leyden.data.text.vocabulary import PADDING, UNKNOWN


def dropped(probability, seed=0):
    tokens = torch.full((100, 50), 7)
    tokens[:, 40:] = PADDING
    generator = torch.Generator().manual_seed(seed)
    return TokenDropout(probability=probability)(tokens, generator)


def test_the_given_share_of_tokens_is_replaced_and_padding_stays():
    tokens = dropped(0.25)

    assert (tokens[:, 40:] == PADDING).all()
    assert ((tokens[:, :40] == 7) | (tokens[:, :40] == UNKNOWN)).all()
    assert 0.22 < (tokens[:, :40] == UNKNOWN).float().mean() < 0.28


def test_the_result_is_a_function_of_the_generator():
    assert torch.equal(dropped(0.5), dropped(0.5))
    assert not torch.equal(dropped(0.5), dropped(0.5, seed=1))
    assert (dropped(0.0)[:, :40] == 7).all()
