"""What networks make of the columns of a table."""

import pytest

from leyden.networks.ft_transformer import FTTransformer
from leyden.networks.table_mlp import TableMLP

SIZES = {"num_numbers": 5, "cardinalities": [3, 40, 2], "num_outputs": 3}


def test_what_training_never_saw_is_neutral() -> None:
    net = TableMLP(**SIZES)

    assert not any(layer.weight[0].any() for layer in net.input_layer.embeddings)


def test_a_column_of_few_values_has_a_narrow_vector() -> None:
    net = TableMLP(**SIZES, embedding_width=8)

    assert [layer.embedding_dim for layer in net.input_layer.embeddings] == [2, 8, 1]


def test_heads_have_to_part_the_width() -> None:
    with pytest.raises(ValueError, match="width must be a multiple of heads"):
        FTTransformer(**SIZES, width=32, heads=5)
