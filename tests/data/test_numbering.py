import numpy as np
import pytest

from leyden.data.numbering import Numbering


@pytest.mark.parametrize(
    "chunks", [(["dog", "cat"], ["ant", "dog"]), ([30, 4], [100, 4]), ([True], [False])]
)
def test_numbers_of_chunks_become_those_of_all_names_in_order(chunks):
    numbering = Numbering()

    numbers = np.concatenate([numbering.numbers(np.array(chunk)) for chunk in chunks])

    names, expected = np.unique(np.concatenate(chunks), return_inverse=True)
    assert numbering.names == names.tolist()
    assert numbering.places()[numbers].tolist() == expected.tolist()
