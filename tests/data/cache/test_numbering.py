import numpy as np
import pytest

from leyden.data.cache.numbering import Numbering


@pytest.mark.parametrize(
    "chunks", [(["dog", "cat"], ["ant", "dog"]), ([3, 2], [1, 2]), ([True], [False])]
)
def test_numbers_of_chunks_become_those_of_all_names_in_order(chunks):
    numbering = Numbering()

    numbers = np.concatenate([numbering.numbers(np.array(chunk)) for chunk in chunks])

    names, expected = np.unique(np.concatenate(chunks), return_inverse=True)
    assert numbering.names == [str(name) for name in names]
    assert numbering.places()[numbers].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["0", "1", "0.0", "1.0"], ["0", "1"]),
        (["True", "FALSE", "true", "False"], ["FALSE", "True"]),
        (["1", "true", "0", "false"], ["0", "1"]),
        (["caf\u00e9", "cafe\u0301", "tea"], ["caf\u00e9", "tea"]),
        (["007", "7", "7.0"], ["007", "7"]),
    ],
)
def test_names_that_are_equal_are_one_class(names, classes):
    numbering = Numbering()

    numbers = [int(numbering.numbers(np.array([name]))[0]) for name in names]

    assert numbering.names == classes
    assert set(numbering.places()[numbers].tolist()) == set(range(len(classes)))
