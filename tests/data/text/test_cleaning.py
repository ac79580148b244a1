import time

import pytest

from leyden.data.text.cleaning import TextCleaning


@pytest.mark.parametrize(
    ("text", "clean", "step"),
    [
        ("<p>a</p><p>b</p>", "a b", "html"),
        ("tr<b>ee</b>s &amp; b&uuml;sche", "trees & büsche", "html"),
        ("a<!-- not > this -->b<script>x<y</script>c", "ab c", "html"),
        ("<style>p {}</style>text<br/>on", "text on", "html"),
        ("3 < 4 and <me@example.org> wrote > a\n> b", None, "html"),
        ("a\x00b\x07\u200bc\ufeff", "abc", "control"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree", "control"),
        ("\ufb01ne \uff21\u2460 e\u0301", "fine A1 é", "unicode"),
        ("  a \t b \n\n \n c  ", "a b\nc", "whitespace"),
    ],
)
def test_each_step_mends_its_fault_alone(text, clean, step):
    clean = text if clean is None else clean

    mended, changed = TextCleaning().mended(text)
    untouched, _ = TextCleaning(
        **dict.fromkeys(("html", "control", "unicode", "whitespace"), False)
    ).mended(text)

    assert mended == clean
    assert (step in changed) == (clean != text)
    assert untouched == text


def test_entities_can_not_smuggle_in_what_later_steps_remove():
    assert TextCleaning().mended("a&#0;b&nbsp;&nbsp;c&#x200b;") == (
        "a\ufffdb c",
        ["html", "control", "unicode", "whitespace"],
    )


@pytest.mark.parametrize("hostile", ["<a " * 50_000, "<!--" * 50_000, "<script>" * 20_000])
def test_hostile_markup_costs_no_more_than_its_length(hostile):
    begin = time.process_time()

    TextCleaning().mended(hostile)

    assert time.process_time() - begin < 5
