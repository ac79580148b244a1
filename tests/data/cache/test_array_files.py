import numpy as np
import pytest

from leyden.data.cache.array_files import ArrayFiles, read_arrays
from leyden.data.rows import Ragged


def ragged(*rows):
    return Ragged.of([np.array(row, np.int16) for row in rows], dtype=np.dtype(np.int16))


def test_chunks_are_read_as_one_array(tmp_path):
    files = ArrayFiles(tmp_path / "a")
    files.append("x", np.array([[1, 2]], np.uint8))
    files.append("x", np.array([[3, 4], [5, 6]], np.uint8))
    files.append("uneven", ragged([7], []))
    files.append("uneven", ragged([8, 9]))
    files.close()

    arrays = read_arrays(tmp_path / "a")

    assert arrays.keys() == {"x", "uneven"}
    assert arrays["x"].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert [row.tolist() for row in arrays["uneven"]] == [[7], [], [8, 9]]


def test_chunks_without_a_row_are_read_too(tmp_path):
    files = ArrayFiles(tmp_path / "a")
    files.append("x", np.empty((0, 3), np.uint8))
    files.append("uneven", ragged())
    files.close()

    arrays = read_arrays(tmp_path / "a")

    assert (arrays["x"].shape, len(arrays["uneven"])) == ((0, 3), 0)


def test_what_is_written_can_be_changed_in_place(tmp_path):
    files = ArrayFiles(tmp_path / "a")
    files.append("x", np.arange(100_000))

    files.rewrite("x", lambda values: values * 2)

    assert np.array_equal(files.map_arrays()["x"], np.arange(0, 200_000, 2))


@pytest.mark.parametrize("rows", [np.zeros((1, 2), np.uint8), np.zeros((1, 3), np.int8)])
def test_chunks_of_another_shape_or_dtype_are_refused(tmp_path, rows):
    files = ArrayFiles(tmp_path / "a")
    files.append("x", np.zeros((1, 3), np.uint8))

    with pytest.raises(AssertionError, match="the rows of x change their dtype or shape"):
        files.append("x", rows)
