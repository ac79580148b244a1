import pytest

from leyden.data.rows import UnreadableError
from leyden.data.text.files import read_text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_determines_the_encoding(tmp_path, encoding):
    (tmp_path / "a").write_bytes("schön 文".encode(encoding))

    assert read_text(tmp_path / "a", "utf-8") == "schön 文"


def test_the_encoding_can_be_given(tmp_path):
    (tmp_path / "a").write_bytes("schön".encode("latin-1"))

    assert read_text(tmp_path / "a", "latin-1") == "schön"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("schön".encode("latin-1"), r"not valid utf-8 at byte 3 \(0xf6\)"),
        (b"PK\x03\x04\0\0", "zero bytes"),
    ],
)
def test_files_that_are_not_text_are_unreadable_with_a_reason(tmp_path, content, reason):
    (tmp_path / "a").write_bytes(content)

    with pytest.raises(UnreadableError, match=reason):
        read_text(tmp_path / "a", "utf-8")


def test_a_link_to_nowhere_is_unreadable(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "gone")

    with pytest.raises(UnreadableError, match="No such file"):
        read_text(tmp_path / "a", "utf-8")
