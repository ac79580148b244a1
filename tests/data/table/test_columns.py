import shlex

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leyden.config.compose import compose
from leyden.data.table.cells import CellFormat, find_distinct
from leyden.data.table.columns import Column, Evidence, find_column
from leyden.data.values import normal
from leyden.errors import UserError


def seen(*chunks):
    evidence = Evidence()
    for chunk in chunks:
        cells = [None if cell is None else str(cell) for cell in chunk]
        evidence.add(find_distinct(pa.array(cells, pa.string()), CellFormat(missing=["NA"])))
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
        (["True", "TRUE", "false"], "boolean"),
        (["true", "maybe"], "categorical"),
        (["Y", "N", "T"], "categorical"),
        (["t", "y"], "categorical"),
        (["yes", "no", "Y"], "categorical"),
        (["true", "1", "false"], "categorical"),
        (["2024-01-31", "2024-02-01T12:30:00Z"], "date"),
        (["2024-01-31 ", "NA"], "date"),
        (["31/01/2024"], "categorical"),
        ([None, "NA", ""], "ignored"),
    ],
)
def test_kinds_are_inferred_from_all_cells(cells, kind):
    assert seen(cells).kind == kind
    assert seen(cells[:1], cells[1:]).kind == kind


def test_a_few_distinct_integers_are_classes_as_a_target():
    assert seen([1, 2, 3] * 9).is_class
    assert seen(["ant", "bee"]).is_class
    assert not seen([1.5, 2, 3]).is_class
    assert not seen(range(21)).is_class
    assert seen([*range(20), *map(float, range(20))]).is_class


def test_a_declared_kind_may_have_a_format_of_dates():
    assert Column.from_declaration("seen", "date:%d/%m/%Y:%H") == Column(
        name="seen", kind="date", form="%d/%m/%Y:%H"
    )


@pytest.mark.parametrize("kind", ["categoric", "boolean:%d", ""])
def test_an_unknown_kind_is_refused(kind):
    with pytest.raises(UserError, match=r"data\.columns\.seen"):
        Column.from_declaration("seen", kind)


@pytest.mark.parametrize("cell", ["$5", "-$ 5", "$-5", "5 $", "5"])
def test_numbers_may_have_a_unit(cell):
    column = Column.from_declaration("price", "numeric:$")

    assert abs(column.parse(pa.array([cell])).item()) == 5


def test_cells_of_another_unit_are_not_numbers():
    assert np.isnan(
        Column.from_declaration("at", "numeric::").parse(pa.array(["12:30", "5 kg"]))
    ).all()


NAMES = st.text(min_size=1, max_size=8).map(normal).filter(bool)


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(NAMES | st.from_regex(r"[ -~]{1,8}", fullmatch=True).map(normal).filter(bool))
@example("Sepal.Length")
@example("a=b")
@example("3")
@example("007")
@example("Größe")
@example("price (€)")
@example("it's")
@example("null")
def test_the_override_that_an_error_gives_works_in_a_shell(name):
    column = Column(name=name, kind="numeric", position=2)
    for kind in ("categorical", "date:%d/%m/%Y %H:%M", "numeric:$"):
        (override,) = shlex.split(column.override(kind))

        config = compose(["data=table", "data.path=a.csv", "data.target=y", override])

        ((key, declared),) = config["data"]["columns"].items()
        assert declared == kind
        assert find_column(key, ["y", name, "z"]) == name


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("age", "age"), (3, "3"), (True, "True"), ("column_2", "3"), ("column_4", "column_4"),
        ("Cafe\N{COMBINING ACUTE ACCENT}", "Café"), ("column_9", None), ("ag", None),
    ],
)  # fmt: skip
def test_columns_are_found_by_names_that_overrides_can_hold(given, found):
    assert find_column(given, ["age", "3", "True", "column_4", "Café"]) == found
