import pytest

from leyden.data.readers import Limits
from leyden.data.text.reader import TextReader
from leyden.data.text.vocabulary import SMALLEST, train_vocabulary


@pytest.fixture(scope="module")
def reader():
    vocabulary = train_vocabulary(["a cat and a dog"], size=SMALLEST, lowercase=False)
    return TextReader(vocabulary=vocabulary, max_tokens=8)


def test_rows_that_are_no_texts_are_rejected_alone(reader):
    texts = ["a cat", None, 3, ["a"], "", " \n", "<p></p>", "\ud800 a", "a\0b", "x" * 10**6]

    inputs = reader.decode_rows([{"text": text} for text in texts])

    assert inputs.names == ["row 0", "row 7", "row 8", "row 9"]
    assert inputs.fields["tokens"].shape == (4, 8)
    reasons = [item.reason for item in inputs.rejected]
    assert reasons[:3] == [
        f"text: expected a string, got {found}" for found in ("null", "a number", "an array")
    ]
    assert reasons[3:] == ["holds no text"] * 3


def test_a_text_may_be_uploaded_as_a_file_or_as_rows_of_a_table(reader):
    (as_row,) = reader.decode_rows([{"text": "a cat"}]).fields["tokens"].tolist()
    for name, content in {
        "a": b"a cat",
        "a.txt": "a cat".encode("utf-16"),
        "a.CSV": b"text\na cat",
        "a.jsonl": b'{"text": "a cat"}',
    }.items():
        inputs = reader.decode_file(name, content)
        assert inputs.fields["tokens"].tolist() == [as_row]
        assert inputs.names[0].startswith(name)


def test_uploads_that_hold_no_text_or_too_many_are_rejected(reader):
    limited = reader.limited(Limits(rows=1))
    for name, content, reason in [
        ("a", b"\xff", "not valid utf-8"),
        ("a", b"a\0b", "zero bytes"),
        ("a", b"", "holds no text"),
        ("a.csv", b"text\na\nb", "more than 1 rows"),
        ("a.csv", b"other\na", "no column 'text'"),
        ("a.csv.gz", b"\x1f\x8b", "compressed"),
    ]:
        (item,) = limited.decode_file(name, content).rejected
        assert reason in item.reason


def test_rows_spell_their_tokens(reader):
    inputs = reader.decode_rows([{"text": "a cat"}, {"text": "x"}])

    assert [reader.encode_row(inputs.fields, row)["text"] for row in range(2)] == ["a cat", "x"]


def test_only_the_beginning_of_a_long_text_is_encoded(reader):
    short = reader.decode_rows([{"text": "a cat and a dog"}])
    long = reader.decode_rows([{"text": "a cat and a dog " * 2**18}])

    assert reader.longest < 200
    assert long.fields["tokens"].tolist() == short.fields["tokens"].tolist()


def test_a_reader_with_limits_shares_the_tokenizer(reader):
    assert reader.limited(Limits(rows=1)).tokenizer is reader.tokenizer
