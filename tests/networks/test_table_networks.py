"""Networks for tables."""

import pytest

from leyden.networks.ft_transformer import FTTransformer
from leyden.networks.table_mlp import TableMLP

SIZES = {"num_numbers": 5, "cardinalities": [3, 40, 2], "num_outputs": 3}


def test_the_embedding_of_unknown_values_is_zero() -> None:
    net = TableMLP(**SIZES)

    assert not any(layer.weight[0].any() for layer in net.input_layer.embeddings)


def test_a_column_of_few_values_has_a_narrow_embedding() -> None:
    net = TableMLP(**SIZES, embedding_width=8)

    assert [layer.embedding_dim for layer in net.input_layer.embeddings] == [2, 8, 1]


def test_width_must_be_a_multiple_of_heads() -> None:
    with pytest.raises(ValueError, match="width must be a multiple of heads"):
        FTTransformer(**SIZES, width=32, heads=5)
