"""Damaged text files: whatever they hold, a run continues with the text or without the file."""

import codecs
import os
from contextlib import suppress

import numpy as np
import pytest

from leyden.data.rows import UnreadableError
from leyden.data.text.cleaning import TextCleaning
from leyden.data.text.files import read_text
from leyden.data.text.minhash import signatures

ROUNDS = int(os.environ.get("LEYDEN_FUZZ_ROUNDS", "100"))

MARKS = (b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE)

PIECES = (
    *(b"\0", b"\r", b"\r\n", b"\x85", b"\x0c", b" ", b"&#xd800;", b"&#0;", b"&", b"<", b">", b"--"),
    *(b"<br>", b"<!--", b"<script>", b"</a", b"<a href=", b"word ", b"+2AA-", b"\\ud83d", b"xn--"),
    *(text.encode() for text in ("\u00e9", "e\u0301", "\u200d", "\ufeff", "\uffff", "\U0001f600")),
)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-16", "utf-7", "latin-1", "cp1252", "shift_jis", "unicode_escape"]
)
def test_any_bytes_are_a_text_or_unreadable(tmp_path, encoding):
    random = np.random.default_rng(len(encoding))
    path = tmp_path / "a.txt"

    for _ in range(ROUNDS):
        pieces = [PIECES[random.integers(len(PIECES))] for _ in range(random.integers(40))]
        noise = random.bytes(random.integers(20)) if random.random() < 0.3 else b""
        path.write_bytes(MARKS[random.integers(len(MARKS))] + b"".join(pieces) + noise)
        with suppress(UnreadableError):
            text, _ = TextCleaning().clean_text(read_text(path, encoding))
            assert text.encode().decode() == text
            assert signatures([text]).shape[0] == 1
