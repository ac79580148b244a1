import numpy as np

from leyden.data.image.reader import ImageReader
from leyden.data.joined import JoinedReader
from leyden.data.readers import Limits
from leyden.data.table.cells import CellFormat
from leyden.data.table.reader import TableReader


def table(*known):
    """Return a reader of a number and a category of which some values are known."""
    columns = [{"name": "a", "kind": "numeric"}, {"name": "b", "kind": "categorical"}]
    numbers = {"centres": np.zeros(1), "low": np.array([-9.0]), "high": np.array([9.0])}
    return TableReader(
        statistics={"columns": columns, "values": {"b": known}, "numbers": numbers},
        written=CellFormat(missing=()),
    )


JOINED = JoinedReader(members=[table("x", "y"), table("y")])


def test_each_member_decodes_the_rows():
    inputs = JOINED.decode_rows([{"a": 1, "b": "y"}, None, {"a": 2, "b": "x"}])

    assert inputs.names == ["row 0", "row 2"]
    assert inputs.fields["0/categories"].tolist() == [[2], [1]]
    assert inputs.fields["1/categories"].tolist() == [[1], [0]]
    assert [item.source for item in inputs.rejected] == ["row 1"]
    assert JOINED.encode_row(inputs.fields, 1) == {"a": 2, "b": "x"}
    assert list(JOINED.row_schema["properties"]) == ["a", "b"]


def test_an_upload_that_a_member_rejects_has_no_rows():
    inputs = JOINED.decode_file("a.csv", b"a,b\n1,x\n2,x\n")

    assert (inputs.names, inputs.fields) == ([], {})
    assert "No cell of the column b is known" in inputs.rejected[0].reason


def test_rows_that_one_member_rejects_are_left_out_for_all():
    members = [ImageReader(shape=(1, 2, 2)), ImageReader(shape=(1, 2, 2)).limited(Limits(pixels=1))]
    row = members[0].encode_row({"images": np.zeros((1, 1, 2, 2), np.uint8)}, 0)

    inputs = JoinedReader(members=members).decode_rows([row])

    assert (inputs.names, inputs.fields) == ([], {})
    assert len(inputs.rejected) == 1


def test_limits_hold_for_all_members():
    assert JOINED.limited(Limits(rows=1)).decode_file("a.csv", b"a,b\n1,x\n2,y\n").rejected
