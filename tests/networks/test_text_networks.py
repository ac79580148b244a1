"""Networks for texts."""

import pytest
import torch
from torch import Tensor, nn

from leyden.networks.bag_mlp import BagMLP
from leyden.networks.bag_of_tokens import BagOfTokens
from leyden.networks.transformer import CausalTransformer, Transformer

SIZES = {"vocab_size": 50, "num_outputs": 3}


def build(network: type[nn.Module], **options: object) -> nn.Module:
    torch.manual_seed(0)
    return network(**SIZES | options)


def batch_of(*lengths: int, longest: int | None = None) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    longest = longest or max(lengths)
    tokens = torch.randint(2, 50, (len(lengths), max(lengths)), generator=generator)
    tokens = nn.functional.pad(tokens, (0, longest - max(lengths)))
    mask = torch.arange(longest) < torch.tensor(lengths).unsqueeze(1)
    return {"tokens": tokens * mask, "mask": mask}


def test_the_order_of_tokens_matters_only_with_bigrams() -> None:
    batch = batch_of(6)
    reverse = batch | {"tokens": batch["tokens"].flip(1)}

    for pair_buckets, same in ((0, True), (1000, False)):
        net = build(BagOfTokens, pair_buckets=pair_buckets)
        assert torch.allclose(net(**batch), net(**reverse), atol=1e-6) == same


def test_a_bag_mlp_normalises_log_counts() -> None:
    net = build(BagMLP).eval()
    tokens = torch.tensor([[7, 5, 7, 6, 7, 0, 0]])

    bag = torch.zeros(1, 50)
    bag[0, 5:8] = torch.tensor([1.0, 1.0, 2.0]) / 6**0.5  # log(1 + 3) = 2 log(1 + 1)
    expected = net.output_layer(net.input_layer(bag).relu())

    torch.testing.assert_close(net(tokens, tokens != 0), expected)


def test_a_transformer_depends_on_the_order_of_tokens() -> None:
    net = build(Transformer).eval()
    batch = batch_of(6)

    assert not torch.allclose(net(**batch), net(**batch | {"tokens": batch["tokens"].flip(1)}))


def test_bag_has_the_hidden_widths() -> None:
    net = build(BagOfTokens, width=8, hidden_widths=[16, 4])

    assert [layer.out_features for layer in net.modules() if isinstance(layer, nn.Linear)] == [
        16,
        4,
        3,
    ]


@pytest.mark.parametrize(("width", "heads"), [(10, 4), (12, 4)])
def test_width_must_be_a_multiple_of_twice_the_heads(width: int, heads: int) -> None:
    with pytest.raises(ValueError, match="multiple of twice the heads"):
        build(Transformer, width=width, heads=heads)


def test_logits_depend_on_earlier_tokens_only() -> None:
    torch.manual_seed(0)
    net = CausalTransformer(vocab_size=50, width=32, heads=2).eval()
    for parameter in net.parameters():  # initial blocks are the identity, without attention
        nn.init.normal_(parameter, std=0.2)
    tokens = batch_of(8)["tokens"]
    changed = tokens.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % 50

    before, after = net(tokens), net(changed)

    assert before.shape == (1, 8, 50)
    torch.testing.assert_close(after[:, :5], before[:, :5])
    assert not torch.allclose(after[:, 5], before[:, 5])


def test_a_causal_transformer_shares_its_embeddings_with_the_output() -> None:
    net = CausalTransformer(vocab_size=50, width=32, heads=2)

    assert net.output_layer.weight is net.input_layer.weight


def test_a_causal_transformer_is_initialised_without_attention() -> None:
    torch.manual_seed(0)
    net = CausalTransformer(vocab_size=50, width=32, heads=2).eval()
    tokens = batch_of(8)["tokens"]

    logits = net(tokens)

    torch.testing.assert_close(logits[:, 5], net(tokens[:, 5:6])[:, 0])
    guess = torch.tensor(50.0).log().item()
    loss = nn.functional.cross_entropy(logits[0, :-1], tokens[0, 1:]).item()
    assert loss == pytest.approx(guess, abs=0.2)
