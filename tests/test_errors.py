import pytest

from leyden.errors import FaultyKeyError, did_you_mean


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("adamm", " Did you mean 'adam' or 'adamw'?"),
        ("zzz", " Known: adam, adamw, sgd."),
    ],
)
def test_hints_name_close_names_or_all(name, hint):
    assert did_you_mean(name, ["sgd", "adamw", "adam"]) == hint


def test_there_is_no_hint_without_known_names():
    assert did_you_mean("adam", []) == ""


def test_messages_begin_with_the_faulty_key():
    error = FaultyKeyError("optimizer.lr", "expected a float, got high")

    assert str(error) == "optimizer.lr: expected a float, got high"
    assert error.key == "optimizer.lr"
