import pyarrow as pa
import pytest

from leyden.data.table.columns import Column, Evidence
from leyden.errors import UserError


def seen(*chunks):
    evidence = Evidence()
    for chunk in chunks:
        cells = [None if cell is None else str(cell) for cell in chunk]
        evidence.add(pa.array(cells, pa.string()), ["NA"])
    return evidence


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([1, 2.5, None, "-3e2"], "numeric"),
        ([0, 1, 0, 1], "numeric"),
        ([*range(99), "n.a."], "numeric"),  # a slip among numbers
        ([*range(50), *["n.a."] * 50], "categorical"),
        (["02139", "10115", "01067"], "categorical"),  # post codes
        (["yes", "No", "NA"], "boolean"),
        (["true", "maybe"], "categorical"),
        (["2024-01-31", "2024-02-01T12:30:00Z"], "date"),
        (["2024-01-31 ", "NA"], "date"),
        (["31/01/2024"], "categorical"),
        ([None, "NA", ""], "ignored"),
    ],
)
def test_kinds_are_told_by_all_cells(cells, kind):
    assert seen(cells).kind == kind
    assert seen(cells[:1], cells[1:]).kind == kind


def test_few_whole_numbers_are_classes_as_a_target():
    assert seen([1, 2, 3] * 9).is_class
    assert seen(["ant", "bee"]).is_class
    assert not seen([1.5, 2, 3]).is_class
    assert not seen(range(21)).is_class


def test_a_declared_kind_may_hold_the_form_of_dates():
    assert Column.declared("seen", "date:%d/%m/%Y:%H") == Column(
        name="seen", kind="date", form="%d/%m/%Y:%H"
    )


@pytest.mark.parametrize("kind", ["categoric", "numeric:%d", ""])
def test_an_unknown_kind_is_refused(kind):
    with pytest.raises(UserError, match=r"data\.columns\.seen"):
        Column.declared("seen", kind)
