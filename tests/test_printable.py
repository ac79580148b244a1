import csv
import doctest
import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from leyden import printable as module
from leyden.printable import FORMULA, cell, file_cell, printable, shorten_float32


def test_examples():
    assert doctest.testmod(module).failed == 0


@given(st.text())
def test_no_control_character_is_left(text):
    shown = printable(text)

    assert all(each.isprintable() or each in "\n\t" or ord(each) > 0x9F for each in shown)
    assert printable(shown) == shown


@given(st.text(alphabet="=+-@\t\r1a./'\n\x1b\uff1d"))
def test_no_cell_is_a_formula(text):
    stream = io.StringIO()
    csv.writer(stream).writerow([cell(text), file_cell(text)])
    for each in next(csv.reader(io.StringIO(stream.getvalue(), newline=""))):
        assert not each.startswith(FORMULA) or float(each) is not None


def test_reordering_characters_are_escaped():
    assert printable("a\u202egnp.exe") == "a\\u202egnp.exe"
    assert printable("\u0646\u200c\u0647") == "\u0646\u200c\u0647"  # Persian needs the joiner


@given(st.floats(allow_nan=False, width=32) | st.floats(allow_nan=False))
def test_rounding_loses_nothing(value):
    short = shorten_float32(value)

    assert short == value or np.float32(short) == np.float32(value) == value
    assert len(repr(short)) <= len(repr(value))
