import numpy as np
import pyarrow as pa

from leyden.data.sources.tables import Chunk
from leyden.data.table.cells import CellFormat, Cells
from leyden.data.table.columns import Column
from leyden.data.table.encoding import Encoder, code_table

COLUMNS = [
    Column(name="age", kind="numeric"),
    Column(name="ward", kind="categorical"),
    Column(name="seen", kind="date"),
    Column(name="note", kind="ignored"),
]


def chunk(**columns):
    arrays = {name: pa.array(cells, pa.string()) for name, cells in columns.items()}
    return Cells(Chunk(columns=arrays, sources=()), CellFormat(missing=["NA"]))


def test_chunks_share_their_codes():
    encoder = Encoder(COLUMNS)

    first = encoder.categories(chunk(ward=["west", "NA", "north"]), 3)
    second = encoder.categories(chunk(ward=["south", "west", None]), 3)

    assert first.tolist() == [[1], [0], [2]]
    assert second.tolist() == [[3], [1], [0]]
    assert encoder.values == {"ward": ["", "west", "north", "south"]}
    assert first.dtype == np.int32


def test_numbers_are_in_the_order_of_their_columns():
    encoder = Encoder(COLUMNS)

    numbers = encoder.numbers(chunk(seen=["2000-01-03", "NA"], age=["7.5", "8"]), 2)

    np.testing.assert_array_equal(numbers, [[7.5, 2.0], [8.0, np.nan]])
    assert numbers.dtype == np.float64


def test_cells_of_another_kind_are_counted_with_the_first_of_them():
    encoder = Encoder(COLUMNS)
    encoder.numbers(chunk(age=["1", "NA", None], seen=["2000-01-01"] * 3), 3)
    numbers = encoder.numbers(chunk(age=["old", "old", "inf"], seen=["2000-01-01"] * 3), 3)

    assert np.isnan(numbers[:, 0]).all()
    assert vars(encoder.misfits["age"]) == {"cells": 3, "example": "old"}
    assert encoder.misfits["seen"].cells == 0


def test_there_may_be_no_columns_of_a_kind_or_no_rows():
    encoder = Encoder(COLUMNS[1:2])

    assert encoder.numbers(chunk(ward=["west"] * 4), 4).shape == (4, 0)
    assert encoder.categories(chunk(ward=[]), 0).shape == (0, 1)


def test_equal_values_have_one_code():
    encoder = Encoder(COLUMNS)

    codes = encoder.categories(chunk(ward=["1", "1.0", "TRUE", "+1", "true", "01"]), 6)

    assert codes[:, 0].tolist() == [1, 1, 2, 1, 2, 3]


def test_words_for_true_and_false_have_the_code_of_their_spelling():
    encoder = Encoder(COLUMNS, {"ward": {"yes": "y", "y": "y", "no": "no"}})

    assert encoder.categories(chunk(ward=["Yes", "y", "NO", "Y"]), 4)[:, 0].tolist() == [1, 1, 2, 1]


def test_codes_do_not_depend_on_the_order_of_the_values():
    known = ["", "a", "b"]

    assert code_table(known, ["", "b", "a", "new"]).tolist() == [1, 3, 2, 0]
    assert code_table(["1", "2"], ["", "2.0", "1"]).tolist() == [0, 2, 1]
    assert code_table(["no", "yes"], ["", "Y", "false"]).tolist() == [0, 2, 1]
    assert code_table(["a", "b"], ["", "a"]).tolist() == [0, 1]  # none was missing in training
