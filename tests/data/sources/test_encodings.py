import io

import pytest

from leyden.data.sources.encodings import UNDECODABLE, as_utf8, check_encoding, encoding_of
from leyden.errors import UserError


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_overrules_what_is_given(encoding):
    assert encoding_of("höh".encode(encoding), "latin-1") == encoding


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_recognised_without_a_mark(encoding):
    assert encoding_of("id,name".encode(encoding), "utf-8") == encoding


def test_without_a_mark_the_given_encoding_counts():
    assert encoding_of("höh".encode(), "latin-1") == "latin-1"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-32"])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_any_encoding_reads_as_utf_8(encoding, size):
    text = "schöne Grüße\n" * 500

    with as_utf8(io.BytesIO(text.encode(encoding)), encoding) as stream:
        content = b"".join(iter(lambda: stream.read(size), b""))

    assert content.decode() == text


@pytest.mark.parametrize(
    ("content", "encoding"), [(b"a\x81\xe9b", "cp1252"), (b"a\xff\xc3\xa9b", "utf-8")]
)
def test_bytes_that_are_not_valid_are_marked(content, encoding):
    with as_utf8(io.BytesIO(content), encoding) as stream:
        assert stream.read().decode() == f"a{UNDECODABLE}éb"


@pytest.mark.parametrize("encoding", ["utf-9", "hex", "rot13", "idna", "undefined", "a\0b"])
def test_what_is_not_an_encoding_of_text_is_a_user_error(encoding):
    with pytest.raises(UserError, match=f"data.encoding={encoding} is not an encoding of text"):
        check_encoding(encoding)
