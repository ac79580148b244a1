import numpy as np

from leyden.data.table.fitting import code_table, frequent


def test_the_most_frequent_values_are_known():
    codes = np.array([1] * 5 + [2] * 9 + [3] * 2 + [0] * 4, dtype=np.int32)

    assert frequent(codes, ["", "b", "a", "c", "unused"], most=10) == ["", "a", "b", "c"]
    assert frequent(codes, ["", "b", "a", "c", "unused"], most=2) == ["a", "b"]


def test_codes_mean_the_same_whatever_order_values_came_in():
    known = ["", "a", "b"]

    assert code_table(known, ["", "b", "a", "new"]).tolist() == [1, 3, 2, 0]
    assert code_table(["1", "2"], ["", "2.0", "1"]).tolist() == [0, 2, 1]
    assert code_table(["no", "yes"], ["", "Y", "false"]).tolist() == [0, 2, 1]
    assert code_table(["a", "b"], ["", "a"]).tolist() == [0, 1]  # none was missing in training
