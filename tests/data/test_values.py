import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.data.values import canonical, matcher, merge_equal, truth_words

CAFE = "Café"


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("1", "1"), ("1.0", "1"), (" 1.", "1"), ("+1", "1"), ("1e0", "1"), ("10e-1", "1"),
        ("-0.0", "0"), (".50", "0.5"), ("1e3", "1000"), ("\N{MINUS SIGN}5", "-5"),
        ("12345678901234567891.0", "12345678901234567891"),  # not equal to any float
        ("1e400", "1E+400"), ("1e99999999999999999999", "1e99999999999999999999"),
        ("02139", "02139"), ("-007", "-007"), ("0.5", "0.5"), ("00", "00"),
        ("TRUE", "true"), ("False ", "false"), ("Yes", "Yes"), ("T", "T"), ("", ""),
        ("v1.0", "v1.0"), ("1.0.0", "1.0.0"), ("1_000", "1_000"), ("inf", "inf"), ("nan", "nan"),
        ("٣", "٣"), ("2024-01-01", "2024-01-01"),
        (unicodedata.normalize("NFD", CAFE), CAFE),
    ],
)  # fmt: skip
def test_values_have_one_spelling(text, spelling):
    assert canonical(text) == spelling


@given(st.decimals(allow_nan=False, allow_infinity=False), st.decimals(allow_nan=False))
def test_numbers_share_a_spelling_exactly_if_they_are_equal(one, other):
    spelled = [canonical(str(number)) for number in (one, other)]

    assert Decimal(spelled[0]) == one
    assert (spelled[0] == spelled[1]) == (one == other)


@given(st.text())
def test_a_canonical_spelling_stays(text):
    assert canonical(canonical(text)) == canonical(text)


@pytest.mark.parametrize(
    ("names", "spellings"),
    [
        (["0", "0.0", "1", "1.0"], ["0", "0", "1", "1"]),
        (["1.0", "2.0"], ["1.0", "2.0"]),  # each is alone
        (["FALSE", "False", "true"], ["FALSE", "FALSE", "true"]),
        (["1", "true", "0", "false"], ["1", "1", "0", "0"]),
        (["1.0", "true", "false"], ["1.0", "1.0", "false"]),
        (["yes", "Y", "no", "NO"], ["Y", "Y", "NO", "NO"]),
        (["Y", "N", "T"], ["Y", "N", "T"]),
        (["t", "y"], ["t", "y"]),
        (["T", "F", "Y", "N"], ["T", "F", "Y", "N"]),
        (["yes", "Yes", "maybe"], ["yes", "Yes", "maybe"]),
        (["7", "007"], ["7", "007"]),
        (["Cafe\N{COMBINING ACUTE ACCENT}", CAFE], [CAFE, CAFE]),
        ([], []),
    ],
)
def test_equal_names_share_the_shortest_spelling(names, spellings):
    assert merge_equal(names) == dict(zip(names, spellings, strict=True))


@given(st.lists(st.sampled_from(["1", "1.0", "true", "T", "f", "0", "no", "N", "x"]), unique=True))
def test_the_order_of_names_changes_no_spelling(names):
    spellings = merge_equal(names)

    assert merge_equal(names[::-1]) == spellings
    assert merge_equal(sorted(set(spellings.values()))) == {
        name: name for name in spellings.values()
    }


@pytest.mark.parametrize(
    ("known", "text", "found"),
    [
        (["1", "2"], "2.0", "2"),
        (["1.0", "2.0"], "2", "2.0"),
        (["yes", "no"], "Y", "yes"),
        (["True", "False"], "0.0", "False"),
        (["yes", "no", "maybe"], "Y", None),
        (["Y", "N"], "T", None),
        (["", "a"], "b", None),
    ],
)
def test_names_are_found_in_any_spelling(known, text, found):
    assert matcher(known)(text) == found


def test_truth_words_cover_both_values():
    assert truth_words(["yes", "no"])["y"] is True
    assert truth_words(["yes"]) == {}
    assert truth_words(["1", "0", "2"]) == {}
