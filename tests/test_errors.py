import pytest

from leyden.errors import FaultyKeyError, did_you_mean


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("adamm", " Did you mean 'adam' or 'adamw'?"),
        ("zzz", " Known: adam, adamw, sgd."),
    ],
)
def test_the_nearest_names_are_told_or_else_all(name, hint):
    assert did_you_mean(name, ["sgd", "adamw", "adam"]) == hint


def test_nothing_is_told_where_nothing_is_known():
    assert did_you_mean("adam", []) == ""


def test_a_faulty_key_is_named_first():
    error = FaultyKeyError("optimizer.lr", "expected a float, got high")

    assert str(error) == "optimizer.lr: expected a float, got high"
    assert error.key == "optimizer.lr"
